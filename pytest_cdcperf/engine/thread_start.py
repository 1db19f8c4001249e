"""Starting threads, and what to say where the machine allows no more of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_cdcperf.errors import ThreadLimitError

_PYTHONS_WORDS = "can't start new thread"
_CONTROL_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def start_thread(what: str, name: str, target: Callable[..., object], *arguments: object) -> threading.Thread:
    """Start a daemon thread called *name* that is there for *what*, such as "VU 3".

    :raises ThreadLimitError: where the system allows no further thread
    """
    thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise ThreadLimitError(f"{what} could not be started: {str(error) or 'out of memory'}") from None
    return thread


def is_thread_limit(error: BaseException) -> bool:
    """Whether *error* says that no further thread could be started, by us or by a library."""
    return isinstance(error, ThreadLimitError) or (isinstance(error, RuntimeError) and _PYTHONS_WORDS in str(error))


def thread_limits() -> str:
    """Return how many threads this process has and what limits them, in words."""
    limits = ", ".join(_limits())
    return f"this process has {threading.active_count()} threads" + (f"; limits: {limits}" if limits else "")


def _limits() -> Iterator[str]:
    for most in most_tasks(_CONTROL_GROUPS, _MOUNTED):
        yield f"{most} tasks in the control group (pids.max)"
    try:
        import resource  # noqa: PLC0415  # not on Windows
    except ImportError:
        return
    for limit, words in (("RLIMIT_NPROC", "tasks of this user (ulimit -u)"), ("RLIMIT_AS", "MB of memory (ulimit -v)")):
        most = resource.getrlimit(getattr(resource, limit, resource.RLIMIT_NOFILE))[0]
        if hasattr(resource, limit) and most != resource.RLIM_INFINITY:
            yield f"{most if limit == 'RLIMIT_NPROC' else most // 2**20} {words}"


def most_tasks(control_groups: Path, mounted: Path) -> Iterator[int]:
    """Yield the limits on tasks of the groups that *control_groups* names, in the file systems below *mounted*.

    https://docs.kernel.org/admin-guide/cgroup-v2.html: a line is "0::/path", in version 1 "8:pids:/path".
    """
    try:
        lines = control_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "pids"}:
            continue
        root = mounted / controllers
        # Inside a container the path may be the host's: then the limit stands at the root of what is mounted.
        for group in dict.fromkeys((root / path.lstrip("/"), root)):
            try:
                yield int((group / "pids.max").read_text())
                break
            except (OSError, ValueError):  # not there, or "max"
                continue

"""A user without a name (``docker run -u 12345``, OpenShift): initdb refuses one, which PostgreSQL itself does not.

Two ways to lend it a name for as long as initdb runs, both without any right: libnss_wrapper, where it is installed, as
the images of PostgreSQL do; else a user namespace, in which the user is another one that has a name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_cdcperf.embedded import user_namespace

REMEDY = (
    "initdb wants the user to have a name, and uid {uid} has none here: install libnss-wrapper, or add the user to "
    "/etc/passwd, or use servers of your own with --perf-stack=external"
)
_WRAPPERS = ("usr/lib/*/libnss_wrapper.so", "usr/lib64/libnss_wrapper.so", "usr/lib/libnss_wrapper.so")


def is_nameless() -> bool:
    """Whether the user that we run as has no entry in the password database."""
    if sys.platform == "win32":
        return False
    import pwd  # noqa: PLC0415  # Windows has none

    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


@contextmanager
def named(command: Sequence[str | Path], directory: Path) -> Iterator[tuple[list[str | Path], Mapping[str, str]]]:
    """Lend *command* and its environment as they run with a name; files that takes go to *directory*."""
    wrapper = next((path for pattern in _WRAPPERS for path in Path("/").glob(pattern)), None)
    if wrapper is None:
        yield [sys.executable, "-I", "-S", user_namespace.__file__, str(_somebody()), *command], os.environ
        return
    passwd, group = directory / "passwd", directory / "group"
    uid, gid = os.geteuid(), os.getegid()
    passwd.write_text(f"postgres:x:{uid}:{gid}:PostgreSQL:{directory}:/bin/false\n")
    group.write_text(f"postgres:x:{gid}:\n")
    preload = " ".join([str(wrapper), *os.environ.get("LD_PRELOAD", "").split()])
    files = {"NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(group)}
    try:
        yield [*command], {**os.environ, "LD_PRELOAD": preload, **files}
    finally:
        passwd.unlink()
        group.unlink()


def _somebody() -> int:
    """Return the number of a user that has a name and is not root."""
    import pwd  # noqa: PLC0415  # Windows has none

    return min((user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0), default=65534)

"""The data directory of a stack; it is removed with it, or by a later stack where everything was killed at once.

A file in it is locked while the supervisor runs. The kernel releases the lock however the supervisor ends, so a
directory whose lock can be taken is of a stack that has ended.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.errors import StackError

LOCK = "pytest-cdcperf.lock"

_PREFIX = "cdcperf-"
_NOBODY = 65534
_REMOVAL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class OtherUser:
    """The user that PostgreSQL runs as where we are root, which it refuses to run as."""

    uid: int
    gid: int


def other_user() -> OtherUser | None:
    """Return whom PostgreSQL has to run as, None where it can run as ourselves."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return OtherUser(_NOBODY, _NOBODY)
    return OtherUser(nobody.pw_uid, nobody.pw_gid)


@contextlib.contextmanager
def stack_directory() -> Iterator[Path]:
    """Lend a directory for a stack's data that others cannot read, but for PostgreSQL's user where that is another.

    Removes what stacks left behind that were killed, before it makes its own.

    :raises StackError: when no temporary directory will do
    """
    places, user = _places(), other_user()
    for place in places:
        _sweep(place)
    directory, lock = _claim(places[0])
    try:
        if user is not None and sys.platform != "win32":
            os.chown(directory, -1, user.gid)
            directory.chmod(0o710)
        yield directory
    finally:
        if sys.platform == "win32":  # where a file that is open cannot be removed
            os.close(lock)
            remove_directory(directory)
        else:
            remove_directory(directory)
            os.close(lock)


def remove_directory(directory: Path) -> None:
    """Remove *directory*, again and again while a server is still dying in it.

    The lock goes last: what is left half removed by a kill can be found again.
    """
    deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
    while directory.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for path in _content(directory):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            if not _content(directory):
                (directory / LOCK).unlink(missing_ok=True)
                directory.rmdir()
        if directory.exists():
            time.sleep(0.05)


def _places() -> Sequence[Path]:
    """Return where a stack's directory may be, the best first."""
    places = [Path(tempfile.gettempdir())]
    if other_user() is not None:
        places += [Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes a directory in it ours
        places = [place for place in dict.fromkeys(places) if _others_may_enter(place)]
    if not places:
        raise StackError(
            f"the embedded stack: PostgreSQL cannot run as root, and no other user may enter "
            f"{tempfile.gettempdir()}; set TMPDIR to a directory that others may enter"
        )
    return places


def _others_may_enter(directory: Path) -> bool:
    path = directory.resolve()
    return path.is_dir() and all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _claim(place: Path) -> tuple[Path, int]:
    """Make a directory in *place* whose lock is ours."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            ours = _take(lock) and (directory / LOCK).exists()
        except OSError:  # a file system without locks: no other stack can remove it either
            return directory, lock
        if ours:
            return directory, lock
        os.close(lock)  # another session has just taken it for one that was left behind, and removes it


def _sweep(place: Path) -> None:
    """Remove the directories in *place* that are ours and no longer in use."""
    left: list[Path] = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        left = [Path(entry.path) for entry in entries if entry.name.startswith(_PREFIX) and _is_ours(entry)]
    for directory in left:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                (directory / LOCK).unlink()  # refused while the supervisor has it open
                remove_directory(directory)
                continue
            lock = os.open(directory / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _take(lock):
                    remove_directory(directory)
            finally:
                os.close(lock)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    return sys.platform == "win32" or entry.stat(follow_symlinks=False).st_uid == os.geteuid()


def _take(lock: int) -> bool:
    """Lock the open file *lock*, unless another process has it locked; return whether it is ours now."""
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name != LOCK]

"""Run a command as another user of a namespace of our own, in which files are what they are to us outside.

Run by path, isolated and without site (``python -I -S``), so it may import the standard library only.
Arguments: the number of that user, then the command.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000


def main(user: str, command: list[str]) -> None:
    """Replace this process by *command*; does not return."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise SystemExit(f"no user namespace: {os.strerror(ctypes.get_errno())}")
    own = Path("/proc/self")
    (own / "uid_map").write_text(f"{user} {uid} 1")
    (own / "setgroups").write_text("deny")
    (own / "gid_map").write_text(f"{user} {gid} 1")
    os.execv(command[0], command)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

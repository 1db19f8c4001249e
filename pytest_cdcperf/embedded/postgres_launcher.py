"""Become PostgreSQL: change the user, end with the supervisor, then exec the server in place of this process.

Run by path, isolated and without site (``python -I -S``), so it may import the standard library only.
The order matters: the kernel forgets the parent-death signal when a process changes its user. It keeps
it over exec. A ``preexec_fn`` in the supervisor could do the same, but not safely among its threads.

Arguments: the supervisor's pid, the user's and the group's id or ``-`` for no change, then the command.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(supervisor: int, user: str, group: str, command: list[str]) -> None:
    """Replace this process by *command*; does not return."""
    if sys.platform == "win32":
        raise SystemExit("the launcher is for POSIX systems")
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - now, while we are who can read the standard library

        libc = ctypes.CDLL(None, use_errno=True)
    # The server must not stop at the terminal's signals, nor be found in the supervisor's process group
    # by a killpg meant for it.
    os.setsid()
    os.chdir("/")
    if user != "-":
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if sys.platform == "linux":
        # SIGQUIT is the immediate shutdown: nothing in this data directory is worth a checkpoint.
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the kernel was asked to signal its end
        raise SystemExit("the supervisor is gone")
    os.execv(command[0], command)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])

"""Starting our Python processes, without the session's secrets and without the modules beside a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What programs need to run at all. The rest of the environment is the session's own: CI keeps its secrets there,
# and libpq, Java and Python would take orders from it that were meant for others.
_KEPT = (
    *("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "TZ", "LANG", "LANGUAGE"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
    "LD_PRELOAD",  # a container's way to have a name for its user, with NSS_WRAPPER_*
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "LOCALAPPDATA", "APPDATA"),
)
_KEPT_PREFIXES = ("LC_", "NSS_WRAPPER_")

# The standard library first: a logging.py beside a test is in the parent's path as well. And site before that path is
# there: it imports a sitecustomize.py.
_RUN = (
    "import os, sys; standard = len(sys.path); import site; site.main(); "
    "sys.path[standard:standard] = os.environ['PYTHONPATH'].split(os.pathsep); import runpy; "
    "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], None, '__main__', True)"
)


def python_command(module: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs *module* with *arguments*, in the environment of :func:`environment`."""
    return [sys.executable, "-I", "-S", "-c", _RUN, module, *arguments]


def environment(of: Mapping[str, str], *import_path: str | Path) -> dict[str, str]:
    """Return what a process of ours may know of the environment *of*.

    It imports what we would: from our own module search path in its order, after *import_path*.
    """
    kept = {name: value for name, value in of.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    entries = (str(Path(entry).absolute()) for entry in (*import_path, *sys.path))
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(entries))}


@contextmanager
def standard_library_first() -> Iterator[None]:
    """Inside the block imports find the standard library before an http.py beside a test: pytest puts that first."""
    library, others = str(Path(os.__file__).parent), ("site-packages", "dist-packages")
    standard = [entry for entry in sys.path if entry.startswith(library) and not entry.endswith(others)]
    sys.path[:0] = standard
    try:
        yield
    finally:
        del sys.path[: len(standard)]

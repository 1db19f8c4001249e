"""Which line of the user's a traceback or a stack stands at."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import TracebackType

_OURS = str(Path(__file__).parent.parent) + os.sep


_LIBRARIES = (
    _OURS,
    *(
        str(Path(place)) + os.sep
        for place in {
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            str(Path(sys.base_prefix, "lib")),
        }
    ),
)


_ELSEWHERE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")  # below a venv: the system's


def is_ours(filename: str) -> bool:
    """Whether the code in *filename* is this package's."""
    return filename.startswith(_OURS)


def is_library(filename: str) -> bool:
    """Whether the code in *filename* is not the user's own."""
    return filename.startswith((*_LIBRARIES, "<")) or any(place in filename for place in _ELSEWHERE)


def user_line(traceback: TracebackType | None) -> str:
    """Return "file:line" of the innermost frame that is the user's own code, not a library's."""
    found = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not found or not is_library(filename):
            found = f"{Path(filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found

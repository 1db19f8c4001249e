"""The line of the user's own code that a traceback or a stack of frames stands at."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

_OURS = str(Path(__file__).parent.parent) + os.sep
_CLIENTS = str(Path(__file__).parent.parent / "clients") + os.sep

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
    """Return "file:line" of the innermost frame that is the user's own code; of the outermost where none is."""
    found = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not found or not is_library(filename):
            found = f"{Path(filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield *frame* and the frames that called it, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def user_frame(frames: Iterable[FrameType]) -> FrameType | None:
    """Return the innermost of *frames* that is the user's own code."""
    return next((frame for frame in frames if not is_library(frame.f_code.co_filename)), None)


def line_of(frame: FrameType | None) -> str:
    """Return "file:line" of *frame*, "" without one."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else ""


def at_user_line(frames: Iterable[FrameType]) -> str:
    """Return " at file:line" of the user's innermost frame, for the middle of a sentence; "" where there is none."""
    frame = user_frame(frames)
    return f" at {line_of(frame)}" if frame is not None else ""


def in_our_clients(frames: Iterable[FrameType]) -> bool:
    """Whether the innermost of *frames* that is not a library's is in a client of ours: it waits for a server."""
    for frame in frames:
        filename = frame.f_code.co_filename
        if filename.startswith(_CLIENTS):
            return True
        if is_ours(filename) or not is_library(filename):
            return False
    return False

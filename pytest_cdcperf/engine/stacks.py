"""The stacks of threads and tasks that do not end, to say where in the user's code they are."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.engine.source_lines import at_user_line, in_our_clients, line_of, outwards, user_frame

if TYPE_CHECKING:
    import asyncio

_POOL = str(Path("concurrent", "futures", "thread.py"))


@dataclass(frozen=True)
class Busy:
    """A VU that has not ended, and where it is: *was_cancelled* says that it is a task that could have ended."""

    vu: int
    frames: Sequence[FrameType]
    was_cancelled: bool = False

    @property
    def line(self) -> str:
        """The user's line that it is in, "file:line"."""
        return line_of(user_frame(self.frames))

    @property
    def waits_for_server(self) -> bool:
        """Whether it is in a call of a client of ours."""
        return in_our_clients(self.frames)


def frames_of_thread(ident: int | None) -> list[FrameType]:
    """Return the frames of a thread, the innermost first; none where it has ended."""
    return frames_by_thread().get(ident or 0, [])


def frames_by_thread() -> dict[int, list[FrameType]]:
    """Return the frames of every thread by its ident, the innermost first."""
    return {
        ident: list(outwards(frame))
        for ident, frame in sys._current_frames().items()  # noqa: SLF001  # documented: what debuggers use
    }


def frames_of_task(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return the frames that a waiting task would go on in, the innermost first."""
    frames: list[FrameType] = []
    waiting: Any = task.get_coro()
    while isinstance(waiting, CoroutineType):
        if waiting.cr_frame is not None:
            frames.insert(0, waiting.cr_frame)
        waiting = waiting.cr_await
    return frames


def lasting_threads(before: Iterable[threading.Thread]) -> Iterator[str]:
    """Name each thread that was not there *before*, is busy, and keeps Python from ending until it has ended.

    Threads of a VU are daemons, as the VU's own is; but Python waits for those of a ThreadPoolExecutor even then.
    """
    for thread in set(threading.enumerate()) - set(before):
        frames = frames_of_thread(thread.ident)
        of_a_pool = any(_is_pools(frame) for frame in frames)
        if frames and not _is_pools(frames[0]) and (of_a_pool or not thread.daemon):
            yield f"{thread.name}{at_user_line(frames)}"


def _is_pools(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_worker" and frame.f_code.co_filename.endswith(_POOL)

"""Coroutines that a body forgets to await: Python only warns of them, and the iteration would pass."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from types import FrameType
from typing import Any

from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.source_lines import is_ours, line_of, outwards, user_frame
from pytest_cdcperf.errors import NeverAwaitedError

_WARNING = re.compile(r"coroutine .* was never awaited")  # also "coroutine method 'asend' of ..."


@contextmanager
def failing_unawaited() -> Iterator[None]:
    """Inside the block, an iteration that drops a coroutine without having awaited it is a failed one.

    Python warns when the coroutine is freed, which is in the VU that dropped it, before its iteration ends. An
    iteration that drops none pays nothing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", _WARNING.pattern, RuntimeWarning)  # whatever the project does with them
        show = warnings.showwarning

        def fail(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            vu, said = current_vu(), _WARNING.match(str(message))
            if vu is None or said is None or category is not RuntimeWarning:
                show(message, category, *where, **options)
            else:
                remedy = "await it" if vu.is_async else "make the body an async def, and await it"
                vu.fault = vu.fault or NeverAwaitedError(
                    f"{said.group()}, so nothing of it ran; {remedy}", _dropped_at()
                )

        warnings.showwarning = fail
        yield


def _dropped_at() -> str:
    """Return "file:line" of the body at this moment, which is below the frames of this file."""
    above = dropwhile(lambda frame: frame.f_code.co_filename == __file__, outwards(inspect.currentframe()))
    return line_of(user_frame(takewhile(_is_not_ours, above))) or "the end of the body"


def _is_not_ours(frame: FrameType) -> bool:
    return not is_ours(frame.f_code.co_filename)

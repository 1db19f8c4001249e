"""Coroutines that a body forgets to await: Python only warns of them, and the iteration would pass."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_cdcperf.engine.source_lines import is_library, is_ours
from pytest_cdcperf.engine.vu import current_vu
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
    """Return "file:line" of the innermost frame that is the user's own code."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    while frame is not None and not is_ours(filename := frame.f_code.co_filename):
        if not is_library(filename):
            return f"{Path(filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return "the end of the body"

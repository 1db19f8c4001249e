"""The virtual user that runs the code at hand, and what is refused in an async one."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError
from pytest_cdcperf.metrics.scope import recording

_current: ContextVar[VU] = ContextVar("cdcperf_vu")


def current_vu() -> VU | None:
    """Return the VU that runs this code, None outside an iteration."""
    return _current.get(None)


@contextmanager
def acting_as(vu: VU) -> Iterator[VU]:
    """Make *vu* the current one inside the block, and record what is measured there."""
    token = _current.set(vu)
    vu.thread = threading.get_ident()
    try:
        with recording(vu.scope):
            yield vu
    finally:
        _current.reset(token)


def refuse_blocking(name: str, instead: str) -> None:
    """Refuse a blocking call inside an async body: it would stall every VU of the loop.

    :raises BlockingCallError: inside an async body
    """
    vu = _current.get(None)
    if vu is not None and vu.is_async:
        raise BlockingCallError(f"{name} blocks, which would stall every VU of this async test; write: await {instead}")


def refuse_awaitable(answer: object) -> None:
    """Refuse what a ``def`` body returned where it is something that is never awaited: it did nothing.

    :raises BlockingCallError: for an awaitable
    """
    if isinstance(answer, Awaitable):
        if isinstance(answer, Coroutine):
            answer.close()
        raise BlockingCallError(
            "the body returned an awaitable that nobody awaits, so nothing ran; make it an async def"
        )


class CurrentVU:
    """The fixture ``vu``: the virtual user that runs the code at hand."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        vu = _current.get(None)
        if vu is None:
            raise AttributeError(f"vu.{name} is known inside the body of a perf test only, not in its fixtures")
        return getattr(vu, name)

    def __repr__(self) -> str:
        vu = _current.get(None)
        return "<the current VU, known inside the body of a perf test only>" if vu is None else repr(vu)

"""What a body sees of the virtual user that runs it."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.errors import BlockingCallError
from pytest_cdcperf.metrics.scope import Scope, recording

if TYPE_CHECKING:
    import asyncio


class VU:
    """One virtual user.

    *id* counts from 1 over all workers, *iteration* from 0. *random* is seeded by run and id. *state* is
    the body's own, kept from one iteration to the next.
    """

    def __init__(
        self,
        number: int,
        *,
        session_id: str,
        scope: Scope,
        vus: int = 1,
        shared: Resources | None = None,
        is_async: bool = False,
        phases: LoadPhases | None = None,
    ) -> None:
        self.id = number
        self.iteration = 0
        self.session_id = session_id
        self.random = random.Random(f"{session_id}:{number}")  # noqa: S311  # load, not secrets
        self.state: dict[str, Any] = {}
        self.vus = vus
        self.is_async = is_async
        self.own = Resources()
        self.shared = Resources() if shared is None else shared
        self.scope = scope
        self.phases = phases or LoadPhases()
        self.think_ns = 0  # of this iteration
        self.thought_ns = 0  # of all
        self.fault: BaseException | None = None  # why the iteration failed although its body raises nothing
        self.tidying: dict[Hashable, Callable[[], Any]] = {}  # what clients do once the iteration is over
        self.task: asyncio.Task[None] | None = None
        self.thread = 0  # its own; a body may start others
        self.is_thinking = False  # in a pause of its own: it waits for no server
        self.pause: Callable[[float], object] = _no_pause
        self.pause_aio: Callable[[float], Awaitable[object]] = _no_pause_aio

    def add_think_time(self, spent_ns: int) -> None:
        """Note a pause of the iteration that is under way."""
        self.think_ns += spent_ns
        self.thought_ns += spent_ns

    def tidy(self) -> None:
        """Let the clients clean up behind the iteration that is over: none of it is measured."""
        while self.tidying:
            self.tidying.popitem()[1]()

    async def tidy_aio(self) -> None:
        """The same for an async body."""
        while self.tidying:
            await self.tidying.popitem()[1]()


def _no_pause(_seconds: float) -> None:
    """In once mode nobody thinks."""


async def _no_pause_aio(_seconds: float) -> None:
    """In once mode nobody thinks."""


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
    """Refuse what a ``def`` body returned where it is something that nobody awaits: it did nothing.

    :raises BlockingCallError: for an awaitable
    """
    if isinstance(answer, Awaitable):
        if isinstance(answer, Coroutine):
            answer.close()
        raise BlockingCallError(
            "the body returned an awaitable that nobody awaits, so nothing ran; make it an async def"
        )


class CurrentVU:
    """The fixture ``vu``: whichever virtual user runs the code that asks."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        vu = _current.get(None)
        if vu is None:
            raise AttributeError(f"vu.{name} is known inside the body of a perf test only, not in its fixtures")
        return getattr(vu, name)

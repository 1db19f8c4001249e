"""The virtual user as the body of a test sees it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.engine.iteration_id import UNSEEDED, IterationId, RandomSource
from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.metrics.scope import Scope

if TYPE_CHECKING:
    import asyncio


class VU:
    """One virtual user.

    *id* counts from 1 over all workers, *iteration* from 0. *random* draws numbers that depend on the seed of the
    session, the test, the load, the VU and the iteration alone. *state* is the body's own, kept from one iteration to
    the next.

    >>> def test_orders(vu, http):
    ...     customer = vu.state.setdefault("customer", f"customer-{vu.id}")
    ...     http.post("/orders", json={"customer": customer, "lines": vu.random.randint(1, 9)})
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
        source: RandomSource = UNSEEDED,
        load: str = "",
    ) -> None:
        self.id = number
        self.iteration = 0
        self.session_id = session_id
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
        self._source = source
        self._load = load
        self._random = random.Random(0)  # noqa: S311  # load, not secrets
        self._random_of = -1  # the iteration whose numbers these are
        self.pause: Callable[[float], object] = _no_pause
        self.pause_aio: Callable[[float], Awaitable[object]] = _no_pause_aio

    def __repr__(self) -> str:
        return f"<VU {self.id}, iteration {self.iteration}>"

    @property
    def random(self) -> random.Random:
        """The random numbers of the iteration: the same for the same seed, test, load, VU and iteration."""
        if self._random_of != self.iteration:  # not at the start of each: most never ask
            self._random_of = self.iteration
            self._random.seed(self._source.state_of(self.iteration_id))
        return self._random

    @property
    def iteration_id(self) -> IterationId:
        """The iteration that is under way, as ``--perf-replay`` takes it."""
        return IterationId(self._source.seed, self._load, self.id, self.iteration)

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
    """There are no pauses in once mode."""


async def _no_pause_aio(_seconds: float) -> None:
    """There are no pauses in once mode."""

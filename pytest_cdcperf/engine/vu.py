"""The virtual user as the body of a test sees it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.metrics.scope import Scope

if TYPE_CHECKING:
    import asyncio


class VU:
    """One virtual user.

    *id* counts from 1 over all workers, *iteration* from 0. *random* is seeded by run and id. *state* is
    the body's own, kept from one iteration to the next.

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

    def __repr__(self) -> str:
        return f"<VU {self.id}, iteration {self.iteration}>"

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

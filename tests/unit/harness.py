"""Parts that several unit tests share: exceptions with rules, and a run of one body."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.iteration_id import RandomSource
from pytest_cdcperf.engine.run import Body, Run, RunOutcome
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Timeline


class Skip(BaseException):
    """As pytest.skip: a BaseException."""


class Exit(Exception):  # noqa: N818
    """As pytest.exit: an Exception."""


def classify(error: BaseException) -> Raised:
    if isinstance(error, Skip):
        return Raised.SKIPPED
    return Raised.EXIT if isinstance(error, Exit) else Raised.FAILED


RULES = ExceptionRules(classify, lambda error: f"sample of {error}")


def new_vu(number: int = 1, iteration: int = 0) -> VU:
    vu = VU(number, session_id="r1", scope=Scope(Recorder()), source=RandomSource("8c41f0aa"), load="readers")
    vu.iteration = iteration
    return vu


@dataclass
class Ran:
    outcome: RunOutcome
    total: Snapshot

    def figure(self, metric: str, attribute: str = "total") -> float:
        return getattr(self.total.select(metric), attribute)


class Subject:
    """A run on the *runtime* "threads" or "tasks" that can be reached from its body and from another thread."""

    def __init__(self, runtime: str) -> None:
        self.is_async = runtime == "tasks"
        self.run: Run
        self.started = threading.Event()

    def execute(
        self,
        body: Callable[[], object],
        load: Load | Mapping[str, Load] | None = None,
        *,
        meanwhile: Callable[[], object] | None = None,
        **more: object,
    ) -> Ran:
        """Run *body*; *meanwhile* is called in another thread once *started* is set."""
        timeline = Timeline()
        call = body
        if self.is_async and not asyncio.iscoroutinefunction(body):

            async def call() -> None:
                body()

        self.run = Run(
            load if isinstance(load, Mapping) else {"": load or PerVUIterations()},
            Body(call, self.is_async),
            session_id="r1",
            rules=RULES,
            on_window=timeline.add,
            **more,
        )
        other = threading.Thread(target=lambda: self.started.wait(10) and meanwhile and meanwhile())
        other.start()
        outcome = self.run.execute()
        self.started.set()
        other.join(10)
        return Ran(outcome, timeline.series)

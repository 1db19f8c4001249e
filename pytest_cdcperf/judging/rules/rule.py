"""What the rules about one metric over a whole run have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pytest_cdcperf.errors import shown
from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.phases import PhaseSpan
from pytest_cdcperf.metrics.timeline import Window


@dataclass(frozen=True)
class RunRule:
    """A rule that judges how one metric goes over a run: :class:`Recovery` and :class:`Drift`."""

    KINDS: ClassVar[tuple[Kind, ...]]  # of metrics that it can judge

    metric: str = "response_time"

    @property
    def selector(self) -> str:
        """The metric."""
        return self.metric

    @property
    def expression(self) -> str:
        """The rule in words."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.metric} {self.expression}"

    @property
    def fault(self) -> str:
        """Why the metric cannot be judged, where its definition tells, "" otherwise."""
        known = definition(self.metric)
        if known is None or known.kind in self.KINDS:
            return ""
        return f"{shown(self.metric)} is a {known.kind}; allowed: a {' or a '.join(self.KINDS)}"

    def judge(self, windows: Sequence[Window], phases: Sequence[PhaseSpan]) -> ThresholdResult:
        """Judge the rule on the windows of a run."""
        raise NotImplementedError

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return what was observed, with its 95 % interval where there is one."""
        raise NotImplementedError

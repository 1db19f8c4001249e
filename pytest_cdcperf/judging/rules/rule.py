"""The base of the rules about one metric over a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pytest_cdcperf.checks import by_key, share_fault
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.timeline import Window

_MOST_TOLERANCE = 1000


@dataclass(frozen=True)
class RunRule:
    """A rule that judges how one metric goes over a run: :class:`Recovery` and :class:`Drift`."""

    KINDS: ClassVar[tuple[Kind, ...]]  # of metrics that it can judge

    metric: str = "response_time"

    def __post_init__(self) -> None:
        faults = by_key(metric=_metric_fault(self.metric)) + self._read_fields()
        if faults:
            raise ConfigError(*(f"{type(self).__name__}: {fault}" for fault in faults))

    def _read_fields(self) -> list[str]:
        """Read the other fields as users write them; return what is wrong with them."""
        raise NotImplementedError

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
        """Why the metric cannot be judged, where its definition shows that, "" otherwise."""
        known = definition(self.metric)
        if known is None or known.kind in self.KINDS:
            return ""
        return f"{shown(self.metric)} is a {known.kind}; allowed: a {' or a '.join(self.KINDS)}"

    def judge(self, windows: Sequence[Window], phases: Sequence[Phase]) -> ThresholdResult:
        """Judge the rule on the windows of a run."""
        raise NotImplementedError

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return what was observed, with its 95 % interval where there is one."""
        raise NotImplementedError


def _metric_fault(value: object) -> str:
    allowed = "the name of a metric, such as 'response_time'"
    return "" if isinstance(value, str) and value else f"{shown(value)}; allowed: {allowed}"


def tolerance_fault(value: object) -> str:
    """Say what is wrong with a value that must be a share, which may be above 1."""
    return share_fault(value, f"a share of 0 to {_MOST_TOLERANCE}, such as 0.5", at_most=_MOST_TOLERANCE)

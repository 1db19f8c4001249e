"""The figures of a metric as reports show them, and as ``result["name"]`` gives them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.metrics.calls import failed_calls
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, Tags
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot, State


class MetricView:
    """The figures of one metric over the whole run, in the unit of the metric: times are milliseconds.

    >>> from pytest_cdcperf.metrics.histogram import Histogram
    >>> times = Histogram()
    >>> _ = times.record([10.0, 12.0, 20.0, 14.0])
    >>> view = MetricView("response_time", times, elapsed_s=2.0)
    >>> view.max, view.avg, view.count
    (20.0, 14.0, 4.0)
    >>> view.value
    Traceback (most recent call last):
    AttributeError: response_time has no aggregate 'value'
    """

    def __init__(self, name: str, state: State, elapsed_s: float) -> None:
        self.name = name
        self.state = state
        self._elapsed_s = elapsed_s

    def aggregate(self, name: str) -> float:
        """Return an aggregate by its name in thresholds: "p(95)", "avg", "count", "rate", "value".

        :raises AttributeError: when the metric's kind has none such
        """
        value = aggregate_of(self.state, name, self._elapsed_s)
        if value is None:
            raise AttributeError(f"{self.name} has no aggregate {name!r}")
        return value

    def quantile(self, q: float) -> float:
        """Return the quantile *q*, 0 to 1, of a trend."""
        return self.aggregate(f"p({q * 100:.10g})")

    @property
    def p50(self) -> float:
        """The median of a trend, at most 0.27 % off, as all percentiles."""
        return self.quantile(0.50)

    @property
    def p90(self) -> float:
        """The 90th percentile of a trend."""
        return self.quantile(0.90)

    @property
    def p95(self) -> float:
        """The 95th percentile of a trend."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float:
        """The 99th percentile of a trend."""
        return self.quantile(0.99)

    @property
    def avg(self) -> float:
        """The mean of a trend."""
        return self.aggregate("avg")

    @property
    def med(self) -> float:
        """The median of a trend: k6's name for :attr:`p50`."""
        return self.aggregate("med")

    @property
    def min(self) -> float:
        """The smallest sample of a trend, or reading of a gauge."""
        return self.aggregate("min")

    @property
    def max(self) -> float:
        """The largest sample of a trend, or reading of a gauge."""
        return self.aggregate("max")

    @property
    def count(self) -> float:
        """The number of samples of a trend; the sum of a counter."""
        return self.aggregate("count")

    @property
    def rate(self) -> float:
        """A counter's sum a second; a rate's share of true values, 0 to 1."""
        return self.aggregate("rate")

    @property
    def value(self) -> float:
        """The last reading of a gauge."""
        return self.aggregate("value")


def labelled(snapshot: Snapshot) -> Iterator[tuple[str, Tags, State]]:
    """Yield (metric, tags, state) of each metric of *snapshot*, and of the failed calls where it is of calls."""
    for name in snapshot.names():
        if (state := snapshot.select(name)) is not None:
            yield name, (), state
        tag = failed_calls(name)
        if tag is not None and (failed := snapshot.select(name, dict([tag]))) is not None:
            yield name, (tag,), failed


def kind_of(state: State) -> Kind:
    """Return the kind of the metric that *state* is of."""
    match state:
        case Histogram():
            return Kind.TREND
        case CounterState():
            return Kind.COUNTER
        case RateState():
            return Kind.RATE
        case _:
            return Kind.GAUGE


def shown_aggregates(state: State) -> tuple[str, ...]:
    """Return the aggregates that reports show for a state of this kind."""
    match state:
        case CounterState():
            return ("count", "rate")
        case RateState():
            return ("rate",)
        case GaugeState():
            return ("value", "min", "max")
        case _:
            return ("avg", "min", "med", "max", "p(90)", "p(95)", "p(99)")


def figures_of(state: State, elapsed_s: float) -> dict[str, float]:
    """Return every shown aggregate of *state* by name."""
    return {name: aggregate_of(state, name, elapsed_s) or 0.0 for name in shown_aggregates(state)}

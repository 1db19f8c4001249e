"""The part of a measured time that may be the load generator's own delay.

An iteration wakes several times, and each time it may wait for the generator as long as a heartbeat does. So the own
delay of a figure is twice the lateness of the beats at the same quantile, or the lateness of the starts where that is
larger. It is an upper bound within a factor of about two, not a correction: no figure is changed by it.
"""

from __future__ import annotations

from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.snapshot import Snapshot

WAKES = 2  # of one iteration
SMALLEST_MS = 10.0
TOLERATED_SHARE = 0.1
_MOST_SLOWED = 0.99  # the own delay is an upper bound, and may be above all that was measured
GENERATORS = {builtin.GENERATOR_DELAY.name, builtin.GENERATOR_LAG.name, builtin.GENERATOR_LOST.name}
TELLING = {*GENERATORS, builtin.ITERATION_DURATION.name}  # of the generator's part in a figure


def own_delay_ms(snapshot: Snapshot, aggregate: str) -> float:
    """Return the generator's own delay for *aggregate* ("p(95)", "max", "avg", ...) of times that *snapshot* covers.

    0 where nothing is known of it.
    """
    beats = _at(snapshot, builtin.GENERATOR_DELAY.name, aggregate)
    return max(WAKES * beats, _at(snapshot, builtin.GENERATOR_LAG.name, aggregate))


def tolerance_ms(figure_ms: float) -> float:
    """Return how much own delay a figure may have before it is worth a word: 10 ms, or a tenth of it."""
    return max(SMALLEST_MS, TOLERATED_SHARE * figure_ms)


def is_time(metric: str) -> bool:
    """Whether *metric* is a measured time, which the generator's own delay adds to, and none of its own delays."""
    known = definition(metric)
    return known is not None and known.kind is Kind.TREND and known.unit == "ms" and known.name not in GENERATORS


def distorts(snapshot: Snapshot, metric: str, aggregate: str = "p(95)") -> bool:
    """Whether the generator's own delay is too large for *aggregate* of *metric* to be judged from this window."""
    return is_time(metric) and own_delay_ms(snapshot, aggregate) > tolerance_ms(_at(snapshot, metric, aggregate))


def lost_s(snapshot: Snapshot) -> float:
    """Return the seconds in which the generator could not run, over all workers."""
    return snapshot.count(builtin.GENERATOR_LOST.name)


def slowed_share(snapshot: Snapshot) -> float:
    """Return the share of an iteration, 0 to 0.99, that may be the generator's own delay.

    It lowers the rate of a closed loop. Where iterations start by the clock it does not: the share is 0.
    """
    took_ms = _at(snapshot, builtin.ITERATION_DURATION.name, "avg")
    if took_ms <= 0 or snapshot.trend(builtin.GENERATOR_LAG.name).count:
        return 0.0
    return min(_MOST_SLOWED, own_delay_ms(snapshot, "avg") / took_ms)


def only_delays(snapshot: Snapshot) -> Snapshot:
    """Return those series of *snapshot* that show the generator's part in a figure."""
    return snapshot.only(TELLING)


def _at(snapshot: Snapshot, metric: str, aggregate: str) -> float:
    samples = snapshot.trend(metric)
    if not samples.count or aggregate == "count":
        return 0.0
    return aggregate_of(samples, aggregate, 0.0) or 0.0

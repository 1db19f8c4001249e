"""The fitness of the load generator, and the limits that can still be judged where it was not fit.

The generator's own delay only adds to what is measured. So a limit that is kept is kept, provided that the load came;
and one that is crossed may be crossed by the generator alone. A run is INVALID where

- (a) a worker could not run for more than 15 % of the time: load and figures are the generator's own;
- (b) an upper limit is crossed, and the own delay is above 10 ms and above that limit itself;
- (c) an upper limit is crossed that the figure less the own delay keeps, and the own delay is above 5 % of the limit;
- (d) a lower limit on a count is missed that would be kept without the time that was lost, or in a closed loop without
  the own delay of each iteration.

Otherwise the verdict stands, and an own delay above 10 ms and a tenth of the figure is noted beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_cdcperf.judging.delay_cause import cause
from pytest_cdcperf.judging.own_delay import SMALLEST_MS, is_time, lost_s, own_delay_ms, slowed_share, tolerance_ms
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.words import reason, subject
from pytest_cdcperf.judging.worker_delay import WHOLE_RUN, WorkerDelay
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.units import figure

MOST_LOST = 0.15
SMALLEST_SHARE_OF_LIMIT = 0.05
_JUDGED = {Outcome.PASSED, Outcome.FAILED}


@dataclass(frozen=True)
class Measured:
    """A threshold's result with the generator's part in it.

    *own_ms* is the own delay at the threshold's aggregate over the windows that were judged, and *lost* the share of
    their time in which the generator could not run, the mean of all workers. *slowed* is the share of an iteration of a
    closed loop that may be the own delay.
    """

    result: ThresholdResult
    own_ms: float = 0.0
    lost: float = 0.0
    slowed: float = 0.0


@dataclass(frozen=True)
class Fitness:
    """The judgement of it: *reasons* why a run cannot be judged at all, the *results* of its thresholds, and *notes*.

    A threshold that cannot be judged has the outcome ``UNFIT``, with the reason as its note.
    """

    reasons: tuple[str, ...]
    results: tuple[ThresholdResult, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """All that cannot be judged, a line each."""
        return [*self.reasons, *(reason(r) for r in self.undecided)]

    @property
    def undecided(self) -> list[ThresholdResult]:
        """The thresholds that cannot be judged."""
        return [result for result in self.results if result.outcome is Outcome.UNFIT]

    @property
    def is_fit(self) -> bool:
        """Whether everything could be judged."""
        return not self.reasons and not self.undecided


def measured(result: ThresholdResult, delays: Snapshot, worker_seconds: float) -> Measured:
    """Return *result* with the generator's part in it.

    :param delays: what the generator recorded of itself in the windows that were judged
    :param worker_seconds: the length of these windows, times the workers
    """
    lost = lost_s(delays) / worker_seconds if worker_seconds > 0 else 0.0
    threshold = result.threshold
    if not isinstance(threshold, Threshold) or threshold.aggregate == "count" or not is_time(threshold.metric):
        return Measured(result, lost=lost, slowed=slowed_share(delays))
    return Measured(result, own_delay_ms(delays, threshold.aggregate), lost)


def assess(thresholds: Sequence[Measured], workers: Sequence[WorkerDelay]) -> Fitness:
    """Apply the rule to a run."""
    scopes = {WHOLE_RUN: None} | {_phase(measured.result): None for measured in thresholds}
    unfit = [scope for scope in scopes if _most_lost(workers, scope) > MOST_LOST]
    if WHOLE_RUN in unfit:
        unfit = [WHOLE_RUN]
    results, notes = [], []
    for one in thresholds:
        why = "" if unfit else _cause(workers, _phase(one.result))  # the run's reason has it already
        doubt = _doubt(one)
        if doubt:
            note = f"{doubt}. {_sentence(why)}".removesuffix(". ")
            results.append(replace(one.result, outcome=Outcome.UNFIT, note=note))
        else:
            results.append(one.result)
            notes += [] if unfit else _note(one, why)
    return Fitness(tuple(_cannot_run(workers, scope) for scope in unfit), tuple(results), tuple(dict.fromkeys(notes)))


def _doubt(measured: Measured) -> str:
    """Say why the threshold cannot be judged, "" where it can."""
    result, own_ms = measured.result, measured.own_ms
    threshold, observed = result.threshold, result.observed
    if not isinstance(threshold, Threshold) or observed is None or result.outcome not in _JUDGED:
        return ""
    limit, crossed = threshold.limit, result.outcome is Outcome.FAILED
    if threshold.is_upper and crossed and own_ms > max(SMALLEST_MS, limit):
        return f"the generator's own delay, {_ms(own_ms)}, is above the limit"
    large = own_ms > SMALLEST_SHARE_OF_LIMIT * limit
    if threshold.is_upper and crossed and large and threshold.holds(observed - own_ms):
        own = f"up to {_ms(min(own_ms, observed))} of that is the generator's own delay"
        return f"{own}, so it is uncertain whether the limit was kept"
    if threshold.is_lower and crossed and _counts(threshold):
        return _doubt_of_count(threshold, observed, measured)
    return ""


def _doubt_of_count(threshold: Threshold, observed: float, measured: Measured) -> str:
    share = max(measured.lost, measured.slowed)
    if not 0 < share < 1 or not threshold.holds(without := observed / (1 - share)):
        return ""
    if share == measured.lost:
        why = f"the generator could not run for {figure(share, '%')} of the time"
    else:
        why = f"up to {figure(share, '%')} of an iteration is the generator's own delay"
    return (
        f"{why}, without which it is {figure(without, threshold.unit)}, so it is uncertain whether the limit was kept"
    )


def _note(measured: Measured, why: str) -> list[str]:
    result, own_ms = measured.result, measured.own_ms
    threshold, observed = result.threshold, result.observed
    if not isinstance(threshold, Threshold) or observed is None or result.outcome not in _JUDGED:
        return []
    if own_ms <= tolerance_ms(observed):
        return []
    because = f" ({why})" if why else ""
    share = f"up to {_ms(min(own_ms, observed))} of it is the generator's own delay"
    return [f"{subject(threshold)} {figure(observed, threshold.unit)}: {share}{because}; the verdict holds"]


def _cannot_run(workers: Sequence[WorkerDelay], phase: str) -> str:
    worst = max(workers, key=lambda worker: worker.lost(phase))
    seen = worst.evidence(phase)
    over = sum(worker.lost(phase) > MOST_LOST for worker in workers)
    where = f" in {phase}" if phase else ""
    whose = f" of {worst.worker}" if len(workers) > 1 else ""
    others = f", {over} of {len(workers)} workers are above" if len(workers) > 1 else ""
    lost = f"the generator{whose} could not run for {worst.lost(phase):.0%} of the time{where}"
    when = f"worst at {seen.worst_from_s:.0f}-{seen.worst_to_s:.0f} s, {seen.worst_ms:.0f} ms late"
    why = _cause(workers, phase)
    return f"{lost} (allowed {MOST_LOST:.0%}{others}), {when}" + (f": {why}" if why else "")


def _cause(workers: Sequence[WorkerDelay], phase: str) -> str:
    """Say why the worker was late that was so the most."""
    worst = max(workers, key=lambda worker: worker.lost(phase), default=None)
    if worst is None:
        return ""
    beside = Counter(worker.host for worker in workers if worker.host)
    seen = worst.evidence(phase)
    return cause(seen if seen.late_s else worst.evidence(), beside[worst.host])


def _most_lost(workers: Sequence[WorkerDelay], phase: str) -> float:
    return max((worker.lost(phase) for worker in workers), default=0.0)


def _phase(result: ThresholdResult) -> str:
    threshold = result.threshold
    return (threshold.phase or WHOLE_RUN) if isinstance(threshold, Threshold) else WHOLE_RUN


def _counts(threshold: Threshold) -> bool:
    """Whether the figure grows with the load: a count, or a counter's rate a second."""
    metric = definition(threshold.metric)
    return threshold.aggregate == "count" or (
        threshold.aggregate == "rate" and metric is not None and metric.kind is Kind.COUNTER
    )


def _ms(value: float) -> str:
    return figure(value, "ms", digits=3)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

"""From thresholds and failed iterations to one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.snapshot import RateState, Snapshot
from pytest_cdcperf.metrics.threshold import Outcome, Threshold, ThresholdResult, evaluate


class Verdict(StrEnum):
    """FAILED and INVALID both fail the test. INVALID says that the figures cannot carry a judgement."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INVALID = "INVALID"


@dataclass(frozen=True)
class Judgement:
    """The verdict, with a line for each reason where it is not PASSED, and every threshold's result."""

    verdict: Verdict
    reasons: tuple[str, ...]
    thresholds: tuple[ThresholdResult, ...]


def judge(
    snapshot: Snapshot,
    elapsed_s: float,
    thresholds: Iterable[Threshold],
    *,
    error_rate: float,
    shortened: bool,
    faults: Sequence[str] = (),
) -> Judgement:
    """Judge a run by its merged figures.

    :param error_rate: the highest share of failed iterations that is tolerated, 0 to 1
    :param shortened: the user asked for a shorter run than the test states: a percentile with too few
        samples is then not judged, instead of making the run INVALID
    :param faults: what went wrong with the run as a whole: each fails it
    """
    results = [evaluate(threshold, snapshot, elapsed_s) for threshold in thresholds]
    if shortened:
        results = [replace(r, outcome=Outcome.NOT_JUDGED) if r.outcome is Outcome.TOO_FEW else r for r in results]
    reasons = [*faults, *_too_many_failures(snapshot, error_rate)]
    reasons += [_crossed(r) for r in results if r.outcome in {Outcome.FAILED, Outcome.NO_SAMPLES}]
    if reasons:
        return Judgement(Verdict.FAILED, tuple(reasons), tuple(results))
    weak = [f"{r.threshold}: {r.note}; run longer" for r in results if r.outcome is Outcome.TOO_FEW]
    return Judgement(Verdict.INVALID if weak else Verdict.PASSED, tuple(weak), tuple(results))


def _too_many_failures(snapshot: Snapshot, error_rate: float) -> list[str]:
    failed = snapshot.select(builtin.ITERATION_FAILED.name)
    if not isinstance(failed, RateState) or not failed.total:
        return ["no iteration was completed"]
    if failed.rate > error_rate:
        share = f"{failed.hits} of {failed.total} iterations failed ({failed.rate:.2%})"
        return [f"{share}; tolerated: error_rate={error_rate:g}"]
    return []


def _crossed(result: ThresholdResult) -> str:
    observed = "" if result.observed is None else f": observed {result.observed:.6g}"
    note = f" ({result.note})" if result.note else ""
    return f"{result.threshold}{observed}{note}"

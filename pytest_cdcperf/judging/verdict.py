"""From thresholds, failed iterations and the generator's own state to one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.words import reason
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.units import figures_apart

_UNDECIDED = {Outcome.TOO_FEW, Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED}


class Verdict(StrEnum):
    """FAILED and INVALID both fail the test. INVALID says that the figures cannot carry a judgement.

    >>> Verdict.PASSED == "PASSED"
    True
    """

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
    total: Snapshot,
    results: Sequence[ThresholdResult],
    *,
    saturation: Saturation | None = None,
    error_rate: float,
    error: str = "",
    shortened: bool,
    body: str = "",
    broken: Sequence[str] = (),
    faults: Sequence[str] = (),
    unfit: Sequence[str] = (),
) -> Judgement:
    """Judge a run by its merged figures.

    :param saturation: that not all of the load came
    :param error_rate: the highest share of failed iterations that is tolerated, 0 to 1
    :param error: the kinds of failures, the most frequent first
    :param shortened: the user asked for a shorter run than the test states: what that run cannot show is then not
        judged, instead of making the run INVALID
    :param body: that every iteration failed in the same way, which has ended the run
    :param broken: what the run needed and lost, such as a server: it is FAILED, whatever the generator did
    :param faults: what went wrong with the run as a whole: each fails it
    :param unfit: why the generator was not fit to produce the load: each makes the run INVALID, unless a fault or a
        body that mostly fails says what to mend first
    """
    if shortened:
        results = [replace(r, outcome=Outcome.NOT_JUDGED) if r.outcome is Outcome.TOO_FEW else r for r in results]
    failed, mostly = [] if body else _too_many_failures(total, error_rate, error), _mostly_fails(total)
    first = [*broken, *filter(None, [body]), *faults, *(failed if mostly else ())]
    failing = [*(() if mostly else failed), *([saturation.words] if saturation else [])]
    failing += [reason(r) for r in results if r.outcome in {Outcome.FAILED, Outcome.NO_SAMPLES}]
    untold = [reason(r) for r in results if r.outcome is Outcome.UNFIT]
    if first:
        weak = () if broken or body else unfit
        return Judgement(Verdict.FAILED, (*first, *weak, *failing, *untold), tuple(results))
    if unfit:
        return Judgement(Verdict.INVALID, (*unfit, *failing, *untold), tuple(results))
    if failing:
        return Judgement(Verdict.FAILED, (*failing, *untold), tuple(results))
    undecided = [] if shortened else [reason(r) for r in results if r.outcome in _UNDECIDED]
    invalid = (*untold, *undecided)
    return Judgement(Verdict.INVALID if invalid else Verdict.PASSED, invalid, tuple(results))


def _mostly_fails(total: Snapshot) -> bool:
    """Whether it is the body that fails, and not now and then an iteration that a weak generator made late."""
    failed = total.rate(builtin.ITERATION_FAILED.name)
    return not failed.total or failed.rate > 0.5


def _too_many_failures(snapshot: Snapshot, error_rate: float, error: str) -> list[str]:
    failed = snapshot.rate(builtin.ITERATION_FAILED.name)
    if not failed.total:
        return ["no iteration was completed"]
    if failed.rate > error_rate:
        share, tolerated = figures_apart(failed.rate, error_rate, "%")
        count = f"{failed.hits:,} of {failed.total:,} iterations failed"
        return [f"{count} ({share}, tolerated {tolerated}){f': {error}' if error else ''}"]
    return []

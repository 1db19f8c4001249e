"""The outcome of a threshold as one line: the figure and the limit with their unit, and a reason where it needs one."""

from __future__ import annotations

from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.units import figure, figures_apart

_UNDECIDED = {Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED}


def subject(threshold: Threshold) -> str:
    """Return what is judged: "p(95) of cdc_e2e_latency in hold"."""
    return f"{threshold.aggregate} of {threshold.selector}{threshold.scope}"


def limit_in_words(threshold: Threshold) -> str:
    """Return the limit with its unit: "the limit of 2,000 ms on p(95) of cdc_e2e_latency"."""
    of = "failed iterations" if threshold.metric == builtin.ITERATION_FAILED.name else subject(threshold)
    return f"the limit of {figure(threshold.limit, threshold.unit)} on {of}"


def observed(result: ThresholdResult) -> str:
    """Return what was observed, with its unit, "" where nothing was."""
    threshold = result.threshold
    if result.observed is None:
        return ""
    return threshold.in_words(result.observed, None if isinstance(threshold, Threshold) else result.interval)


def reason(result: ThresholdResult) -> str:
    """Return the line that says why *result* is not PASSED.

    Such as "p(95) of cdc_e2e_latency in hold 2,412 ms, limit 2,000 ms (p(95)<2000)".
    """
    threshold, seen = result.threshold, observed(result)
    if not isinstance(threshold, Threshold):
        first = f"{result.outcome}: " if result.outcome in _UNDECIDED else ""
        said = seen or (str(result.outcome) if result.outcome is Outcome.NO_SAMPLES else "")
        return first + _with_note(f"{threshold}: {said}" if said else str(threshold), result.note)
    if result.observed is None:
        figures = f": {Outcome.NO_SAMPLES}, " if result.outcome is Outcome.NO_SAMPLES else ": "
        figures += f"limit {figure(threshold.limit, threshold.unit)}"
    else:
        figures = f" {seen}, limit {figures_apart(result.observed, threshold.limit, threshold.unit)[1]}"
    then = "; run longer" if result.outcome is Outcome.TOO_FEW else ""
    note = f": {result.note}{then}" if result.note else ""
    return f"{subject(threshold)}{figures} ({threshold.expression}){note}"


def _with_note(text: str, note: str) -> str:
    return f"{text} ({note})" if note else text

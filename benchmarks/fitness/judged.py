"""Judges the figures of a situation against limits around their true values, by the product's rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from benchmarks.fitness.situations import Situation
from benchmarks.fitness.worker import Sent
from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.messages import Plan, ShareDone
from pytest_cdcperf.judging.own_delay import tolerance_ms
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.results.result import RunFacts, RunResult

KEPT = (1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)  # times the truth: a fit generator passes them
CROSSED = (0.5, 0.7, 0.85, 0.95)
LOWER_KEPT, LOWER_MISSED = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98), (1.1, 1.3)
MOST_SHORT = 0.1  # of the load
RATE = "iterations rate"
_HUGE = 1e9


@dataclass(frozen=True)
class Case:
    """One figure against one limit. *verdict* is PASSED, FAILED or INVALID, for this limit alone, and *rule* says why.

    *limit_holds* is whether the truth keeps the limit, *figure_holds* whether what was measured does. *is_right*: off
    by at most 10 ms or a tenth, of a load of which at most a tenth is missing.
    """

    run: str
    figure: str
    truth: float
    measured: float
    limit: float
    limit_holds: bool
    figure_holds: bool
    load_came: bool
    is_right: bool
    verdict: str
    rule: str


def replayed(sent: Sequence[Sent], limits: Mapping[str, Sequence[Limit]], situation: Situation) -> RunResult:
    """Return the result of a run whose workers *sent* so, judged by *limits*."""
    facts = RunFacts("r", "t", "load", 0.0)
    names = [f"gw{number}" for number in range(len(sent))]
    plan = Plan("t", 1, facts, parse_thresholds(limits), phases=situation.load.phases)
    coordinator = RunAggregator(plan, names)
    for together in zip_longest(*sent):
        for name, message in zip(names, together, strict=True):
            if isinstance(message, ShareDone):
                coordinator.take_done(name, message)
            elif message is not None:
                coordinator.take_window(name, message.window, message.delays)
    return coordinator.result()


def cases(situation: Situation, sent: Sequence[Sent]) -> list[Case]:
    """Return every figure of *situation* against every limit."""
    found, came = [], True
    if situation.rate is not None:
        (mean,) = replayed(sent, {"true_ms": [Limit(f"avg<{_HUGE}")]}, situation).thresholds
        truth = situation.rate((mean.observed or 0.0) / 1e3)
        limits = [Limit(f"rate>={truth * factor!r}") for factor in (*LOWER_KEPT, *LOWER_MISSED)]
        result = replayed(sent, {"iterations": limits}, situation)
        came = (result.thresholds[0].observed or 0.0) >= (1 - MOST_SHORT) * truth
        if situation.is_level:
            found += _cases(situation.name, RATE, truth, result, came=came)
    for aggregate, where in situation.figures:
        (true,) = replayed(sent, {"true_ms": [Limit(f"{aggregate}<{_HUGE}", **where)]}, situation).thresholds
        truth = true.observed or 0.0
        figure = " ".join(("response_time", aggregate, *where.values()))
        limits = [Limit(f"{aggregate}<{truth * factor!r}", **where) for factor in (*KEPT, *CROSSED)]
        result = replayed(sent, {"response_time": limits}, situation)
        found += _cases(situation.name, figure, truth, result, came=came)
    return found


def _cases(run: str, figure: str, truth: float, result: RunResult, *, came: bool) -> Iterator[Case]:
    for threshold in result.thresholds:
        measured, limit = threshold.observed or 0.0, threshold.threshold
        rule = _rule(result, threshold)
        verdict = "INVALID" if rule else ("FAILED" if threshold.outcome is Outcome.FAILED else "PASSED")
        right = came and (figure == RATE or abs(measured - truth) <= tolerance_ms(truth))
        holds = limit.holds(truth), limit.holds(measured)
        yield Case(run, figure, truth, measured, limit.limit, *holds, came, right, verdict, rule)


def _rule(result: RunResult, of: ThresholdResult) -> str:
    """Return which part of the rule leaves a limit untold, "" where it is told."""
    if any("(allowed" in reason for reason in result.reasons):
        return "a"
    if of.outcome is not Outcome.UNFIT:
        return ""
    if isinstance(of.threshold, Threshold) and of.threshold.is_lower:
        return "d"
    return "b" if "is above the limit" in of.note else "c"


@dataclass
class Count:
    """The number of wrong verdicts of one kind, and how many are allowed."""

    words: str
    allowed: float | None
    bad: int = 0
    of: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        share = self.bad / self.of if self.of else 0.0
        rules = "".join(f", {number} by ({rule})" for rule, number in sorted(self.by_rule.items()))
        asked = ""
        if self.allowed is not None:
            asked = f" (at most {self.allowed:.0%}: {'met' if share <= self.allowed else 'NOT MET'})"
        return f"{self.words}: {self.bad} of {self.of}, {share:.1%}{asked}{rules}"


FIGURES: Sequence[tuple[str, Callable[[str], bool], float | None]] = (
    ("p(95)", lambda figure: figure == "response_time p(95)", 0.0),
    ("p(99)", lambda figure: figure == "response_time p(99)", 0.03),
    ("avg or max", lambda figure: figure in {"response_time avg", "response_time max"}, None),
    ("p(95) of a phase", lambda figure: figure.endswith(("ramp-up", "hold")), None),
    ("p(95) or max with over=", lambda figure: figure.endswith("s") and figure != RATE, None),
    ("a rate of iterations", lambda figure: figure == RATE, None),
)


def acceptance(found: Sequence[Case]) -> list[Count]:
    """Return what is asked of the rule, and what else is worth knowing, counted over all cases of all situations."""
    counts = []
    for words, figures, allowed in FIGURES:
        right = [c for c in found if figures(c.figure) and c.is_right and c.limit_holds and c.figure_holds]
        counts.append(_count(f"{words} is right and within its limit, yet INVALID", allowed, right, "INVALID"))
    ours = [case for case in found if case.limit_holds and not case.figure_holds]
    counts.append(_count("a limit is crossed by the generator alone, yet FAILED", 0.05, ours, "FAILED"))
    for words, figures, _ in FIGURES:
        these = [case for case in ours if figures(case.figure)]
        counts.append(_count(f"    of these {words}", None, these, "FAILED"))
    slow = [case for case in found if not case.limit_holds]
    short = [case for case in found if not case.load_came and case.limit_holds and case.figure_holds]
    counts.append(_count("the system is too slow, yet PASSED", 0.0, slow, "PASSED"))
    counts.append(_count("the system is too slow, INVALID instead of FAILED", None, slow, "INVALID"))
    counts.append(_count("more than a tenth of the load did not come, yet PASSED", None, short, "PASSED"))
    return counts


def _count(words: str, allowed: float | None, those: Sequence[Case], wrong: str) -> Count:
    bad = [case for case in those if case.verdict == wrong]
    return Count(words, allowed, len(bad), len(those), Counter(case.rule for case in bad if case.rule))

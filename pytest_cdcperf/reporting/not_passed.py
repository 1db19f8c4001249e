"""The text of a run that did not pass, for whoever shows a failed test: pytest, JUnit files, IDEs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.judging.words import reason as in_words
from pytest_cdcperf.reporting.lines import columns_of, wrapped
from pytest_cdcperf.reporting.view import FailureView, RunView
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figures_apart

_MOST_KINDS = 10
_SAMPLE_LINES = 20
_CLAUSE = re.compile(r"[;:,] | \(")
_CUT, _LEAST_CUT = " ...", 24
_ITERATIONS = " iterations failed"
_DIGIT = re.compile(r"\d(?!\d*\))")  # of a figure, not of p(95)


@dataclass(frozen=True)
class FailureText:
    """Why a run did not pass: its *reasons*, a line each, and the failures of its iterations by kind."""

    verdict: Verdict
    reasons: tuple[str, ...]
    details: tuple[str, ...] = ()

    @classmethod
    def of(cls, view: RunView) -> FailureText:
        """Return the text for *view*; its first line says most."""
        # That a test has failed is said by whoever shows it; that its figures cannot be judged is not.
        first = f"{view.verdict}: " if view.verdict is not Verdict.FAILED else ""
        reasons = view.reasons or ("no reason was given",)
        reasons = (first + reasons[0], *reasons[1:])
        warnings = (f"WARNING, {warning}" for warning in view.warnings)
        return cls(view.verdict, (*reasons, *warnings), tuple(_details(view.failures)))

    @property
    def message(self) -> str:
        """All reasons, the first one first."""
        return "\n".join(self.reasons)

    def __str__(self) -> str:
        return "\n".join([*self.reasons, *self.details])


def first_reason(result: RunResult, width: int) -> str:
    """Return why *result* did not pass in at most *width* columns, with its figure whole; "" where even that is longer.

    >>> from pytest_cdcperf.judging.verdict import Verdict
    >>> from pytest_cdcperf.results.result import RunFacts
    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> failed = RunResult(facts, 300.0, Verdict.FAILED, reasons=("5 of 100 iterations failed (5%, tolerated 0%)",))
    >>> first_reason(failed, 40)
    '5 of 100 iterations failed'
    """
    forms = list(_forms(result))
    fitting = next((form for form in forms if columns_of(form) <= width), "")
    if fitting or width < _LEAST_CUT:
        return fitting
    return wrapped(forms[0], width - len(_CUT))[0] + _CUT


def _forms(result: RunResult) -> Iterator[str]:
    """Yield the first reason whole, then ever shorter."""
    reason = FailureText.of(RunView.of(result)).reasons[0]
    yield reason
    for end in reversed(list(_CLAUSE.finditer(reason))):  # there no figure is cut from its unit
        part = reason[: end.start()]
        if _DIGIT.search(part) and part.count("(") == part.count(")"):
            yield part
    crossed = next((judged for judged in result.thresholds if result.reasons[:1] == (in_words(judged),)), None)
    if crossed is not None and isinstance(limit := crossed.threshold, Threshold) and crossed.observed is not None:
        value, bound = figures_apart(crossed.observed, limit.limit, limit.unit)
        yield from (f"{limit.aggregate} {value}, limit {bound}", f"{limit.aggregate} {value}", value)
    elif _ITERATIONS in reason:
        yield reason.partition(_ITERATIONS)[0] + " failed"


def _details(kinds: tuple[FailureView, ...]) -> list[str]:
    lines: list[str] = []
    for number, kind in enumerate(kinds[:_MOST_KINDS]):
        span = f", {kind.span}" if kind.span else ""
        lines.append(f"{kind.error} at {kind.where}: {kind.count:,} time{'s' * (kind.count != 1)}{span}")
        if number == 0:
            lines += [f"    {line}" for line in kind.sample[-_SAMPLE_LINES:]]
    more = kinds[_MOST_KINDS:]
    if more:
        count = sum(kind.count for kind in more)
        lines.append(f"and {len(more)} more kind{'s' * (len(more) > 1)}: {count:,} time{'s' * (count != 1)}")
    lines += [f"again: {kind.again}" for kind in kinds if kind.again][:1]
    return lines

"""The text of a run that did not pass, for whoever shows a failed test: pytest, JUnit files, IDEs."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.reporting.view import FailureView, RunView

_MOST_KINDS = 10
_SAMPLE_LINES = 20


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
        warnings = (f"WARNING, the generator was unfit: {warning}" for warning in view.warnings)
        return cls(view.verdict, (*reasons, *warnings), tuple(_details(view.failures)))

    def __str__(self) -> str:
        return "\n".join([*self.reasons, *self.details])


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
    return lines

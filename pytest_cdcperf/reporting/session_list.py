"""The sessions whose results are saved as a table of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.columns import Column, table
from pytest_cdcperf.results.saved import SavedSession

_COLUMNS = (
    *(Column("started", right=False), Column("id", right=False), Column("tests"), Column("verdicts", right=False)),
    *(Column("profile", right=False, least=8), Column("commit", right=False), Column("path", right=False, rank=1)),
)
_MOST_PROFILES = 3  # that are named
_COMMIT_DIGITS = 7


def session_lines(sessions: Sequence[SavedSession], width: int) -> list[str]:
    """Return a line for each of *sessions*, below a line of heads: with the path where *width* has room for it."""
    return table(_COLUMNS, [_row(session) for session in sessions], width)


def _row(session: SavedSession) -> tuple[str, ...]:
    tests = {run.test for run in session.runs}
    return (
        session.started,
        session.session_id,
        str(len(tests)),
        _verdicts(session),
        _few(run.profile for run in session.runs),
        _few(run.commit[:_COMMIT_DIGITS] for run in session.runs),
        one_line(str(session.path)),
    )


def _verdicts(session: SavedSession) -> str:
    counts = Counter(run.verdict for run in session.runs)
    known = [str(verdict) for verdict in Verdict if counts[verdict]]
    words = [f"{counts[verdict]} {verdict}" for verdict in known]
    unreadable = len(session.faults) + sum(counts.values()) - sum(counts[verdict] for verdict in known)
    return ", ".join([*words, *([f"{unreadable} unreadable"] if unreadable else [])]) or "no result"


def _few(names: Iterable[str]) -> str:
    found = [short_name(name) for name in dict.fromkeys(names) if name]
    return ", ".join(found[:_MOST_PROFILES]) + ", ..." * (len(found) > _MOST_PROFILES)

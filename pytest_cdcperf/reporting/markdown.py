"""Results as Markdown for GitHub: the summary of a job, and the comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.reporting.view import WORST_FIRST, FailureView, RunView
from pytest_cdcperf.results.result import RunResult

COMMENT_BYTES = 60_000  # GitHub takes 65,536 characters
SUMMARY_BYTES = 1_000_000  # GitHub takes 1 MiB from all of a step
_MOST_OPERATIONS = 20

# What Markdown, HTML or GitHub's mathematics give a meaning to. An underscore within a word has none.
_SPECIAL = re.compile(r"[\\`*\[\]|~$&<>\"]|(?<![^\W_])_|_(?![^\W_])")
# What GitHub makes a link to a user, an issue or a page: @name, #12, https://
_LINKED = re.compile(r"[@#](?=\w)|:(?=//)")
_URL = re.compile(r"https?://[^\s()<>\"'`|\\]+")
_FENCE = re.compile("`{3,}")


def markdown(results: Sequence[RunResult], budget: int = COMMENT_BYTES) -> str:
    """Return *results* in at most *budget* bytes: the verdict, the limits, and the rest folded.

    What is longer loses the tracebacks first, then its end, and says so. *results* are not empty.
    """
    views = [RunView.of(result) for result in results]
    for samples in (True, False):
        text = "\n\n".join(_blocks(views, samples=samples)) + "\n"
        if len(text.encode()) <= budget:
            return text
    return _cut(text, budget)


def prose(text: str) -> str:
    """Return a text of users or servers as plain words: no markup, no table cell's end, no mention, no link."""
    return _SPECIAL.sub(_entity, _LINKED.sub("\\g<0>\u200b", text))  # a space without width


def code(text: str) -> str:
    """Return a name of users or servers in the type of code, in which GitHub links nothing."""
    return f"<code>{_SPECIAL.sub(_entity, text)}</code>"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _blocks(views: Sequence[RunView], *, samples: bool) -> Iterator[str]:
    yield _first_sentence(views)
    if len(views) > 1:
        head = ("test", "rate", "p95", "errors", "verdict")
        yield _table(head, ([code(v.test), v.rate, v.p95, v.errors, str(v.verdict)] for v in views))
    for view in sorted(views, key=lambda view: WORST_FIRST.index(view.verdict)):
        yield from _run(view, view.reasons if len(views) > 1 else view.reasons[1:], samples=samples)
    yield from _environment(views)


def _first_sentence(views: Sequence[RunView]) -> str:
    worst = min((view.verdict for view in views), key=WORST_FIRST.index)
    first = next(view for view in views if view.verdict is worst)
    alone, why = len(views) == 1, prose("".join(first.reasons[:1]))
    if worst is Verdict.PASSED:
        said = f"{code(first.test)}, {first.kept}" if alone else f"{len(views)} perf tests"
    elif alone:
        said = why
    else:
        missed = sum(view.verdict is not Verdict.PASSED for view in views)
        said = f"{missed} of {len(views)} perf tests did not pass; {code(first.test)}: {why}"
    return f"**{worst}**: {said}"


def _run(view: RunView, reasons: Sequence[str], *, samples: bool) -> Iterator[str]:
    yield f"### {view.verdict} {code(view.test)}"
    yield prose(" · ".join(part for part in (view.load, view.rate, f"p95 {view.p95}") if part))
    said = [*reasons, *view.warnings]
    said += [f"rows: {view.rows}"] if view.rows else []
    said += [f"generator {view.generator}"] if view.generator and view.verdict is Verdict.INVALID else []
    if said:
        yield "\n".join(f"- {prose(line)}" for line in said)
    if view.limits:
        head = ("limit", "value", "margin", "95 % interval", "note")
        rows = (
            (
                prose(f"{limit.mark} {limit.subject} {_unbroken(limit.bound)}"),
                *(prose(_unbroken(text)) for text in (limit.value, limit.margin, limit.interval)),
                prose(limit.note),
            )
            for limit in view.limits
        )
        yield _table(head, rows, right=0)
    yield from _failures(view, samples=samples)
    yield from _operations(view)
    if view.notes:
        yield from _folded("Notes", "\n".join(f"- {prose(note)}" for note in view.notes))


def _failures(view: RunView, *, samples: bool) -> Iterator[str]:
    if view.failed:
        yield from _folded(f"Failed: {prose(view.failed)}", *(_failure(kind, samples) for kind in view.failures))
    if view.tables.errors:
        rows = ((prose(row.operation), prose(row.error), f"{row.count:,}") for row in view.tables.errors)
        yield from _folded("Failed calls", _table(("operation", "error", "calls"), rows, right=1))


def _failure(kind: FailureView, samples: bool) -> str:
    parts = [f"{kind.count:,} x {code(kind.error)}", f"at {code(kind.where)}" if kind.where else "", prose(kind.span)]
    said = [", ".join(part for part in parts if part)]
    if samples and kind.sample:
        text = "\n".join(kind.sample)
        fence = max(["``", *_FENCE.findall(text)], key=len) + "`"  # longer than any in the text
        said += [f"{fence}text\n{text}\n{fence}"]
    if kind.again:
        said += [f"Again: {code(kind.again)}"]
    return "\n\n".join(said)


def _operations(view: RunView) -> Iterator[str]:
    shown = view.tables.operations[:_MOST_OPERATIONS]
    if not shown:
        return
    head = ("operation", "calls", "per s", "failed", "p50", "p95", "p99", "max ms")
    rows = ((prose(row.name), row.calls, row.per_s, row.failed, row.p50, row.p95, row.p99, row.max) for row in shown)
    left_out = len(view.tables.operations) - len(shown)
    more = [f"{left_out:,} more are in the report."] if left_out else []
    yield from _folded("Operations", _table(head, rows), *map(prose, view.tables.notes), *more)


def _environment(views: Sequence[RunView]) -> Iterator[str]:
    """Yield where each session was measured, by its first run, and the pages of the CI runs."""
    sessions = {view.session: view for view in reversed(views)}
    for name, first in reversed(sessions.items()):
        title = "Environment" if len(sessions) == 1 else f"Environment of session {prose(name)}"
        yield from _folded(
            title, _table(("", ""), [[prose(text) for text in row] for row in first.environment], right=0)
        )
    for url in dict.fromkeys(view.ci_url for view in views):
        if _URL.fullmatch(url):
            yield f"[This run, with its reports]({url})"


def _folded(title: str, *blocks: str) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>"
    yield from blocks
    yield "</details>"


def _unbroken(figure: str) -> str:
    """Return *figure* with spaces at which no line ends."""
    return figure.replace(" ", "\u00a0")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int | None = None) -> str:
    """Return a table without its empty columns. The last *right* ones, by default all but one, are figures."""
    cells = list(rows)
    left = len(head) - (len(head) - 1 if right is None else right)
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    used = [column for column in range(len(head)) if any(row[column] for row in cells)]
    return "\n".join(f"| {' | '.join(row[column] for column in used)} |" for row in (head, rule, *cells))


def _cut(text: str, budget: int) -> str:
    """Cut *text* between two blocks, and close what is folded."""
    end = "\n\n**The rest was left out, as it is too long here: the report has it.**\n"
    room = budget - len(end.encode()) - len("\n\n</details>")
    kept = text.encode()[:room].decode(errors="ignore").rpartition("\n\n")[0]
    return kept + "\n\n</details>" * (kept.count("<details>") - kept.count("</details>")) + end

"""Rows of text as lines whose columns are aligned."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_GAP = "  "


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return *head* and *rows*, all of the same number of cells, as lines; columns *right* end at one place.

    A column without any text in the rows is left out, and without rows there is no line.

    >>> aligned(("operation", "failed", "p95"), [("response time", "", "52"), ("GET /", "", "1,204")], right={2})
    ['operation        p95', 'response time     52', 'GET /          1,204']
    """
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    widths = {at: max(len(row[at]) for row in (head, *rows)) for at in kept}
    return [
        _GAP.join(row[at].rjust(widths[at]) if at in right else row[at].ljust(widths[at]) for at in kept).rstrip()
        for row in (head, *rows)
        if rows
    ]

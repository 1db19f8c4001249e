"""The verdict, the reasons and the limits of a run, for the row of its test in the report of pytest-html."""

from __future__ import annotations

from pytest_cdcperf.reporting.html.markup import element
from pytest_cdcperf.reporting.view import RunView

_HEADS = ("limit", "", "value", "margin", "95 % interval", "outcome")
_LONGEST = 160
_MOST_KINDS = 5


def link_text(view: RunView) -> str:
    """Return the text of the link to the page, which says what is most important."""
    said = view.reasons[0] if view.reasons else view.load
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
    return f"{view.verdict}: {said}"


def row(view: RunView) -> str:
    """Return *view* as a piece of HTML without styles or scripts: plain text, as workers send no other."""
    because = [element("li", line) for line in (*view.reasons, *view.warnings)]
    because += [element("li", f"{kind.count:,} x {kind.error} at {kind.where}") for kind in view.failures[:_MOST_KINDS]]
    cells = (
        (limit.subject, limit.bound, limit.value, limit.margin, limit.interval, limit.note or str(limit.outcome))
        for limit in view.limits
    )
    limits = element(
        "table",
        element("thead", element("tr", *(element("th", head, scope="col") for head in _HEADS))),
        element("tbody", *(element("tr", *(element("td", cell) for cell in shown)) for shown in cells)),
    )
    shown = element(
        "div",
        element("p", element("strong", str(view.verdict)), " ", view.load),
        element("ul", *because) if because else None,
        limits if view.limits else None,
        class_="cdcperf",
    )
    return str(shown)

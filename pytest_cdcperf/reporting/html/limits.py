"""The limits of a run, each with its figure, a bar, its margin and its interval."""

from __future__ import annotations

from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.reporting.html.markup import Html, element, joined
from pytest_cdcperf.reporting.html.tables import framed
from pytest_cdcperf.reporting.html.verdict import limit_mark
from pytest_cdcperf.reporting.view import LimitView, RunView

_HEADS = ("", "limit", "", "value", "against the limit", "margin", "95 % interval")
_FIGURES = {_HEADS.index(head) for head in ("value", "margin", "95 % interval")}
_WIDTH, _HEIGHT = 160, 14
_ROOM = 1.25  # beyond the larger of figure and limit


def limits_table(view: RunView) -> Html | None:
    """Return the limits as they were set, None without any."""
    if not view.limits:
        return None
    return framed("Limits", _HEADS, map(_row, view.limits), _FIGURES, "limits")


def _row(limit: LimitView) -> Html:
    said = limit.note or ("" if limit.outcome in {Outcome.PASSED, Outcome.FAILED} else str(limit.outcome))
    name = joined(limit.subject, element("small", said) if said else None)
    return element(
        "tr",
        element("td", limit_mark(limit)),
        element("th", name, scope="row"),
        element("td", limit.bound),
        element("td", element("b", limit.value), class_="n"),
        element("td", _bar(limit)),
        element("td", limit.margin, class_="n"),
        element("td", limit.interval, class_="n dim"),
        class_="crossed-limit" if limit.is_crossed else None,
    )


def _bar(limit: LimitView) -> Html | None:
    if limit.share is None:
        return None
    whole = max(limit.share, 1.0) * _ROOM
    bar, mark = (round(share / whole * _WIDTH, 1) for share in (limit.share, 1.0))
    style = "over" if limit.is_crossed else "kept" if limit.outcome is Outcome.PASSED else "unsure"
    return element(
        "svg",
        element("title", f"{limit.value}, limit {limit.bound}"),
        element("rect", x=0, y=3, width=_WIDTH, height=_HEIGHT - 6, class_="track", fill_opacity=0.1),
        element("rect", x=0, y=3, width=max(bar, 1.0), height=_HEIGHT - 6, class_=f"bullet {style}"),
        element("rect", x=round(mark - 1, 1), y=0, width=2, height=_HEIGHT, class_="at"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
    )

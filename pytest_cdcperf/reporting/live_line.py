"""The line on a run that is under way: how far it is, its figures, and whether a limit is crossed."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.events import Live
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.words import subject
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.lines import BOLD, GREEN, RED, YELLOW, Line, Span, columns_of, shortened
from pytest_cdcperf.units import figure, figures_apart, format_duration

_LONGEST_BAR, _SHORTEST_BAR = 20, 10
_LEAST_NAME = 12
_NEAR = 0.8  # of the limit


def live_line(name: str, live: Live, width: int) -> Line:
    """Return the line for a terminal, at most *width* columns wide: what matters least gives way first."""
    limits, short = list(_limits(live)), list(_limits_in_short(live))
    layouts = [
        (_LONGEST_BAR, 40, True, limits),
        (_SHORTEST_BAR, 24, True, limits),
        (_SHORTEST_BAR, 24, True, short),
        (_SHORTEST_BAR, 16, True, short),
        (0, 16, True, short),
        (0, _LEAST_NAME, True, short),
        (0, _LEAST_NAME, False, short),
        (0, 0, False, short),
    ]
    lines = (_line(name, live, *layout) for layout in layouts)
    last = Line()
    for last in lines:
        if columns_of(last.text) <= width:
            return last
    return Line.of(shortened(last.text, width))


def plain_line(name: str, live: Live) -> str:
    """Return the line for a log: without bar and colours."""
    line = _line(name, live, 0, 10_000, True, list(_limits(live)), counted=True)
    return one_line(line.text)


def _line(
    name: str, live: Live, bar: int, longest: int, rates: bool, limits: list[Span], *, counted: bool = False
) -> Line:
    done = min(1.0, live.elapsed_s / live.planned_s) if live.planned_s > 0 else 1.0
    failed = Span(f"{live.failed:,} failed", RED if live.failed else ())
    parts = [
        [Span(shortened(short_name(name), longest), BOLD)] if longest else [],
        [Span("━" * round(bar * done), GREEN), Span("─" * (bar - round(bar * done)))] if bar else [],
        [Span(f"{format_duration(round(live.elapsed_s))}/{format_duration(live.planned_s)}")],
        [_vus(live)] if rates else [],
        [Span(f"{live.iterations:,} iterations")] if counted else [],
        [Span(figure(live.iterations_per_s, "/s", 3))] if rates else [],
        [Span(f"p95 {figure(live.p95_ms, 'ms', 3)}")],
        [failed],
        [Span(f"{live.failed_checks:,} checks false", YELLOW)] if live.failed_checks and rates else [],
        limits,
    ]
    spans: list[Span] = []
    for part in filter(None, parts):
        spans += [*([Span("  ")] if spans else []), *part]
    return Line.of(*spans)


def _vus(live: Live) -> Span:
    if not live.vus and live.elapsed_s >= live.planned_s:
        return Span("load ended")
    return Span(f"{live.vus:,} VU{'s' * (live.vus != 1)}")


def _limits(live: Live) -> Iterator[Span]:
    """Yield the limits that are crossed so far, or that all are kept and how near the nearest is."""
    crossed = _crossed(live)
    for result in crossed[:1]:
        yield Span(f"✗ {_in_words(result)}", RED)
        if more := len(crossed) - 1:
            yield Span(f" and {more} more", RED)
    if live.limits and not crossed:
        yield from _kept(live)


def _limits_in_short(live: Live) -> Iterator[Span]:
    if crossed := _crossed(live):
        yield Span(f"✗ {len(crossed)} limit{'s' * (len(crossed) > 1)}", RED)
    elif live.limits:
        yield Span("✓", GREEN)


def _kept(live: Live) -> Iterator[Span]:
    nearest = max((_share(result) for result in live.limits), default=0.0)
    if nearest >= _NEAR:
        yield Span(f"✓ limits, nearest at {figure(nearest, '%', 2)}", YELLOW)
    else:
        yield Span("✓ limits", GREEN)


def _share(result: ThresholdResult) -> float:
    limit = result.threshold
    if not isinstance(limit, Threshold) or not limit.is_upper or result.observed is None or limit.limit <= 0:
        return 0.0
    return result.observed / limit.limit


def _crossed(live: Live) -> list[ThresholdResult]:
    return [result for result in live.limits if result.outcome is Outcome.FAILED and not _only_grows(result)]


def _only_grows(result: ThresholdResult) -> bool:
    """Whether the figure may still come to its limit: "at least 1,000 of them" is crossed until the last has come."""
    limit = result.threshold
    return isinstance(limit, Threshold) and limit.aggregate == "count" and not limit.is_upper


def _in_words(result: ThresholdResult) -> str:
    limit = result.threshold
    if not isinstance(limit, Threshold) or result.observed is None:
        return short_name(str(limit))
    value, bound = figures_apart(result.observed, limit.limit, limit.unit)
    return f"{short_name(subject(limit))} {value}, limit {bound}"

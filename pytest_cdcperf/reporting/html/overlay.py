"""The charts of two runs of one test, one laid over the other by elapsed time: B as it is, A dashed."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace

from pytest_cdcperf.reporting.html.chart import Bound, Chart, Line, Timeline, Values
from pytest_cdcperf.reporting.html.over_time import judged_charts, load_charts, timeline, trend_chart
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.windows import Windows


def common_timeline(first: RunResult, second: RunResult) -> Timeline:
    """Return one axis of time: the points of the run whose windows are shorter, and those that the other has later.

    The phases are those of *second*; what happened is of both.
    """
    before, after = timeline(first), timeline(second)
    finer, other = sorted((before, after), key=_step_s)
    later = [at_s for at_s in other.at_s if at_s > max(finer.at_s, default=-1.0)]
    marks = [
        replace(mark, text=f"{letter}: {mark.text}")
        for letter, of in (("A", before), ("B", after))
        for mark in of.marks
    ]
    end_s = max(before.end_s, after.end_s)
    return Timeline((*finer.at_s, *later), end_s, after.ramps, tuple(sorted(marks, key=lambda mark: mark.at_s)))


def overlaid_charts(first: RunResult, second: RunResult, time: Timeline) -> list[Chart]:
    """Return the charts of both, in the order of those of *second*, on the axis *time*. They may be empty."""
    before, after = _charts(first), _charts(second)
    found = []
    for title in dict.fromkeys((*after, *before)):
        of_first, of_second = before.get(title), after.get(title)
        named = of_second or of_first
        if named is None:  # never: the title is of one of them
            continue
        of_first, of_second = of_first or _unjudged(first, named), of_second or _unjudged(second, named)
        lines = (*_lines(of_second, second.windows, time, "B"), *_lines(of_first, first.windows, time, "A"))
        found.append(Chart(title, named.unit, lines, _bounds(of_first, of_second)))
    return found


def _step_s(time: Timeline) -> float:
    return time.end_s / len(time.at_s) if time.at_s else math.inf


def _charts(result: RunResult) -> dict[str, Chart]:
    return {chart.title: chart for chart in (*judged_charts(result, RunView.of(result)), *load_charts(result))}


def _unjudged(result: RunResult, chart: Chart) -> Chart | None:
    """Return the percentiles of the trend that *chart* is of, in a run that has no limit on it."""
    return trend_chart(result, chart.metric) if chart.metric and not chart.tags else None


def _lines(chart: Chart | None, windows: Windows, time: Timeline, letter: str) -> list[Line]:
    return [
        replace(line, name=f"{line.name} {letter}", values=_at(line.values, windows, time), dashed=letter == "A")
        for line in (chart.lines if chart is not None else ())
    ]


def _at(values: Values, windows: Windows, time: Timeline) -> Values:
    """Return the value of the window that covers each point of *time*, None where none does."""
    found: list[float | None] = []
    for at_s in time.at_s:
        number = bisect_right(windows.start_s, at_s) - 1
        covered = 0 <= number < len(values) and at_s < windows.end_s[number]
        found.append(values[number] if covered else None)
    return tuple(found)


def _bounds(first: Chart | None, second: Chart | None) -> tuple[Bound, ...]:
    """Return the limits of both: what only one of them has is named by its letter."""
    before, after = (chart.bounds if chart is not None else () for chart in (first, second))
    both = [bound for bound in after if bound in before]
    only = [
        replace(bound, text=f"{letter}: {bound.text}")
        for letter, of in (("A", before), ("B", after))
        for bound in of
        if bound not in both
    ]
    return (*both, *only)

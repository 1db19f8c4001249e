"""The plan of a session in lines of text: each perf test with its loads, limits, time and workers. Nothing has run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.load.base import Load, vus_in_words
from pytest_cdcperf.load.closed import ClosedLoad
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.lines import BOLD, YELLOW, Line, Span, wrapped
from pytest_cdcperf.reporting.text_chart import Glyphs, bars, time_axis
from pytest_cdcperf.spec import Loads, PerfSpec, loads_in_words
from pytest_cdcperf.units import figure, format_duration

_ROWS = 4  # of a chart, of which a level one needs one alone
_WIDEST = 100
_LABEL = 12  # the columns left of what is said
_SOURCE = 24  # the least columns for where a limit comes from
_CYAN = ("cyan",)
MARKER = "@perf"


@dataclass(frozen=True)
class PlannedTest:
    """A perf test that would run under load.

    :param spec: of a test that drives its load itself: without its loads and limits
    :param stated: the loads before the command line changes them
    :param options: those of the command line that change them
    :param own_limits: those of the marker
    :param file: the thresholds file, where it has limits for the test
    """

    name: str
    spec: PerfSpec
    stated: Loads
    options: tuple[str, ...] = ()
    own_limits: tuple[Threshold, ...] = ()
    file: str = ""
    gate: bool = False
    drives_itself: bool = False


class OtherTest(NamedTuple):
    """A perf test without load in this session: *what* becomes of it, and why."""

    what: str
    name: str
    why: str


@dataclass(frozen=True)
class Plan:
    """The tests that a session would run, in their order.

    :param plain_tests: how many ordinary tests run beside them
    :param workers: how many share each load
    :param errors: how many errors the collection had
    """

    tests: tuple[PlannedTest, ...]
    others: tuple[OtherTest, ...] = ()
    plain_tests: int = 0
    workers: int = 1
    errors: int = 0


def plan_lines(plan: Plan, width: int, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the lines of *plan*, for a terminal of *width* columns."""
    width = min(width, _WIDEST)
    for test in plan.tests:
        yield Line.of(Span(short_name(test.name), BOLD))
        yield from _test_lines(test, plan.workers, width, glyphs)
        yield Line()
    for what, others in groupby(plan.others, key=lambda other: other.what):
        for number, other in enumerate(others):
            text = one_line(f"{short_name(other.name)}: {other.why}")
            yield from _said(what if number == 0 else "", text, width, YELLOW)
    if plan.others:
        yield Line()
    yield from map(Line.of, wrapped(_total(plan), width))


def _test_lines(test: PlannedTest, workers: int, width: int, glyphs: Glyphs) -> Iterator[Line]:
    if test.gate:
        yield from _said("gate", "runs before any load; where it fails, no load starts", width)
    if test.drives_itself:
        yield from _said("load", "load.run states its loads and limits: they are known only while it runs", width)
        return
    yield from _said("profile", one_line(test.spec.profile or ""), width)
    yield from _load_lines(test.spec.loads, width, glyphs)
    if test.options and loads_in_words(test.stated) != test.spec.load_in_words:
        text = f"by {', '.join(test.options)}; the test states {loads_in_words(test.stated)}"
        yield from _said("changed", one_line(text), width, YELLOW)
    yield from _limit_lines(test, width)
    yield from _said("time", _time([test.spec]) + _after(test.spec), width)
    if workers > 1:
        for name, load in test.spec.loads.items():
            text = _shares(load, workers)
            yield from _said(f"{workers} workers", one_line(f"{name}: {text}" if name else text), width)


def _load_lines(loads: Loads, width: int, glyphs: Glyphs) -> Iterator[Line]:
    timed = [load for load in loads.values() if not load.counts_iterations]
    length_s = max((load.planned_s for load in timed), default=0.0)
    margin = max((_LABEL, *(len(_peak(load)) + 3 for load in timed)))  # of all charts: one time axis
    columns = width - margin - 1
    for number, (name, load) in enumerate(loads.items()):
        late = f", begins at {format_duration(load.start_s)}" if load.start_s else ""
        bound = f", at most {format_duration(load.active_s)}" if load.counts_iterations else ""
        words = f"{load.describe()}{bound}{late}"
        yield from _said("load" if number == 0 else "", one_line(f"{name}: {words}" if name else words), width)
        if load not in timed:
            continue
        edges = [length_s * column / columns for column in range(columns + 1)]
        values = [load.most_between(begin, end) for begin, end in pairwise(edges)]
        rows = _ROWS if len({*values} - {0}) > 1 else 1
        chart = bars(values, max(values), _unit(load), rows, margin, glyphs)
        yield from (Line.of(Span(line, _CYAN)) for line in chart)
        axis, times = time_axis(length_s, columns, margin, glyphs)
        yield Line.of(axis)
        if load is timed[-1]:
            yield Line.of(times)


def _unit(load: Load) -> str:
    if isinstance(load, OpenLoad):
        return "/s"
    return "VU" if load.most_vus == 1 else "VUs"


def _peak(load: Load) -> str:
    return figure(load.peak_rate or load.most_vus, _unit(load))


def _limit_lines(test: PlannedTest, width: int) -> Iterator[Line]:
    limits = [*_limits(test), *((str(rule), MARKER) for rule in test.spec.run_rules), _tolerated(test.spec)]
    most = width - _LABEL - _SOURCE
    column = max((len(words) for words, _ in limits if len(words) <= most), default=most)
    room = width - _LABEL - column - 2
    for number, (words, source) in enumerate(limits):
        first, *more = wrapped(one_line(source), room)
        if len(words) > column:
            first, more = "", [first, *more]
        yield Line.of(f"{_label('limits' if number == 0 else '')}{one_line(words):<{column}}  {first}".rstrip())
        yield from (Line.of(f"{_label()}{'':<{column}}  {text}") for text in more)


def _limits(test: PlannedTest) -> Iterator[tuple[str, str]]:
    """Yield each limit with where it comes from, and what it replaces there."""
    own = {limit.subject: limit for limit in test.own_limits}
    for limit in test.spec.thresholds:
        source, replaced = MARKER, own.get(limit.subject)
        if test.file and limit not in test.own_limits:
            source = test.file + (f", instead of {replaced.expression}" if replaced is not None else "")
        if limit.abort_on_fail:
            source += "; ends the run" + (f" from {format_duration(limit.delay_s)} on" if limit.delay_s else "")
        yield f"{limit.subject} {limit.operator} {figure(limit.limit, limit.unit)}", source


def _tolerated(spec: PerfSpec) -> tuple[str, str]:
    if not spec.error_rate:
        return "failed iterations: none", ""
    return f"failed iterations: at most {figure(spec.error_rate, '%')}", MARKER


def _time(specs: Sequence[PerfSpec]) -> str:
    """Say how long the loads of all *specs* take, one test after the other, and how long at the most."""
    timed_s, latest_s = sum(map(_timed_s, specs)), sum(spec.latest_s for spec in specs)
    words = format_duration(timed_s) if timed_s else ""
    if any(load.counts_iterations for spec in specs for load in spec.loads.values()):
        words = f"{words} and what ends by its iterations" if words else "until the iterations are done"
    return f"{words}, at most {format_duration(latest_s)}" if latest_s > timed_s else words


def _timed_s(spec: PerfSpec) -> float:
    return max((load.planned_s for load in spec.loads.values() if not load.counts_iterations), default=0.0)


def _after(spec: PerfSpec) -> str:
    """Say what may follow the planned end of *spec*."""
    grace_s = spec.latest_s - spec.planned_s - spec.drain_s
    parts = [f"graceful stop {format_duration(grace_s)}"] if grace_s else []
    parts += [f"drain {format_duration(spec.drain_s)}"] if spec.drain_s else []
    return f" ({', '.join(parts)})" if parts else ""


def _shares(load: Load, workers: int) -> str:
    shares = [Share(index, workers) for index in range(workers)]
    said = _each([vus_in_words(share.part(load.most_vus)) for share in shares])
    if isinstance(load, ClosedLoad) and load.counts_iterations:
        said += "; " + _each([_iterations(load.planned_iterations(share)) for share in shares])
    elif isinstance(load, OpenLoad) and (of := min(workers, load.most_vus)) > 1:
        said = f"one start in {of} each, with {'at most ' * (load.first_vus < load.most_vus)}{said}"
    return said


def _iterations(count: int) -> str:
    return f"{count:,} iteration{'s' * (count != 1)}"


def _each(parts: Sequence[str]) -> str:
    """Return "5 VUs each", or "3 VUs on 2, 2 VUs on 1"."""
    counts: Mapping[str, int] = {part: parts.count(part) for part in parts}
    if len(counts) == 1:
        return f"{parts[0]} each"
    return ", ".join(f"{'none' if part.startswith('0 ') else part} on {count}" for part, count in counts.items())


def _total(plan: Plan) -> str:
    known = [test.spec for test in plan.tests if not test.drives_itself]
    said = [f"{_tests(len(known))} under load" + (f": {_time(known)}" if known else "")]
    if by_hand := len(plan.tests) - len(known):
        said.append(f"{by_hand} with load.run, of a length not known yet")
    for what, others in groupby(plan.others, key=lambda other: other.what):
        said.append(f"{len([*others])} {what}")
    if plan.plain_tests:
        said.append(_tests(plan.plain_tests, "ordinary "))
    if plan.errors:
        said.append(f"what could not be collected is left out ({plan.errors} error{'s' * (plan.errors != 1)})")
    return "; ".join(said)


def _tests(count: int, kind: str = "") -> str:
    return f"{count or 'no'} {kind}test{'s' * (count > 1)}"


def _said(label: str, text: str, width: int, style: tuple[str, ...] = ()) -> Iterator[Line]:
    """Yield *text* right of its *label*, on as many lines as it takes; nothing where there is no text."""
    lines = wrapped(text, width, _label(label), _LABEL) if text else ()
    yield from (Line.of(Span(line, style)) for line in lines)


def _label(label: str = "") -> str:
    return f"  {label:<{_LABEL - 2}}"

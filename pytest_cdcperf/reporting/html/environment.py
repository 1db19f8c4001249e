"""The load generator of a run with its workers, and the environment that the run was made in."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.html.markup import Child, Html, element
from pytest_cdcperf.reporting.html.tables import facts, table
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunResult, WorkerPart
from pytest_cdcperf.units import figure, format_duration

_HEADS = ("worker", "share", "outcome", "iterations", "duration", "CPU", "start lag p99", "own delay p95", "lost")


def generator(result: RunResult, view: RunView) -> list[Html]:
    """Return whether the load generator was fit, and the part of each worker."""
    shown = [element("p", view.generator)] if view.generator else []
    if result.workers:
        shown.append(table("Workers", _HEADS, map(_worker, result.workers), texts=3))
    return shown


def _worker(part: WorkerPart) -> Iterator[Child]:
    yield from (short_name(part.name), one_line(part.share))
    yield element("span", one_line(part.outcome), class_="wrong") if part.outcome else "done"
    yield from (f"{part.iterations:,}", format_duration(part.elapsed_s), figure(part.cpu, "%", 2))
    yield "-" if part.generator_lag_p99_ms is None else figure(part.generator_lag_p99_ms, "ms", 3)
    yield "-" if part.own_delay_p95_ms is None else figure(part.own_delay_p95_ms, "ms", 3)
    yield figure(part.lost, "%", 2)


def environment(result: RunResult, view: RunView) -> Html:
    """Return the test, what was measured, where and by what, and the page of the CI run."""
    run = result.facts
    tags = ", ".join(f"{name}={value}" for name, value in run.tags.items())
    test = (("test", one_line(run.test)), ("defined at", one_line(run.location)), ("tags", one_line(tags)))
    return facts((*test, *view.environment, ("CI run", view.ci_url)))

"""Where a run was made: the load generator and its workers, the machine, versions, services, the command."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.html.markup import Child, Html, element
from pytest_cdcperf.reporting.html.tables import facts, table
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.environment import Environment
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


def environment(result: RunResult) -> Html:
    """Return the run, the machine, the versions, the services and the command."""
    return facts((one_line(name), one_line(text)) for name, text in _facts(result) if text)


def _facts(result: RunResult) -> Iterator[tuple[str, str]]:
    run = result.facts
    yield "test", run.test
    yield "defined at", run.location
    yield "command", run.command
    yield "seed", run.seed
    yield "tags", ", ".join(f"{name}={value}" for name, value in run.tags.items())
    yield from run.services.items()
    where = result.environment
    if where is not None:
        yield "machine", _machine(where)
        yield "versions", ", ".join([where.python, *(f"{name} {version}" for name, version in where.versions.items())])
        yield "commit", commit_of(where)
        yield "CI run", where.ci_url or ""


def _machine(where: Environment) -> str:
    memory = f"{where.memory_mb / 1024:.0f} GiB" if where.memory_mb else ""
    cpus = f"{where.cpus} CPUs" + (f" ({where.cpu})" if where.cpu else "") if where.cpus else where.cpu
    return ", ".join(part for part in (cpus, memory, where.os) if part)


def commit_of(where: Environment) -> str:
    """Return branch and commit, and whether there were changes; "" without a repository."""
    if not where.commit:
        return ""
    changed = ", with changes" if where.dirty else ""
    return f"{where.branch}@{where.commit[:12]}{changed}" if where.branch else f"{where.commit[:12]}{changed}"

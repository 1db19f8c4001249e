"""What is shown of a result, in which order and in which words: the one source of every output that people read.

A view holds text and plain numbers. Terminal, JUnit, Markdown and the page lay it out, and work out nothing themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_cdcperf.judging.own_delay import own_delay_ms
from pytest_cdcperf.judging.rules.breaking_point import Breaking
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.judging.words import reason
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.printable import one_line, printable, short_name
from pytest_cdcperf.reporting.table_views import TablesView
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.over_time import Crossing, crossings
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import clock_time, figure, figures_apart, format_duration, interval_in_words

WORST_FIRST = (Verdict.FAILED, Verdict.INVALID, Verdict.PASSED)
"""The order in which several runs are summed up."""
_VERDICT_MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.INVALID: "?"}
_OUTCOME_MARKS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.NO_SAMPLES: "✗",
    Outcome.TOO_FEW: "?",
    Outcome.INCONCLUSIVE: "?",
    Outcome.NOT_JUDGED: "-",
    Outcome.UNFIT: "?",
}
_ARRIVED = "cdc_success_rate"
_MOST_CROSSINGS = 3  # that are named


@dataclass(frozen=True)
class LimitView:
    """A limit, and what became of it.

    *share* is the observed figure as a share of the limit, for a bar; None where there is none, as of a limit of 0.
    """

    outcome: Outcome
    subject: str
    """What is judged: "cdc_e2e_latency p(95) in hold"."""
    bound: str
    """The limit with its unit: "< 2,000 ms"."""
    value: str = ""
    """What was observed, with its unit; "" where nothing was."""
    margin: str = ""
    """How far that is from the limit: "6% over" an upper one, "1% above" a lower one."""
    interval: str = ""
    """Its 95 % confidence interval: "204 to 226 ms"."""
    note: str = ""
    crossed: tuple[Crossing, ...] = ()
    share: float | None = None

    @property
    def mark(self) -> str:
        """The outcome as one character."""
        return _OUTCOME_MARKS[self.outcome]

    @property
    def is_crossed(self) -> bool:
        """Whether it fails the run."""
        return self.outcome in {Outcome.FAILED, Outcome.NO_SAMPLES}


@dataclass(frozen=True)
class FailureView:
    """A kind of failed iterations: *error* at *where*, *count* times."""

    count: int
    error: str
    where: str
    span: str
    """When: "first 0:43, last 0:52"; "" where it is not known."""
    sample: tuple[str, ...]
    """The lines of the traceback of one of them."""
    iteration: str
    """The iteration of the sample, as ``--perf-replay`` takes it."""
    again: str
    """The command that runs that iteration again, in the debugger; "" where that is not possible."""


@dataclass(frozen=True)
class RunView:
    """A run as it is shown, the most important first."""

    test: str
    """The name of the test, without its file."""
    title: str
    load: str
    """Profile, load, time and workers: "baseline · 50 VUs for 90s · 2 workers"."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why it is not PASSED, the first one first."""
    rate: str
    """Iterations a second: "158/s"."""
    p95: str
    """The 95th percentile of the response time: "214 ms"."""
    errors: str
    """The share of failed iterations: "0.38%"."""
    tolerated: str
    """The share of failed iterations from which on it fails: "1%"."""
    warnings: tuple[str, ...]
    """With ``on_unfit = "warn"``: why the generator was unfit, and which limits cannot be judged."""
    limits: tuple[LimitView, ...]
    tables: TablesView
    """By operation, group, tag, check and error of calls."""
    failed: str
    """How many iterations failed: "54 of 14,220 iterations (0.38%, tolerated 1%)"; "" where none did."""
    failures: tuple[FailureView, ...]
    rows: str
    """How many rows arrived in the sink; "" where none was expected."""
    breaking_point: str
    """From where on a load that rose crossed a limit; "" where it did not."""
    generator: str
    """Whether the load generator was fit, with the figures that say so; "" where it had no heartbeat."""
    notes: tuple[str, ...]
    started: str
    """When it began: "2026-01-01 00:00:00 UTC"."""
    session: str
    """The id of its session."""
    commit: str
    """Of which code it was: "1f2e3d4c5b6a of main, changed since"; "" outside of a repository."""
    environment: tuple[tuple[str, str], ...]
    """What was measured, where and by what, with *started*, *session* and *commit*: ("machine", "4 CPUs, Linux")."""
    ci_url: str
    """The page of the CI run; "" outside of CI."""

    @property
    def mark(self) -> str:
        """The verdict as one character."""
        return _VERDICT_MARKS[self.verdict]

    @property
    def kept(self) -> str:
        """How many limits were kept, which is why it is PASSED: "all 6 limits kept"."""
        kept, stated = sum(limit.outcome is Outcome.PASSED for limit in self.limits), len(self.limits)
        if not stated:
            return "no limits were stated"
        if kept == stated:
            return f"all {stated} limits kept" if stated > 1 else "its limit is kept"
        return f"{kept} of {stated} limits kept, the others were not judged"

    @classmethod
    def of(cls, result: RunResult) -> RunView:
        """Return the view of *result*: every text in it is on one line and harmless."""
        limits = tuple(limit_view(result, judged) for judged in result.thresholds)
        errors, tolerated = _errors(result)
        environment = tuple((name, one_line(said)) for name, said in _environment(result) if said)
        return cls(
            test=name_of_test(result),
            title=one_line(result.facts.title),
            load=one_line(" · ".join(_load(result))),
            verdict=result.verdict,
            reasons=tuple(map(one_line, _reasons(result, limits))),
            rate=figure(result.achieved_rate, "/s"),
            p95=_p95(result),
            errors=errors,
            tolerated=tolerated,
            warnings=tuple(one_line(f"the generator was unfit: {warning}") for warning in result.warnings),
            limits=limits,
            tables=TablesView.of(result),
            failed=_failed(result, errors, tolerated),
            failures=tuple(_failure_view(kind, result.replay_command(kind)) for kind in result.failures),
            rows=_rows(result),
            breaking_point=_breaking_point(result),
            generator=_generator(result),
            notes=tuple(map(one_line, result.notes)),
            started=_started(result),
            session=one_line(result.facts.session_id),
            commit=_commit(result.environment),
            environment=environment,
            ci_url=one_line((result.environment and result.environment.ci_url) or ""),
        )


def name_of_test(result: RunResult) -> str:
    """Return the name of the test of *result*, without its file."""
    return short_name(result.facts.test.partition("::")[2] or result.facts.test)


def limit_view(result: RunResult, judged: ThresholdResult) -> LimitView:
    """Return what *judged* says of *result*."""
    limit = judged.threshold
    if not isinstance(limit, Threshold):
        seen = "" if judged.observed is None else one_line(limit.in_words(judged.observed, judged.interval))
        value, _, interval = seen.removesuffix("]").partition(" [")
        note = one_line(judged.note)
        return LimitView(judged.outcome, short_name(limit.selector), limit.expression, value, "", interval, note)
    value, bound = ("", figure(limit.limit, limit.unit))
    if judged.observed is not None:
        value, bound = figures_apart(judged.observed, limit.limit, limit.unit)
    interval = "" if judged.interval is None else interval_in_words(*judged.interval, limit.unit)
    return LimitView(
        judged.outcome,
        short_name(limit.subject),
        f"{limit.operator} {bound}",
        value,
        _margin(limit, judged.observed),
        interval,
        one_line(judged.note.removesuffix(f", {interval}")),  # which a note on the interval ends with
        tuple(crossings(result, limit)) if limit.over_s is None else (),
        _share(limit, judged.observed),
    )


def _load(result: RunResult) -> list[str]:
    facts = result.facts
    parts = [facts.profile or "", facts.load, f"ran {format_duration(result.elapsed_s)}"]
    parts += [f"{len(result.workers)} workers"] if len(result.workers) > 1 else []
    return [part for part in parts if part]


def _reasons(result: RunResult, limits: Sequence[LimitView]) -> list[str]:
    """Return the reasons, those that are of a limit with when it was crossed."""
    spans = {reason(judged): limit.crossed for judged, limit in zip(result.thresholds, limits, strict=True)}
    when = _when if result.elapsed_s >= 1 else lambda _crossed: ""
    return [f"{said}{when(spans.get(said, ()))}" for said in result.reasons]


def _when(crossed: Sequence[Crossing]) -> str:
    if not crossed or len(crossed) > _MOST_CROSSINGS:
        return ""
    return "; crossed " + ", ".join(f"{clock_time(span.start_s)} to {clock_time(span.end_s)}" for span in crossed)


def _margin(limit: Threshold, observed: float | None) -> str:
    share = _share(limit, observed)
    if share is None or limit.operator not in {"<", "<=", ">", ">="}:
        return ""
    if share == 1:
        return "at the limit"
    above, below = ("over", "under") if limit.is_upper else ("above", "below")
    return f"{figure(abs(share - 1), '%', 2)} {above if share > 1 else below}"


def _share(limit: Threshold, observed: float | None) -> float | None:
    return None if observed is None or limit.limit <= 0 or observed < 0 else observed / limit.limit


def _p95(result: RunResult) -> str:
    times = result.total.select(builtin.RESPONSE_TIME.name)
    return "-" if times is None else figure(result[builtin.RESPONSE_TIME.name].p95, "ms")


def _environment(result: RunResult) -> Iterator[tuple[str, str]]:
    facts, where = result.facts, result.environment
    yield "started", _started(result)
    yield "commit", _commit(where)
    if where is not None:
        cpus = f"{where.cpus} CPUs" if where.cpus else ""
        memory = f"{where.memory_mb / 1024:.0f} GB" if where.memory_mb else ""
        yield "machine", ", ".join(part for part in (cpus, where.cpu, memory, where.os) if part)
        yield "versions", ", ".join([where.python, *(f"{name} {number}" for name, number in where.versions.items())])
    for name, said in facts.services.items():
        yield one_line(name), said
    yield "command", facts.command
    yield "session", facts.session_id
    yield "seed", facts.seed


def _started(result: RunResult) -> str:
    time, _, rest = one_line(result.facts.started_at).partition(".")
    return time.replace("T", " ") + " UTC" * rest.endswith("+00:00")


def _commit(where: Environment | None) -> str:
    if where is None or not where.commit:
        return ""
    branch, changed = f" of {where.branch}" if where.branch else "", ", changed since" if where.dirty else ""
    return one_line(f"{where.commit[:12]}{branch}{changed}")


def _errors(result: RunResult) -> tuple[str, str]:
    """Return the share of failed iterations, and that which is tolerated."""
    return figures_apart(result.total.rate(builtin.ITERATION_FAILED.name).rate, result.facts.error_rate, "%")


def _failed(result: RunResult, errors: str, tolerated: str) -> str:
    failed = result.total.rate(builtin.ITERATION_FAILED.name)
    return f"{failed.hits:,} of {failed.total:,} iterations ({errors}, tolerated {tolerated})" if failed.hits else ""


def _failure_view(kind: FailureKind, again: str) -> FailureView:
    span = ""
    if kind.first_s is not None and kind.last_s is not None:
        span = f"first {clock_time(kind.first_s)}, last {clock_time(kind.last_s)}"
    sample = tuple(map(one_line, printable(kind.sample.rstrip()).split("\n")))
    iteration = one_line(kind.iteration)
    return FailureView(kind.count, one_line(kind.error), one_line(kind.where), span, sample, iteration, one_line(again))


def _rows(result: RunResult) -> str:
    arrived = result.total.rate(_ARRIVED)
    if not arrived.total:
        return ""
    if arrived.hits == arrived.total:
        return f"all {arrived.total:,} arrived in time"
    return f"{arrived.hits:,} of {arrived.total:,} arrived in time, {arrived.total - arrived.hits:,} did not"


def _breaking_point(result: RunResult) -> str:
    broke = result.breaking_point
    return one_line(broke.words) if broke is not None and broke.outcome is Breaking.FOUND else ""


def _generator(result: RunResult) -> str:
    if result.total.select(builtin.GENERATOR_DELAY.name) is None:
        return ""
    p95, p99, worst = (figure(own_delay_ms(result.total, at), "ms", 2) for at in ("p(95)", "p(99)", "max"))
    lost = figure(max((part.lost for part in result.workers), default=0.0), "%", 2)
    cpus = sum(part.cpu for part in result.workers)
    fit = "fit" if result.generator_fit else "UNFIT"
    return f"{fit}: own delay p95 {p95}, p99 {p99}, worst {worst}; lost {lost}; {figure(round(cpus, 2), 'CPUs', 3)}"

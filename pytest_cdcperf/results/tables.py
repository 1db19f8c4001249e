"""Makes the rows of tables from a result: its operations, groups, tags and checks, and the errors of its calls.

Names are as they were measured, of servers' and users' text: who shows them makes them printable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.calls import failed_calls, stands_apart
from pytest_cdcperf.metrics.caps import OVERFLOW
from pytest_cdcperf.metrics.groups import CDC, EXECUTION, GRPC, HTTP, MONGO, POSTGRES
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, Tags, group_of, selector, unit_of
from pytest_cdcperf.metrics.snapshot import CounterState, RateState, SeriesKey, Snapshot, merge_states
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import whole

_REQUEST, _ARRIVAL = "http_req_duration", "cdc_e2e_latency"
_PG, _GRPC, _MONGO = ("op", "table"), ("method", "service"), ("collection", "op")

# By the name of a metric of calls, the tags that say which operation a call is of.
_TRENDS: Mapping[str, Sequence[str]] = {
    _REQUEST: ("method", "name"),
    "grpc_req_duration": _GRPC,
    "grpc_stream_duration": _GRPC,
    "pg_read_duration": _PG,
    "pg_write_duration": _PG,
    "pg_control_duration": _PG,
    "mongo_read_duration": _MONGO,
    _ARRIVAL: ("collection",),
}
_ERRORS: Mapping[str, Sequence[str]] = {
    "http_reqs": _TRENDS[_REQUEST],  # also of those that did not fail
    "grpc_errors": _GRPC,
    "pg_read_errors": _PG,
    "pg_write_errors": _PG,
    "pg_control_errors": _PG,
    "mongo_read_errors": _MONGO,
}
_OPERATION: Mapping[str, Sequence[str]] = {**_TRENDS, **_ERRORS}
_PARTS = frozenset(  # of calls that have a row
    {
        *("http_req_waiting", "http_req_receiving", "http_req_connecting", "http_req_tls_handshaking"),
        *("cdc_propagation", "pg_pool_wait"),
    }
)
# The rates of what failed, or of what did not, where it is not the calls of the trend that have failed.
_FAILED: Mapping[str, str] = {builtin.RESPONSE_TIME.name: builtin.ITERATION_FAILED.name}
_PASSED: Mapping[str, str] = {_ARRIVAL: "cdc_success_rate"}

_NAMES: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    HTTP: lambda tags: f"{tags.get('method', '')} {tags.get('url') or tags.get('name', '')}",
    GRPC: lambda tags: f"{tags.get('service', '')}/{tags.get('method', '')}",
    POSTGRES: lambda tags: f"PostgreSQL {tags.get('op', '').upper()} {tags.get('table', '')}",
    MONGO: lambda tags: f"MongoDB {tags.get('op', 'read')} {tags.get('collection', '')}",
    CDC: lambda tags: f"arrival in {tags['collection']}" if "collection" in tags else "arrival",
}
_OUR_TAGS = frozenset(  # of calls
    {
        *("method", "name", "url", "status", "expected_response", "error", "service"),
        *("op", "table", "collection", "ok", "group", "overflow"),
    }
)

_Rows = dict[tuple[str, Tags], list[SeriesKey]]


@dataclass(frozen=True)
class Operation:
    """The calls of one operation, the blocks of one group, or the samples with one tag.

    Percentiles and the maximum are of the calls that were successful or ended at a time limit: failed ones would make
    them fast (``metrics/calls.py``). They are None where there was none. Of iterations and arrivals all count.
    """

    name: str
    """In words: "GET /items/{id}", "PostgreSQL INSERT customer"."""
    group: str
    """As metrics are grouped: "HTTP", "PostgreSQL"."""
    metric: str
    tags: Tags
    calls: int
    """Failed ones among them."""
    per_s: float
    failed: float | None
    """The share that failed, 0 to 1; None where it is not known."""
    total_ms: float
    """How long all of them took together, failed ones among them."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    failed_p95_ms: float | None
    """Of the calls that failed."""
    relative_error: float
    """The share by which the percentiles may be off: 0.0027, or more where the result keeps fewer buckets."""
    lumped: bool = False
    """Whether these are calls of several operations, since there were too many to keep apart."""
    urls: int = 1
    """Of how many URLs HTTP requests with this name are: more than one where they went to several hosts."""

    @property
    def selector(self) -> str:
        """The name of these calls in a limit: ``http_req_duration{method:GET,name:/items/{id}}``."""
        return selector(self.metric, self.tags)


@dataclass(frozen=True)
class CheckRow:
    """How often a check was true and false."""

    name: str
    passed: int
    failed: int


@dataclass(frozen=True)
class CallError:
    """The calls of an operation that failed alike."""

    group: str
    """Of which protocol: "HTTP", "gRPC", "PostgreSQL", "MongoDB"."""
    error: str
    """An HTTP status ("404") or why no response came ("refused"), a gRPC status, the class of a driver's exception."""
    operation: str
    count: int


def operations(result: RunResult) -> tuple[Operation, ...]:
    """Return response time, then each operation, in the order of the time that they took in all.

    Requests for one path are one operation, whichever hosts they went to: :func:`tagged` has these apart. Trends of a
    test's own, in milliseconds, have a row each.
    """
    rows: _Rows = {}
    response_time: _Rows = {}
    for key in result.series.series:
        if key.name == builtin.RESPONSE_TIME.name:
            response_time.setdefault((key.name, ()), []).append(key)
        elif _is_operation(key):
            rows.setdefault((key.name, _operation(key)), []).append(key)
    return (*_rows(result, response_time, lambda *_: "response time"), *_rows(result, rows, _name))


def groups(result: RunResult) -> tuple[Operation, ...]:
    """Return a row for each ``group(...)``, in the order of the time that they took in all; an inner one is in both."""
    rows: _Rows = {}
    for key in result.series.series:
        if key.name == builtin.GROUP_DURATION.name:
            rows.setdefault((key.name, _chosen(key, ("group", "overflow"))), []).append(key)
    return _rows(result, rows, lambda _, tags: dict(tags).get("group", "further groups"))


def tagged(result: RunResult) -> tuple[Operation, ...]:
    """Return a row for each tag of users, such as ``scenario:browse``, and each metric of which it selects a part.

    The URLs of requests are such tags where those of one name went to several hosts.
    They are sorted by tag and metric, then in the order of the time that they took in all.
    """
    rows: _Rows = {}
    series: dict[str, int] = {}
    several = _names_of_several_urls(result.series)
    for key in result.series.series:
        if key.name == builtin.RESPONSE_TIME.name or _is_operation(key):
            series[key.name] = series.get(key.name, 0) + 1
            ours = _OUR_TAGS if key.name in _TRENDS else ("group", "overflow")
            for pair in key.tags:
                if pair[0] not in ours or (pair[0] == "url" and _operation(key) in several):
                    rows.setdefault((key.name, (pair,)), []).append(key)
    parts = {row: keys for row, keys in rows.items() if len(keys) < series[row[0]]}
    found = _rows(result, parts, lambda _, tags: ":".join(tags[0]))
    return tuple(sorted(found, key=lambda row: (row.tags[0][0], row.metric not in _FAILED, row.metric)))


def checks(result: RunResult) -> tuple[CheckRow, ...]:
    """Return a row for each check, those that were false most often first."""
    rows = [
        CheckRow(name, state.hits, state.total - state.hits)
        for name, state in result.series.by_tag(builtin.CHECKS.name, "check")
        if isinstance(state, RateState)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.failed, row.name)))


def call_errors(result: RunResult) -> tuple[CallError, ...]:
    """Return how calls failed, by operation and error, the most frequent first."""
    counts: dict[tuple[str, str, str], int] = {}
    several = _names_of_several_urls(result.series)
    for key, state in result.series.series.items():
        tags = dict(key.tags)
        if key.name in _ERRORS and isinstance(state, CounterState) and tags.get("expected_response") != "true":
            error = tags.get("error") or tags.get("status") or "failed"
            kind = (group_of(key.name), error, _name(key.name, _operation(key, several)))
            counts[kind] = counts.get(kind, 0) + whole(state.total)
    rows = [CallError(*kind, count) for kind, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.count, row.group, row.operation, row.error)))


def _is_operation(key: SeriesKey) -> bool:
    if key.kind is not Kind.TREND or key.name in _PARTS:
        return False
    return key.name in _TRENDS or (unit_of(key.name) == "ms" and group_of(key.name) != EXECUTION)


def _chosen(key: SeriesKey, names: Sequence[str]) -> Tags:
    return tuple(pair for pair in key.tags if pair[0] in names)


def _names_of_several_urls(series: Snapshot) -> set[Tags]:
    """Return method and name of the requests that went to several hosts."""
    urls: dict[Tags, set[str]] = {}
    for key in series.series:
        if key.name == _REQUEST:
            urls.setdefault(_chosen(key, _TRENDS[_REQUEST]), set()).add(dict(key.tags).get("url", ""))
    return {named for named, known in urls.items() if len(known) > 1}


def _operation(key: SeriesKey, of_several_urls: Collection[Tags] = ()) -> Tags:
    """Return the tags of *key* that say which operation it is of, with the URL if it is one *of_several_urls*."""
    if set(OVERFLOW) <= set(key.tags):
        return OVERFLOW
    names = _OPERATION.get(key.name, ())
    tags = _chosen(key, names)
    return _chosen(key, (*names, "url")) if tags in of_several_urls else tags


def _name(metric: str, tags: Tags) -> str:
    group = group_of(metric)
    is_ours = metric in _OPERATION and group in _NAMES
    if tags == OVERFLOW:
        return f"{group if is_ours else metric}: further ones"
    return _NAMES[group](dict(tags)).strip() if is_ours else metric


def _rows(result: RunResult, keys: _Rows, name: Callable[[str, Tags], str]) -> tuple[Operation, ...]:
    rows = [_row(result, name(metric, tags), metric, tags, alike) for (metric, tags), alike in keys.items()]
    return tuple(sorted(rows, key=lambda row: (-row.total_ms, row.name, row.metric)))


def _row(result: RunResult, name: str, metric: str, tags: Tags, keys: Sequence[SeriesKey]) -> Operation:
    apart = _times(result.series, [key for key in keys if stands_apart(metric, key.tags)])
    times = _times(result.series, [key for key in keys if not stands_apart(metric, key.tags)])
    calls, failed = _outcome(result.series, metric, tags, keys)
    finest = _finest(result.total, metric, tags, times)
    return Operation(
        name=name,
        group=group_of(metric),
        metric=metric,
        tags=tags,
        calls=calls,
        per_s=calls / result.elapsed_s if result.elapsed_s > 0 else 0.0,
        failed=failed,
        total_ms=times.sum + apart.sum,
        p50_ms=_quantile(finest, 0.50),
        p95_ms=_quantile(finest, 0.95),
        p99_ms=_quantile(finest, 0.99),
        max_ms=_quantile(finest, 1.0),
        failed_p95_ms=_quantile(apart, 0.95),
        relative_error=finest.relative_error,
        lumped=tags == OVERFLOW,
        urls=len({pair for key in keys for pair in _chosen(key, ("url",))}) or 1,
    )


def _times(series: Snapshot, keys: Sequence[SeriesKey]) -> Histogram:
    states = [state for key in keys if isinstance(state := series.series[key], Histogram)]
    merged = merge_states(keys[0], states) if states else None
    return merged if isinstance(merged, Histogram) else Histogram()


def _finest(total: Snapshot, metric: str, tags: Tags, times: Histogram) -> Histogram:
    """Return the same samples with more buckets, where *total* has just these: then limits show the same figure."""
    totals = (total.trend(metric, dict(tags)), total.trend(metric))
    return next((finer for finer in totals if finer.count == times.count and finer.schema > times.schema), times)


def _outcome(series: Snapshot, metric: str, tags: Tags, keys: Sequence[SeriesKey]) -> tuple[int, float | None]:
    """Return how many calls there were, and which share of them failed, None where that is not known."""
    rate = series.rate(_FAILED.get(metric) or _PASSED.get(metric, ""), dict(tags))
    if rate.total:
        return rate.total, 1.0 - rate.rate if metric in _PASSED else rate.rate
    calls, tag = _times(series, keys).count, failed_calls(metric)
    if tag is None or not calls:
        return calls, None
    return calls, _times(series, [key for key in keys if tag in key.tags]).count / calls


def _quantile(times: Histogram, q: float) -> float | None:
    return times.quantile(q) if times.count else None

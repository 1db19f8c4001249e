"""The tables of a run as they are shown."""

from dataclasses import replace

from pytest_cdcperf.clients.http.metrics import HTTP_REQ_DURATION
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.snapshot import CounterState, Kind, RateState, SeriesKey, Snapshot
from pytest_cdcperf.reporting.table_views import TablesView, operation_view
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.tables import Operation

ROW = Operation(
    name="GET /items/{id}",
    group="HTTP",
    metric="http_req_duration",
    tags=(("method", "GET"), ("name", "/items/{id}")),
    calls=14220,
    per_s=157.97,
    failed=0.0038,
    total_ms=1e6,
    p50_ms=0.4312,
    p95_ms=9.44,
    p99_ms=214.49,
    max_ms=1204.3,
    failed_p95_ms=None,
    relative_error=0.0027,
)


def cells(view):
    return (view.name, view.calls, view.per_s, view.failed, view.p50, view.p95, view.p99, view.max)


def test_a_row_has_short_figures():
    view = operation_view(ROW)
    assert cells(view) == ("GET /items/{id}", "14,220", "158", "0.38%", "0.43", "9.4", "214", "1,204")
    assert view.selector == "http_req_duration{method:GET,name:/items/{id}}"


def test_what_is_not_known_is_a_dash():
    none = operation_view(replace(ROW, failed=None, p50_ms=None, p95_ms=None, p99_ms=None, max_ms=None))
    assert cells(none)[3:] == ("-",) * 5


def test_the_tables_of_a_run(result):
    tables = RunView.of(result).tables
    assert [row.name for row in tables.operations] == ["response time", "PostgreSQL  <b>\"'&]]>ü"]
    assert [(row.passed, row.failed) for row in tables.checks] == [(297, 3)]
    assert tables.notes == ()


def test_names_of_others_are_harmless(empty):
    nasty = "a\x1b[31m\x00\ud800\n" + "x" * 300
    measured = {
        SeriesKey("checks", Kind.RATE, (("check", nasty),)): RateState(1, 1),
        SeriesKey("grpc_errors", Kind.COUNTER, (("method", nasty), ("status", nasty))): CounterState(1),
    }
    row = operation_view(replace(ROW, name=nasty, metric=nasty))
    tables = TablesView.of(replace(empty, series=Snapshot(measured)))
    shown = [row.name, row.metric, row.selector, tables.checks[0].name, tables.errors[0].error]
    assert not [name for name in (*shown, tables.errors[0].operation) if {"\x1b", "\x00", "\ud800", "\n"} & {*name}]


def test_the_notes_say_where_figures_are_coarse_and_operations_lumped(empty):
    def series(error, *tags):
        times = Histogram()
        times.record([1.02**n for n in range(error)])
        times.limit(160)
        return {SeriesKey(HTTP_REQ_DURATION.name, Kind.TREND, tags): times}

    coarse = series(1000, ("method", "GET"), ("name", "/a"))
    lumped = series(5, ("overflow", "true"))
    assert TablesView.of(replace(empty, series=Snapshot({**coarse, **lumped}))).notes == (
        "percentiles in these tables may be off by up to 9.5%; those of limits are exact to 0.27%",
        "too many to keep apart, so lumped together: HTTP: further ones",
    )


def test_the_notes_name_operations_of_several_hosts(empty):
    def request(host, name):
        times = Histogram()
        times.record([1.0])
        tags = (("method", "GET"), ("name", name), ("url", host + name))
        return {SeriesKey(HTTP_REQ_DURATION.name, Kind.TREND, tags): times}

    measured = {**request("http://a", "/x"), **request("http://b", "/x"), **request("http://a", "/y")}
    assert TablesView.of(replace(empty, series=Snapshot(measured))).notes == (
        "GET /x: of several hosts; the table of tags has each apart, by its url",
    )


def test_a_run_without_anything_has_empty_tables(empty):
    assert TablesView.of(empty) == TablesView()

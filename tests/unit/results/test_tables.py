from __future__ import annotations

import pytest

from pytest_cdcperf.cdc import arrival
from pytest_cdcperf.clients import mongo
from pytest_cdcperf.clients.grpc import recording as grpc
from pytest_cdcperf.clients.http import metrics as http
from pytest_cdcperf.clients.postgres import statements as pg
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import builtin, caps
from pytest_cdcperf.metrics.metric import Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.timeline import Timeline, Window
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.results.tables import CallError, CheckRow, call_errors, checks, groups, operations, tagged

OWN = Trend("t_tables_redis", unit="ms")
FACTS = RunFacts("r1", "test_shop.py::test_order", "2 VUs for 10s", 10.0)
OK, EXPECTED = {"ok": "true"}, {"expected_response": "true"}
FAILED, UNEXPECTED = {"ok": "false"}, {"expected_response": "false"}
SHOP, PAY = "http://shop.example:47753", "http://pay.example"


def result_of(*samples, elapsed_s=10.0, apart=None):
    """Return the result of a run that recorded *samples*: a metric, its value, its tags, and how often."""
    recorder = Recorder()
    with recording(Scope(recorder)):
        for metric, value, tags, *times in samples:
            for _ in range(times[0] if times else 1):
                metric.add(value, tags)
    timeline = Timeline(apart=apart)
    timeline.add(Window(0.0, elapsed_s, recorder.drain()))
    return RunResult(FACTS, elapsed_s, Verdict.PASSED, total=timeline.total, series=timeline.series)


def request(method, path, ms, times=1, *, host=SHOP, outcome=EXPECTED, **tags):
    tags = {"method": method, "name": path, "url": host + path, **outcome, **tags}
    return [(http.HTTP_REQ_DURATION, ms, tags, times), (http.HTTP_REQS, 1, tags, times)]


SAMPLES = [
    (builtin.RESPONSE_TIME, 30, {"scenario": "browse"}, 60),
    (builtin.RESPONSE_TIME, 50, {"scenario": "buy"}, 40),
    *[(builtin.ITERATION_FAILED, failed, {"scenario": "buy"}, n) for failed, n in ((True, 4), (False, 36))],
    (builtin.ITERATION_FAILED, False, {"scenario": "browse"}, 60),
    *request("GET", "/items/{id}", 8, 90, status="200"),
    *request("GET", "/items/{id}", 1, 10, outcome=UNEXPECTED, status="404"),
    *request("POST", "/items", 9, 10, status="201"),
    *request("POST", "/items", 60_000, 2, outcome=UNEXPECTED, status="0", error="timeout"),
    (pg.PG_WRITE_DURATION, 2, {"op": "insert", "table": "customer", **OK}, 100),
    (pg.PG_CONTROL_DURATION, 0.5, {"op": "begin", **OK}, 100),
    (mongo.MONGO_READ_DURATION, 1, {"collection": "customers", "op": "find", **OK}, 100),
    (grpc.GRPC_REQ_DURATION, 3, {"service": "shop.Adder", "method": "Add", "status": "OK", **OK}, 50),
    (arrival.CDC_E2E_LATENCY, 40, {"collection": "customers"}, 98),
    (arrival.CDC_SUCCESS_RATE, True, {"collection": "customers"}, 95),
    (arrival.CDC_SUCCESS_RATE, False, {"collection": "customers"}, 5),
    (arrival.CDC_PROPAGATION, 38, {"collection": "customers"}, 98),
    (OWN, 5, {"key": "a"}, 3),
    (OWN, 6, {"key": "b"}, 3),
]


def test_operations_have_names_in_words_after_response_time_and_in_the_order_of_their_time():
    rows = operations(result_of(*SAMPLES))
    assert [(row.name, row.group, row.calls, row.failed) for row in rows] == [
        ("response time", "execution", 100, 0.04),
        ("POST /items", "HTTP", 12, pytest.approx(2 / 12)),
        ("arrival in customers", "change data capture", 100, pytest.approx(0.05)),
        ("GET /items/{id}", "HTTP", 100, 0.1),
        ("PostgreSQL INSERT customer", "PostgreSQL", 100, 0.0),
        ("shop.Adder/Add", "gRPC", 50, 0.0),
        ("MongoDB find customers", "MongoDB", 100, 0.0),
        ("PostgreSQL BEGIN", "PostgreSQL", 100, 0.0),
        ("t_tables_redis", "other", 6, None),
    ]


def test_an_operation_has_its_figures_those_of_failed_calls_apart():
    row = next(row for row in operations(result_of(*SAMPLES)) if row.name == "GET /items/{id}")
    assert (row.p50_ms, row.p99_ms, row.max_ms, row.failed_p95_ms) == (8, 8, 8, 1)
    assert (row.per_s, row.total_ms) == (10, 730)
    assert row.selector == "http_req_duration{method:GET,name:/items/{id}}"


def test_a_call_at_its_time_limit_has_failed_and_is_among_the_times():
    row = next(row for row in operations(result_of(*SAMPLES)) if row.name == "POST /items")
    assert (row.max_ms, row.failed_p95_ms) == (60_000, None)


def test_calls_that_all_failed_have_no_times():
    samples = request("GET", "/a", 3, 5, outcome=UNEXPECTED, status="0", error="refused")
    (row,) = operations(result_of(*samples))
    assert (row.calls, row.failed, row.p50_ms, row.max_ms, row.failed_p95_ms) == (5, 1.0, None, None, 3)


def test_one_path_on_several_hosts_is_one_operation_whose_urls_are_apart_in_tags_and_errors():
    samples = [*request("GET", "/health", 1, 4), *request("GET", "/health", 2, host=PAY), *request("GET", "/items", 3)]
    failing = request("GET", "/health", 1, host=PAY, outcome=UNEXPECTED, status="503")
    result = result_of(*samples, *failing)
    assert [(row.name, row.calls, row.urls) for row in operations(result)] == [
        ("GET /health", 6, 2),
        ("GET /items", 1, 1),
    ]
    assert [(row.name, row.selector, row.calls) for row in tagged(result)] == [
        (f"url:{SHOP}/health", f"http_req_duration{{url:{SHOP}/health}}", 4),
        (f"url:{PAY}/health", f"http_req_duration{{url:{PAY}/health}}", 2),
    ]
    assert call_errors(result) == (CallError("HTTP", "503", f"GET {PAY}/health", 1),)


def test_operations_beyond_the_cap_are_one_row_that_says_so(monkeypatch):
    monkeypatch.setattr(caps, "MAX_SERIES_PER_METRIC", 2)
    samples = [sample for path in "abcd" for sample in request("GET", f"/{path}", 1)]
    by_name = {row.name: row for row in operations(result_of(*samples))}
    assert {name: (row.calls, row.lumped) for name, row in by_name.items()} == {
        "GET /a": (1, False),
        "GET /b": (1, False),
        "HTTP: further ones": (2, True),
    }


def test_percentiles_are_those_of_the_limits_where_these_are_on_the_same_calls():
    spread = [
        (pg.PG_WRITE_DURATION, 1.01**n, {"op": op, "table": table, **OK})
        for n in range(1000)
        for op, table in (("insert", "a"), ("insert", "b"), ("update", "c"))
    ]
    judged = {pg.PG_WRITE_DURATION.name: [("op", "update"), ("table", "c")]}
    result = result_of(*spread, apart=judged)
    by_name = {row.name: row for row in operations(result)}
    exact = result.total.trend("pg_write_duration", {"op": "update"})
    assert by_name["PostgreSQL UPDATE c"].p95_ms == exact.quantile(0.95)
    assert by_name["PostgreSQL UPDATE c"].relative_error == exact.relative_error < 0.003
    assert by_name["PostgreSQL INSERT a"].relative_error > 0.02


def test_groups_have_a_row_each():
    rows = groups(
        result_of(
            (builtin.GROUP_DURATION, 5, {"group": "outer::inner"}, 10),
            (builtin.GROUP_DURATION, 7, {"group": "outer", "scenario": "a"}, 6),
            (builtin.GROUP_DURATION, 7, {"group": "outer", "scenario": "b"}, 4),
            (builtin.GROUP_DURATION, 1, {"overflow": "true"}, 2),
        )
    )
    assert [(row.name, row.calls, row.failed, row.p50_ms, row.lumped) for row in rows] == [
        ("outer", 10, None, 7, False),
        ("outer::inner", 10, None, 5, False),
        ("further groups", 2, None, 1, True),
    ]


def test_tags_of_users_have_a_row_for_each_metric_that_they_select_a_part_of():
    everywhere = [(OWN, 5, {"team": "x"}), *request("GET", "/a", 3, 2, kind="read"), *request("GET", "/b", 1)]
    rows = tagged(result_of(*SAMPLES, *everywhere))
    assert [(row.name, row.metric, row.calls, row.failed) for row in rows] == [
        ("key:b", "t_tables_redis", 3, None),
        ("key:a", "t_tables_redis", 3, None),
        ("kind:read", "http_req_duration", 2, 0.0),
        ("scenario:buy", "response_time", 40, 0.1),
        ("scenario:browse", "response_time", 60, 0.0),
        ("team:x", "t_tables_redis", 1, None),
    ]


def test_a_tag_that_all_samples_carry_has_no_row():
    assert tagged(result_of((OWN, 5, {"team": "x"}), (OWN, 6, {"team": "x"}))) == ()


def test_checks_that_failed_come_first():
    samples = [(builtin.CHECKS, n > 1, {"check": name}) for name in "ab" for n in range(4)]
    result = result_of(*samples, (builtin.CHECKS, False, {"check": "b", "group": "g"}), (builtin.CHECKS, True, {}))
    assert checks(result) == (CheckRow("b", 2, 3), CheckRow("a", 2, 2))


def test_errors_of_calls_are_counted_by_operation_and_error():
    errors = [
        (grpc.GRPC_ERRORS, 1, {"service": "shop.Adder", "method": "Add", "status": "UNAVAILABLE"}, 3),
        (pg.PG_WRITE_ERRORS, 1, {"op": "insert", "table": "customer", "error": "UniqueViolation"}, 4),
        (pg.PG_READ_ERRORS, 1, {"op": "select"}, 1),
        (mongo.MONGO_READ_ERRORS, 1, {"collection": "customers", "op": "find", "error": "AutoReconnect"}, 5),
    ]
    assert call_errors(result_of(*SAMPLES, *errors)) == (
        CallError("HTTP", "404", "GET /items/{id}", 10),
        CallError("MongoDB", "AutoReconnect", "MongoDB find customers", 5),
        CallError("PostgreSQL", "UniqueViolation", "PostgreSQL INSERT customer", 4),
        CallError("gRPC", "UNAVAILABLE", "shop.Adder/Add", 3),
        CallError("HTTP", "timeout", "POST /items", 2),
        CallError("PostgreSQL", "failed", "PostgreSQL SELECT", 1),
    )


def test_a_run_that_measured_nothing_has_no_rows():
    nothing = result_of(elapsed_s=0.0)
    assert [table(nothing) for table in (operations, groups, tagged, checks, call_errors)] == [()] * 5

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.names import absence, names_for
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import SeriesKey, Snapshot, new_state

RUN = Snapshot(
    {
        SeriesKey(name, kind, tags): new_state(kind)
        for name, kind, tags in (
            ("cdc_e2e_latency", Kind.TREND, ()),
            ("iterations", Kind.COUNTER, ()),
            ("checks", Kind.RATE, ()),
            ("vus", Kind.GAUGE, ()),
            ("pg_write_duration", Kind.TREND, (("group", "g"), ("table", "customer"))),
            ("pg_write_duration", Kind.TREND, (("group", "h"), ("table", "orders"))),
        )
    }
)


@pytest.mark.parametrize(
    ("name", "names", "words"),
    [
        ("pg_wrte", ["checks", "pg_write", "vus", "pg_writes"], "pg_write, pg_writes, checks, vus"),
        ("x", ["b", "a"], "a, b"),
        ("x", ["checks", "zeta"], "zeta, checks"),  # every run has checks
        ("x", [], "none"),
        ("m11", [f"m{n}" for n in range(10, 22)], "m11, m21, m19, m10, m12, m13, m14, m15 and 4 more"),
        ("x", ["a" * 1000], "a" * 100),
        ("a" * 100_000, ["a" * 99_999], "a" * 100),
    ],
)
def test_names_that_are_alike_come_first_and_there_are_few(name, names, words):
    assert names_for(name, names) == words


@pytest.mark.parametrize(
    ("metric", "limit", "words"),
    [
        (
            "cdc_e2e_latenzy",
            "p(95)<5",
            "the run recorded no cdc_e2e_latenzy; it has cdc_e2e_latency, pg_write_duration",
        ),
        ("chekcs", "rate>0.9", "the run recorded no chekcs; it has checks, iterations"),
        ("t_names_lost", "value>1", "the run recorded no t_names_lost; it has vus"),
        (
            "pg_write_duration{table:custmer}",
            "p(95)<5",
            "the run recorded no pg_write_duration{table:custmer}; it has table:customer, table:orders",
        ),
        (
            "pg_write_duration{group:g,table:orders}",
            "p(95)<5",
            "the run recorded no pg_write_duration{group:g,table:orders}; with table:orders it has group:h",
        ),
        (
            "pg_write_duration{group:x,table:customer}",
            "p(95)<5",
            "the run recorded no pg_write_duration{group:x,table:customer}; with table:customer it has group:g",
        ),
        (
            "pg_write_duration{group:x,table:y}",
            "p(95)<5",
            "the run recorded no pg_write_duration{group:x,table:y}; "
            "its tags are group:g, group:h, table:customer, table:orders",
        ),
        (
            "pg_write_duration{group:g,tabel:orders}",
            "p(95)<5",
            "the run recorded no pg_write_duration with a tag tabel; its tags are table, group",
        ),
        (
            "iterations{group:g}",
            "count>5",
            "the run recorded no iterations with a tag group, nor with any other",
        ),
        ("cdc_e2e_latency", Limit("p(95)<5", phase="hold"), "it has samples, but none in hold"),
        ("cdc_e2e_latency", "p(95)<5", ""),
        ("test_iterations", "count>5", ""),
    ],
)
def test_what_there_is_instead_of_what_was_asked_for(metric, limit, words):
    assert absence(parse_thresholds({metric: limit})[0], RUN) == words

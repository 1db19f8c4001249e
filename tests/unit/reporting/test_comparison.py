"""Two results side by side as text: both figures, the quotient, what differs, and no judgement."""

from __future__ import annotations

from dataclasses import replace

from pytest_cdcperf.reporting.comparison import ComparisonView
from pytest_cdcperf.reporting.comparison_text import comparison_lines
from pytest_cdcperf.results.compare import compare
from pytest_cdcperf.results.environment import Environment
from tests.unit.results.test_compare import run


def lines(first, second, width=100):
    return comparison_lines(ComparisonView.of(compare(first, second)), width)


def test_no_line_is_wider_than_a_terminal():
    services = {"postgres": "postgresql://user@a-server-with-a-long-name.example.org:5432/shop"}
    said = lines(run(services=services), run(2.0, ("p(95)<200", "p(99.9)<30000"), profile="soak"), 64)
    assert max(map(len, said)) <= 64
    assert "95 % interval" not in "".join(said)
    assert any("197.9 ms" in line for line in said)


def test_two_runs_stand_below_each_other_with_their_quotient():
    first = replace(run(started_at="2026-01-01T00:00:00.123+00:00", seed="1"), reasons=("it was slow",))
    assert lines(first, run(2.0, ("p(95)<300",), session_id="1a1b2c3d", seed="2")) == [
        "A  2026-01-01 00:00:00 UTC, session 0a1b2c3d: 2 VUs for 40s · ran 40s",
        "   PASSED  it was slow",
        "B  session 1a1b2c3d: 2 VUs for 40s · ran 40s",
        "   PASSED",
        "",
        "differs                       A          B",
        "seed                          1          2",
        "limit on response_time p(95)  p(95)<200  p(95)<300",
        "",
        "limit                run        value      95 % interval  bound",
        "response_time p(95)  A    ✓  98.97 ms  96.59 to 109.4 ms  < 200 ms",
        "                     B    ✓  197.9 ms  193.2 to 218.8 ms  < 300 ms",
        "                     B/A            2",
        "",
        "operation      run  calls  per s  failed  p50  p95  p99  max ms",
        "response time  A    4,000    100       -   54   99  115     120",
        "               B    4,000    100       -  108  198  230     240",
        "               B/A             1            2    2    2       2",
    ]


def test_without_limits_operations_and_differences_there_are_the_two_runs_alone():
    bare = replace(run(), thresholds=(), series=run().total.only(()), total=run().total.only(()))
    assert len(lines(bare, bare)) == 4


def test_an_operation_of_one_run_has_dashes_for_the_other():
    bare = replace(run(), series=run().series.only(()))
    rows = [line.split() for line in lines(bare, run()) if line.startswith(("response time", "   "))]
    assert ["response", "time", "A", "-", "-", "-", "-", "-", "-", "-"] in rows


def test_an_environment_of_anything_is_harmless():
    nasty = "<script>\x1b[31m\0\ud800\n"
    said = "\n".join(lines(run(), replace(run(services={nasty: nasty}), environment=Environment(nasty))))
    assert r"<script>\x1b[31m\x00\ud800\n" in said
    said.encode()

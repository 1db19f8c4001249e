from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.reporting.plan import OtherTest, Plan, PlannedTest, plan_lines
from pytest_cdcperf.reporting.text_chart import ASCII, BLOCKS
from pytest_cdcperf.spec import PerfSpec, parse_marker
from tests.unit.sample_results import NASTY

STEADY = ConstantVUs(vus=10, duration="5m")


def planned(load: Load | dict[str, Load], name: str = "test_it", **marker: object) -> PlannedTest:
    keys = parse_marker(marker)
    loads = load if isinstance(load, dict) else {"": load}
    spec = PerfSpec(loads, None, keys.thresholds, keys.run_rules, keys.error_rate, {}, keys.drain_s)
    return PlannedTest(name, spec, loads, own_limits=keys.thresholds)


def lines_of(*tests: PlannedTest, width: int = 80, **plan: object) -> list[str]:
    return [line.text for line in plan_lines(Plan(tests, **plan), width, BLOCKS)]


def said(label: str, *tests: PlannedTest, **plan: object) -> list[str]:
    """Return what stands right of *label*."""
    return [line.partition(label)[2].strip() for line in lines_of(*tests, **plan) if line.startswith(f"  {label}")]


def test_the_plan_of_a_test():
    ramp = RampingVUs(stages=[("1m", 6), ("0s", 2), ("1m", 2)])
    assert lines_of(planned(ramp, p95="2s", recovery=True, error_rate=0.01, drain="20s"), width=68) == [
        "test_it",
        "  load      VUs 0, to 6 in 1m, to 2 at once, to 2 in 1m",
        "     6 VUs │                      ▃▃▃▃▃█",
        "           │                  ▅▅▅▅██████",
        "           │         ▃▃▃▃███████████████▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃",
        "           │    ▅▅▅▅▅██████████████████████████████████████████████",
        "         0 └┴─────────────┴─────────────┴────────────┴─────────────",
        "            0             30s           1m           1m30s       2m",
        "  limits    response_time p(95) < 2,000 ms  @perf",
        "            response_time p(95) back within 50% in 1m",
        "                                            @perf",
        "            failed iterations: at most 1%   @perf",
        "  time      2m, at most 2m50s (graceful stop 30s, drain 20s)",
        "",
        "1 test under load: 2m, at most 2m50s",
    ]


@pytest.mark.parametrize(
    ("test", "time"),
    [
        (planned(STEADY), "5m, at most 5m30s (graceful stop 30s)"),
        (planned(replace(STEADY, graceful_stop=0)), "5m"),
        (planned(STEADY, drain="20s"), "5m, at most 5m50s (graceful stop 30s, drain 20s)"),
        (
            planned(PerVUIterations(vus=2, max_duration="1m")),
            "until the iterations are done, at most 1m30s (graceful stop 30s)",
        ),
        (
            planned({"a": STEADY, "b": PerVUIterations()}),
            "5m and what ends by its iterations, at most 10m30s (graceful stop 30s)",
        ),
    ],
)
def test_how_long_a_test_takes(test, time):
    assert said("time", test, width=100) == [time]


def test_the_time_of_all_tests_and_what_is_not_in_it():
    by_hand = replace(planned(STEADY), drives_itself=True)
    others = (OtherTest("once", "test_a", "--perf-once"), OtherTest("skipped", "test_b", "no server"))
    total = lines_of(planned(STEADY), planned(STEADY), by_hand, width=200, others=others, plain_tests=3, errors=1)[-2:]
    assert " ".join(total) == (
        "2 tests under load: 10m, at most 11m; 1 with load.run, of a length not known yet; 1 once; 1 skipped; "
        "3 ordinary tests; what could not be collected is left out (1 error)"
    )
    assert lines_of(others=others[:1])[-1] == "no test under load; 1 once"


def test_the_load_of_a_test_that_drives_it_itself_is_not_invented():
    lines = lines_of(replace(planned(STEADY, p95=100), drives_itself=True), width=100)
    assert lines[:3] == [
        "test_it",
        "  load      load.run states its loads and limits: they are known only while it runs",
        "",
    ]


def test_limits_with_what_they_come_from():
    test = planned(STEADY, p95="2s", error_rate=0.05, thresholds={"checks": "rate>0.99", "iterations": "count>5"})
    stricter = parse_marker({"p95": "1s"}).thresholds
    file = replace(test.spec, thresholds=(*test.own_limits[:2], *stricter))
    lines = lines_of(replace(test, spec=file, file="staging.json"))
    begin = next(number for number, line in enumerate(lines) if line.startswith("  limits"))
    assert lines[begin : begin + 5] == [
        "  limits    checks rate > 99%               @perf",
        "            iterations count > 5            @perf",
        "            response_time p(95) < 1,000 ms  staging.json, instead of p(95)<2000",
        "            failed iterations: at most 5%   @perf",
        "  time      5m, at most 5m30s (graceful stop 30s)",
    ]
    assert said("limits", planned(STEADY)) == ["failed iterations: none"]


def test_what_the_command_line_changes():
    test = planned(ConstantVUs(vus=10, duration="30s"))
    changed = replace(test, stated={"": STEADY}, options=("--perf-duration=30s",))
    assert said("changed", changed) == ["by --perf-duration=30s; the test states 10 VUs for 5m"]
    assert said("changed", replace(test, options=("--perf-duration=30s",))) == []


@pytest.mark.parametrize(
    ("load", "workers", "words"),
    [
        (STEADY, 1, []),
        (STEADY, 2, ["5 VUs each"]),
        (STEADY, 4, ["3 VUs on 2, 2 VUs on 2"]),
        (ConstantVUs(duration="5m"), 3, ["1 VU on 1, none on 2"]),
        (
            SharedIterations(vus=2, iterations=5),
            3,
            ["1 VU on 2, none on 1; 3 iterations on 1, 2 iterations on 1, none on 1"],
        ),
        (ConstantArrivalRate(rate=100, duration="5m", vus=4), 2, ["one start in 2 each, with 2 VUs each"]),
        (RampingArrivalRate(stages=[("1m", 9)]), 2, ["one start in 2 each, with at most 100 VUs each"]),
        (ConstantArrivalRate(rate=1, duration="5m", vus=1), 2, ["1 VU on 1, none on 1"]),
    ],
)
def test_how_workers_share_a_load(load, workers, words):
    assert said(f"{workers} workers", planned(load), workers=workers, width=100) == words


def test_the_charts_of_several_loads_have_one_time_axis():
    loads = {"a": STEADY, "b": ConstantArrivalRate(rate=2000, duration="1m", vus=5, start_at="5m")}
    lines = lines_of(planned(loads))
    first, second = (next(line for line in lines if unit in line and "│" in line) for unit in ("10 VUs", "2,000/s"))
    assert first.index("│") == second.index("│")
    assert first.rstrip().rindex("█") in {second.index("█"), second.index("█") - 1}
    assert [line.split() for line in lines if line.endswith("6m")] == [["0", "2m", "4m", "6m"]]
    assert "begins at 5m" in "".join(lines)


def test_no_line_is_wider_than_the_terminal_and_no_name_harms_it():
    other = OtherTest("skipped", NASTY, NASTY)
    test = replace(planned({NASTY: STEADY}, name=NASTY, p95=1), file=NASTY, gate=True)
    lines = list(plan_lines(Plan((test,), (other,)), 60, ASCII))
    assert all(line.text.isprintable() for line in lines)
    assert max(len(line.text) for line in lines[1:] if "x" * 20 not in line.text) <= 60

"""The text of a run that did not pass."""

from dataclasses import replace

import pytest

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.reporting.not_passed import FailureText, first_reason
from pytest_cdcperf.reporting.view import RunView
from tests.unit.sample_results import NASTY


def text_of(result, **changed):
    return FailureText.of(RunView.of(replace(result, **changed)))


def test_the_reasons_come_first_then_the_failures_with_the_commonest_traceback(result):
    assert str(text_of(result)).splitlines() == [
        "max of response_time 102 ms, limit 50 ms (max<50); crossed 0:00 to 0:03",
        NASTY,
        "ValueError at test_shop.py:7: 6 times",
        "    Traceback",
        f"    {NASTY}",
    ]


def test_that_a_run_is_invalid_is_said(result, empty):
    assert text_of(result, verdict=Verdict.INVALID).reasons[0].startswith("INVALID: max of response_time 102 ms")
    assert text_of(empty).reasons == ("INVALID: no reason was given",)


def test_an_unfit_generator_that_is_tolerated_is_named(result):
    assert text_of(result, warnings=("it was late",)).reasons[-1] == "WARNING, the generator was unfit: it was late"


def test_all_kinds_are_counted_and_ten_are_named(result):
    first = FailureKind("E", "f.py:1", 1702, "E: lost\n", first_s=3.0, last_s=63.0)
    kinds = [first, *(FailureKind(f"E{number}", "f.py:2", 2, "") for number in range(12))]
    details = text_of(result, failures=tuple(kinds)).details
    assert details[:3] == (
        "E: lost at f.py:1: 1,702 times, first 0:03, last 1:03",
        "    E: lost",
        "E0 at f.py:2: 2 times",
    )
    assert details[-2:] == ("E8 at f.py:2: 2 times", "and 3 more kinds: 6 times")
    assert text_of(result, failures=tuple(kinds[:11])).details[-1] == "and 1 more kind: 2 times"


def test_the_first_failure_that_can_be_is_repeated_by_a_command(result):
    facts = replace(result.facts, replay="pytest test_it.py --pdb --perf-replay=")
    kinds = tuple(FailureKind("E", "f.py:1", 2, "", iteration=iteration) for iteration in ("", "r1::1:3", "r1::2:3"))
    details = text_of(result, facts=facts, failures=kinds).details
    assert [line for line in details if "again" in line] == ["again: pytest test_it.py --pdb --perf-replay=r1::1:3"]


def test_of_a_long_traceback_the_end_is_shown(result):
    long = FailureKind("E", "f.py:1", 1, "\n".join(f"line {number}" for number in range(100)))
    assert text_of(result, failures=(long,)).details[1:] == tuple(f"    line {number}" for number in range(80, 100))


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (100, "max of response_time 102 ms, limit 50 ms (max<50); crossed 0:00 to 0:03"),
        (60, "max of response_time 102 ms, limit 50 ms (max<50)"),
        (45, "max of response_time 102 ms, limit 50 ms"),
        (30, "max of response_time 102 ms"),
        (26, "max 102 ms, limit 50 ms"),
        (15, "max 102 ms"),
        (8, "102 ms"),
        (5, ""),
    ],
)
def test_the_first_reason_is_short_enough_and_its_figure_whole(result, width, said):
    assert first_reason(result, width) == said


def test_a_reason_without_a_clause_is_cut_between_words(result):
    late = "the generator could not run for 23% of the time"
    run = replace(result, verdict=Verdict.INVALID, reasons=(late,))
    assert first_reason(run, 46) == "INVALID: the generator could not run for ..."
    assert first_reason(run, 20) == ""

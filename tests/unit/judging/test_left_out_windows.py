"""Rules about the whole run leave out the windows that the generator's own delay distorts: on recorded ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice

import pytest

from pytest_cdcperf.judging.own_delay import distorts
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import Breaking, breaking_point, watched_in
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import GaugeState, SeriesKey, Snapshot
from tests.unit.judging.recorded_runs import RecordedRun

RESPONSE = SeriesKey("response_time", Kind.TREND)
QUIET, GARBAGE = (RecordedRun(name).windows()[:4] for name in ("quiet", "garbage"))
SPIKE = (Phase("hold", 0, 60), Phase("ramp-up", 60, 70), Phase("ramp-down", 70, 80), Phase("hold", 80, 200))
RAMP = (Phase("ramp-up", 0, 60),)


def timeline(*parts, phase_of=lambda _: -1):
    """Windows one after the other, a second each, from recorded ones and how many of them there are."""
    made = [window for windows, seconds in parts for window in islice(cycle(windows), seconds)]
    return [
        replace(
            window,
            start_s=float(second),
            end_s=second + 1.0,
            snapshot=Snapshot({key.in_phase(phase_of(second)): state for key, state in window.snapshot.series.items()}),
        )
        for second, window in enumerate(made)
    ]


def slower(windows, times):
    """The same with response times that are longer, as where the system is slow."""
    made = []
    for window in windows:
        state = window.snapshot.series[RESPONSE]
        longer = Histogram()
        longer.record([state.quantile((rank - 0.5) / state.count) * times for rank in range(1, state.count + 1)])
        made.append(replace(window, snapshot=Snapshot({**window.snapshot.series, RESPONSE: longer})))
    return made


def test_the_seconds_in_which_the_generator_was_late_are_the_distorted_ones():
    assert [distorts(window.snapshot, "response_time") for window in QUIET] == [False] * 4
    assert all(distorts(window.snapshot, "response_time") for window in GARBAGE)


def test_recovery_is_not_failed_by_the_generators_own_delay_and_says_what_was_left_out():
    windows = timeline((QUIET, 80), (GARBAGE, 20), (QUIET, 60), (GARBAGE, 30), (QUIET, 10))
    result = Recovery().judge(windows, SPIKE)
    assert (result.outcome, result.observed) == (Outcome.PASSED, pytest.approx(1, rel=0.05))
    assert result.note.endswith("; 50 of 180 windows were left out, in which the load generator itself was late")


def test_recovery_still_fails_where_the_system_is_slow():
    result = Recovery().judge(timeline((QUIET, 80), (GARBAGE, 20), (slower(QUIET, 3), 100)), SPIKE)
    assert (result.outcome, result.observed) == (Outcome.FAILED, pytest.approx(3, rel=0.05))


def test_recovery_of_late_windows_alone_is_not_judged():
    result = Recovery().judge(timeline((QUIET, 80), (GARBAGE, 120)), SPIKE)
    assert result.outcome is Outcome.NOT_JUDGED
    assert result.note.endswith("; 120 of 180 windows were left out, in which the load generator itself was late")


def test_without_a_late_window_nothing_is_said_of_them():
    assert "left out" not in Recovery().judge(timeline((QUIET, 200)), SPIKE).note


def test_drift_leaves_late_windows_out():
    windows = timeline((QUIET, 2400), (GARBAGE, 60), (QUIET, 540), (GARBAGE, 600))
    result = Drift().judge(windows, ())
    assert (result.outcome, result.observed) == (Outcome.PASSED, pytest.approx(0, abs=0.02))
    assert result.note.endswith("; 660 of 3600 windows were left out, in which the load generator itself was late")


def test_a_memory_drifts_whether_the_generator_is_late_or_not():
    windows = timeline((GARBAGE, 3600))
    for window in windows:
        megabytes = 100 + window.start_s / 36
        window.snapshot.series[SeriesKey("t_rss", Kind.GAUGE)] = GaugeState(value=megabytes)
    result = Drift("t_rss").judge(windows, ())
    assert result.outcome is Outcome.FAILED
    assert "left out" not in result.note


def said(*parts):
    windows = timeline(*parts)
    for window in windows:
        vus = window.start_s
        window.snapshot.series[SeriesKey("vus", Kind.GAUGE)] = GaugeState(value=vus, min=vus, max=vus)
    limits = parse_thresholds({"response_time": "p(95)<40"})
    return breaking_point(watched_in(windows, limits, 0.05), windows, RAMP)


def test_the_generators_own_delay_is_no_breaking_point():
    assert said((QUIET, 40), (GARBAGE, 20)).words == (
        "no breaking point up to 39 VUs; 20 of 60 windows were left out, in which the load generator itself was late"
    )


def test_a_break_is_found_beside_windows_that_are_left_out():
    found = said((QUIET, 30), (GARBAGE, 3), (slower(QUIET, 4), 27))
    assert found.outcome is Breaking.FOUND
    assert found.words.startswith("breaking point at 33 s, 33 VUs")
    assert found.words.endswith("; 3 of 60 windows were left out, in which the load generator itself was late")

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.fitness import Measured, assess, measured
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.worker_delay import WorkerDelay
from pytest_cdcperf.metrics import builtin  # noqa: F401  # defines the metrics that are judged here
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.metric import Counter, Rate, Trend
from tests.unit.metrics.windows import window

WRITE = Trend("t_fitness_write", unit="ms").name
SIZE = Trend("t_fitness_size").name
ROWS = Counter("t_fitness_rows").name
SHARE = Rate("t_fitness_share").name
CPU = DelayEvidence(span_s=1.0, late_s=0.3, worst_ms=240.0, worst_from_s=4.0, worst_to_s=5.0, cpu_s=0.9, cpus=2)
BECAUSE = "its own code used 0.9 of a CPU, and Python runs on one: use more workers, fewer VUs, or think time"
HIDES = "it is uncertain whether the limit was kept"


def result(expression, observed, outcome=None, *, metric=WRITE, **where):
    (threshold,) = parse_thresholds({metric: Limit(expression, **where)})
    held = Outcome.PASSED if threshold.holds(observed) else Outcome.FAILED
    return ThresholdResult(threshold, outcome or held, observed)


def worker(lost_s=0.0, *, seconds=1.0, name="main", phases=(), evidence=None, host="h"):
    delay = WorkerDelay(name, host)
    delay.add(window(4, seconds=seconds, generator_lost_s=lost_s), phases, evidence)
    return delay


def judged(of, *, own_ms=0.0, lost=0.0, slowed=0.0, because=CPU):
    """Return the outcome, and the note, of one threshold."""
    fitness = assess([Measured(of, own_ms, lost, slowed)], [worker(0.1, evidence=because)])
    assert fitness.reasons == ()
    return fitness.results[0].outcome, fitness.results[0].note


@pytest.mark.parametrize(("lost_s", "fit"), [(0.149, True), (0.15, True), (0.152, False)])
def test_a_worker_that_could_not_run_for_more_than_15_percent_makes_the_run_unfit(lost_s, fit):
    fitness = assess([], [worker(lost_s, evidence=CPU)])
    assert fitness.is_fit is fit
    assert bool(fitness.reasons) is not fit


def test_it_says_how_much_and_when_it_was_worst_and_why():
    assert assess([], [worker(0.31, evidence=CPU)]).reasons == (
        f"the generator could not run for 31% of the time (allowed 15%), worst at 4-5 s, 240 ms late: {BECAUSE}",
    )


def test_with_several_workers_the_worst_is_named():
    workers = [worker(0.0, name="gw0"), worker(0.2, name="gw1"), worker(0.31, name="gw2", evidence=CPU)]
    assert assess([], workers).reasons == (
        "the generator of gw2 could not run for 31% of the time (allowed 15%, 2 of 3 workers are above), "
        f"worst at 4-5 s, 240 ms late: {BECAUSE}",
    )


def test_workers_of_one_host_that_share_its_cpus_are_counted():
    crowded = DelayEvidence(span_s=1.0, late_s=0.3, cpu_s=0.4, others_cpu_s=1.6, cpus=2)
    here = [worker(0.3, name=name, evidence=crowded) for name in ("gw0", "gw1", "gw2")]
    assert "3 workers share the 2 CPUs of their host" in assess([], here).reasons[0]
    spread = [worker(0.3, name=f"gw{host}", evidence=crowded, host=host) for host in "abc"]
    assert "other processes had the CPUs" in assess([], spread).reasons[0]


@pytest.mark.parametrize(("judged_phase", "reasons"), [("ramp-up", 1), ("hold", 0), (None, 0)])
def test_a_phase_counts_for_the_limits_on_it(judged_phase, reasons):
    delay = WorkerDelay("main")
    delay.add(window(0, generator_lost_s=0.3), {"ramp-up"}, CPU)
    delay.add(window(1, seconds=9.0), {"hold"})
    of = result("p(95)<100", 20.0, phase=judged_phase)
    found = assess([Measured(of)], [delay]).reasons
    assert len(found) == reasons
    assert all(reason.startswith("the generator could not run for 30% of the time in ramp-up") for reason in found)


def test_of_an_unfit_run_no_phase_is_told_beside():
    delay = worker(0.4, phases={"hold"}, evidence=CPU)
    of = Measured(result("p(95)<100", 20.0, phase="hold"))
    assert len(assess([of], [delay]).reasons) == 1


@pytest.mark.parametrize(
    ("limit", "observed", "own_ms", "outcome"),
    [
        (8.0, 50.0, 10.0, Outcome.FAILED),  # 10 ms at least
        (8.0, 50.0, 10.1, Outcome.UNFIT),
        (100.0, 500.0, 100.0, Outcome.FAILED),
        (100.0, 500.0, 101.0, Outcome.UNFIT),
        (100.0, 50.0, 101.0, Outcome.PASSED),  # it only adds, so a limit that is kept is kept
    ],
)
def test_an_own_delay_above_a_crossed_limit_leaves_it_untold(limit, observed, own_ms, outcome):
    found, note = judged(result(f"p(95)<{limit}", observed), own_ms=own_ms)
    assert found is outcome
    if outcome is Outcome.UNFIT:
        assert note == f"the generator's own delay, {own_ms:.3g} ms, is above the limit. I{BECAUSE[1:]}"


@pytest.mark.parametrize(
    ("operator", "observed", "own_ms", "outcome"),
    [
        ("<", 144.0, 78.0, Outcome.UNFIT),
        ("<", 144.0, 44.0, Outcome.FAILED),  # 100 is not below 100
        ("<=", 144.0, 44.0, Outcome.UNFIT),
        ("<", 144.0, 43.0, Outcome.FAILED),
        ("<", 104.0, 5.0, Outcome.FAILED),  # too small to be the reason
        ("<", 104.0, 5.1, Outcome.UNFIT),
        ("<", 99.0, 78.0, Outcome.PASSED),
        (">", 99.0, 78.0, Outcome.FAILED),
        (">", 144.0, 78.0, Outcome.PASSED),
        ("==", 144.0, 44.0, Outcome.FAILED),
    ],
)
def test_an_upper_limit_that_the_figure_less_the_own_delay_keeps_is_untold(operator, observed, own_ms, outcome):
    assert judged(result(f"p(95){operator}100", observed), own_ms=own_ms)[0] is outcome


def test_it_says_how_much_of_the_figure_may_be_its_own():
    note = judged(result("p(95)<100", 144.0), own_ms=78.4)[1]
    assert note.startswith(f"up to 78.4 ms of that is the generator's own delay, so {HIDES}. Its own code used 0.9 of")
    assert judged(result("p(95)<100", 144.0), own_ms=78.4, because=None)[1].endswith(HIDES)


@pytest.mark.parametrize(
    ("metric", "expression", "observed", "lost", "outcome"),
    [
        ("iterations", "rate>=200", 161.0, 0.2, Outcome.UNFIT),
        ("iterations", "rate>=200", 159.0, 0.2, Outcome.FAILED),
        ("iterations", "rate>=200", 199.0, 0.0, Outcome.FAILED),
        ("iterations", "count>800", 790.0, 0.05, Outcome.UNFIT),
        (ROWS, "rate>100", 90.0, 0.12, Outcome.UNFIT),
        (WRITE, "count>100", 90.0, 0.12, Outcome.UNFIT),
        (SHARE, "rate>0.99", 0.95, 0.12, Outcome.FAILED),  # a share does not grow with the load
        (ROWS, "rate<100", 110.0, 0.12, Outcome.FAILED),
        (ROWS, "rate>100", 110.0, 0.12, Outcome.PASSED),
    ],
)
def test_a_lower_limit_on_a_count_that_would_be_kept_without_the_lost_time_is_untold(
    metric, expression, observed, lost, outcome
):
    assert judged(result(expression, observed, metric=metric), lost=lost)[0] is outcome


def test_it_says_how_much_would_have_come():
    note = judged(result("rate>=200", 161.0, metric="iterations"), lost=0.22, because=None)[1]
    assert note == f"the generator could not run for 22% of the time, without which it is 206.4/s, so {HIDES}"


@pytest.mark.parametrize(
    ("observed", "lost", "slowed", "outcome"),
    [(194.0, 0.0, 0.04, Outcome.UNFIT), (194.0, 0.0, 0.02, Outcome.FAILED), (161.0, 0.2, 0.04, Outcome.UNFIT)],
)
def test_the_own_delay_of_each_iteration_may_be_why_a_closed_loop_did_less(observed, lost, slowed, outcome):
    of = result("rate>=200", observed, metric="iterations")
    found, note = judged(of, lost=lost, slowed=slowed, because=None)
    assert found is outcome
    if not lost and found is Outcome.UNFIT:
        delay = "up to 4% of an iteration is the generator's own delay"
        assert note == f"{delay}, without which it is 202.1/s, so {HIDES}"


@pytest.mark.parametrize("outcome", [Outcome.TOO_FEW, Outcome.NO_SAMPLES, Outcome.NOT_JUDGED])
def test_what_was_not_judged_stays_so(outcome):
    fitness = assess([Measured(result("p(95)<100", 144.0, outcome), 500.0, 0.5)], [])
    assert ([r.outcome for r in fitness.results], fitness.notes) == ([outcome], ())


@pytest.mark.parametrize(
    ("observed", "own_ms", "told"), [(16.0, 10.0, False), (16.0, 10.1, True), (300.0, 30.0, False), (300.0, 31.0, True)]
)
def test_a_large_own_delay_is_told_beside_a_figure_whose_verdict_holds(observed, own_ms, told):
    fitness = assess([Measured(result("p(95)<1000", observed), own_ms)], [worker(0.1, evidence=CPU)])
    assert fitness.is_fit
    assert bool(fitness.notes) is told


def test_the_note_names_the_figure_the_share_and_the_cause():
    of = result("p(95)<1000", 16.0, over="2s")
    assert assess([Measured(of, 24.0)], [worker(0.1, evidence=CPU)]).notes == (
        f"p(95) of {WRITE} over 2s 16 ms: up to 16 ms of it is the generator's own delay ({BECAUSE}); "
        "the verdict holds",
    )


def test_a_figure_with_several_limits_has_one_note():
    two = [Measured(result(f"p(95)<{limit}", 16.0), 24.0) for limit in (100, 1000)]
    assert len(assess(two, [worker(0.1, evidence=CPU)]).notes) == 1


def test_in_an_unfit_run_the_cause_is_said_once_and_no_verdict_holds():
    both = [Measured(result("p(95)<100", 144.0), 78.4), Measured(result("p(99)<1000", 144.0), 78.4)]
    fitness = assess(both, [worker(0.31, evidence=CPU)])
    assert [BECAUSE in line for line in fitness.lines] == [True, False]
    assert fitness.lines[1].endswith(f"(p(95)<100): up to 78.4 ms of that is the generator's own delay, so {HIDES}")
    assert fitness.notes == ()


@pytest.mark.parametrize(("lag", "slowed"), [({}, 0.4), ({"generator_lag": [0.0]}, 0.0)])
def test_only_in_a_closed_loop_the_own_delay_slows_iterations(lag, slowed):
    delays = window(0, ms=[1.0] * 100, metric="generator_delay", generator_lost_s=0.5).snapshot
    delays.merge(window(0, ms=[5.0] * 100, metric="iteration_duration").snapshot)
    for metric, values in lag.items():
        delays.merge(window(0, ms=values, metric=metric).snapshot)
    found = measured(result("rate>=200", 161.0, metric="iterations"), delays, 2.0)
    assert (found.lost, found.slowed) == (0.25, pytest.approx(slowed, rel=0.02))


def test_only_times_have_an_own_delay():
    delays = window(0, ms=[50.0] * 100, metric="generator_delay", generator_lost_s=0.5).snapshot
    for of, own_ms in (
        (result("p(95)<9", 1.0), 100.0),
        (result("p(95)<9", 1.0, metric=SIZE), 0.0),
        (result("count<9", 1.0), 0.0),
        (result("rate<9", 1.0, metric=ROWS), 0.0),
        (result("p(95)<9", 1.0, metric="generator_delay"), 0.0),
        (result("p(95)<9", 1.0, metric="generator_lag"), 0.0),
        (ThresholdResult(Drift(), Outcome.PASSED, 0.1), 0.0),
    ):
        found = measured(of, delays, 2.0)
        assert (found.own_ms, found.lost) == (pytest.approx(own_ms, rel=0.01), 0.25)
    assert measured(result("p(95)<9", 1.0), delays, 0.0).lost == 0.0

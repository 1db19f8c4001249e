"""An audit's findings go from the worker that made them into the result."""

from __future__ import annotations

import pickle
from contextlib import nullcontext

from pytest_cdcperf.cluster.agent import Findings, run_share
from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.messages import Checking, Plan, ShareDone, Stop
from pytest_cdcperf.cluster.shared_state import Pool, Store
from pytest_cdcperf.engine.mix import OPERATIONS
from pytest_cdcperf.engine.run import Body
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import Breaking
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts
from tests.unit.harness import RULES

FACTS = RunFacts(session_id="r1", test="t.py::test", load="", planned_s=1.0)


class Link:
    def __init__(self):
        self.sent = []
        self.send = self.sent.append
        self.stopping = lambda _: nullcontext()


def audited(audit):
    link = Link()
    load = {"": PerVUIterations(vus=2, iterations=3)}
    outcome = run_share("t", load, Body(lambda: None), session_id="r", rules=RULES, link=link, check_at_end=audit)
    return link.sent, outcome


def test_what_it_found_is_reported_and_it_is_heard_of_meanwhile():
    asked = []

    def audit(given_up):
        asked.append(given_up())
        return Findings(("one was lost",), ("nine came late",))

    sent, _outcome = audited(audit)
    assert asked == [False]
    assert sent[-2] == Checking("t")
    assert isinstance(sent[-1], ShareDone)
    assert (sent[-1].faults, sent[-1].notes) == (("one was lost",), ("nine came late",))


def test_the_end_of_the_run_on_all_workers_ends_it():
    link, stops = Link(), []

    def stopping(on_stop):
        stops.append(on_stop)
        return nullcontext()

    def audit(given_up):
        before = given_up()
        stops[0](Stop("Ctrl-C on gw1", at_once=True))
        return Findings((f"{before}, then {given_up()}",))

    link.stopping = stopping
    run_share(
        "t", {"": PerVUIterations()}, Body(lambda: None), session_id="r", rules=RULES, link=link, check_at_end=audit
    )
    assert link.sent[-1].faults == ("False, then True",)


def concluded(*seconds, phases=(), notes=()):
    """The result of a run, from the samples of each of its seconds."""
    coordinator = RunAggregator(Plan("t", 1, FACTS, parse_thresholds({"response_time": "p(95)<50"}), phases=phases))
    for second, samples in enumerate(seconds):
        recorder = Recorder()
        for (metric, tags), values in samples.items():
            for value in values:
                recorder.append_to(metric, tags)(value)
        coordinator.take_window("main", Window(second, second + 1.0, recorder.drain()))
    coordinator.take_done("main", ShareDone("t", float(len(seconds)), notes=notes))
    return coordinator.result()


def test_a_ramp_that_broke_nothing_says_how_far_it_came():
    seconds = [{(builtin.VUS, ()): [n], (builtin.RESPONSE_TIME, ()): [10.0] * 20} for n in (1, 5, 2)]
    result = concluded(*seconds, phases=(Phase("ramp-up", 0, 2), Phase("ramp-down", 2, 3)), notes=("late",))
    assert (result.breaking_point.outcome, result.breaking_point.vus) == (Breaking.NONE, 5)
    assert result.notes == ("no breaking point up to 5 VUs", "late")
    assert concluded(*seconds, phases=(Phase("hold", 0, 3),)).notes == ()


def test_the_shares_of_a_mix_are_noted():
    drawn = (("operation", "create"), ("planned", "30%"))
    assert concluded({(OPERATIONS, drawn): [1.0] * 3}).notes == ("operations: create 100.0% (planned 30%)",)


def test_what_was_changed_in_a_member_while_it_was_lent_stays_also_across_processes():
    store = Store()

    def ask(call):
        replies = []
        store.call("w", pickle.loads(pickle.dumps(call)), replies.append)  # noqa: S301
        return pickle.loads(pickle.dumps(replies[0]))  # noqa: S301

    pool = Pool("p", ask)
    pool.put({"status": "old"})
    with pool.lease() as member:
        member["status"] = "new"
    assert pool.take() == {"status": "new"}

from __future__ import annotations

import queue
import threading

import pytest

from pytest_cdcperf.cluster.link import ALONE, Link, link_in_process, link_over
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    CallEnded,
    Concluded,
    Go,
    Gone,
    Plan,
    Refused,
    Released,
    Start,
    Stop,
)
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.errors import CdcperfError, CoordinatorLostError, LoadRefusedError
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.results.result import RunFacts, RunResult

FACTS = RunFacts("r1", "t.py::test", "1 VU", 1.0)
PLAN = Plan("t.py::test", 1, FACTS)
RESULT = RunResult(FACTS, 1.0, Verdict.PASSED, (), (), Snapshot(), (), ())


class Channel:
    """A channel whose other end answers each message by *answers*, and which may be closed."""

    def __init__(self, answers):
        self.sent = []
        self.closed = False
        self._answers = answers

    def send(self, item):
        if self.closed:
            raise OSError("cannot send to a closed channel")
        message = unpack(item)
        self.sent.append(message)
        for answer in self._answers.get(type(message), ()):
            self.bring(answer)

    def setcallback(self, callback, endmarker):
        self.take, self.end = callback, lambda: callback(endmarker)

    def bring(self, message):
        self.take(pack(message))


def linked(**answers):
    """A link over a channel; *answers* by the name of what is sent."""
    kinds = {kind.__name__: kind for kind in (Arrived, Plan, CallEnded)}
    channel = Channel({kinds[name]: answer for name, answer in answers.items()})
    return link_over(channel, "gw0"), channel


def test_each_step_sends_its_word_and_returns_the_answer():
    go, start, concluded, released = Go("t", takes_part=True), Start(Share(1, 2)), Concluded(RESULT), Released(True)
    link, channel = linked(Arrived=[go], Plan=[start, concluded], CallEnded=[released])
    assert link.arrive("t") == go
    assert link.begin(PLAN) == start
    assert link.conclude() == concluded
    assert link.end("t", "passed", "") == released
    assert channel.sent == [Arrived("t"), PLAN, CallEnded("t", "passed", "")]


def test_the_worker_waits_until_the_answer_is_there():
    link, channel = linked()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(link.arrive("t")), daemon=True)
    waiting.start()
    channel.bring(Go("t", takes_part=False))
    waiting.join(10)
    assert answers == [Go("t", takes_part=False)]


@pytest.mark.parametrize("skips", [False, True])
def test_a_run_that_is_refused_does_not_begin(skips):
    link, _channel = linked(Plan=[Refused("diverged", skips=skips)])
    with pytest.raises(LoadRefusedError, match="diverged") as refusal:
        link.begin(PLAN)
    assert refusal.value.skips is skips


@pytest.mark.parametrize("wait", [lambda link: link.begin(PLAN), Link.conclude, lambda link: link.arrive("t")])
def test_who_waits_is_told_when_the_controller_is_gone(wait):
    link, channel = linked(Plan=[], Arrived=[])
    channel.end()
    for _ in range(2):  # also the one that waits next
        with pytest.raises(CoordinatorLostError, match="the coordinator is gone"):
            wait(link)


def test_a_channel_that_takes_nothing_is_as_good_as_gone():
    link, channel = linked()
    channel.closed = True
    stops = []
    with link.stopping(stops.append):
        link.send(Arrived("t"))  # a window, in the course of a run: nothing is raised where it is sent
    assert stops == [Stop("the coordinator is gone", at_once=True)]
    with pytest.raises(CoordinatorLostError):
        link.begin(PLAN)


class Asking:
    """Asks in a thread of its own each."""

    def __init__(self):
        self.sent = queue.Queue()
        self.link = Link("gw0", self.sent.put)
        self.got = {}
        self._threads = []

    def ask(self, about):
        thread = threading.Thread(target=self._ask, args=(about,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _ask(self, about):
        try:
            self.got[about] = self.link.ask(about)
        except CdcperfError as error:
            self.got[about] = error

    def join(self):
        for thread in self._threads:
            thread.join(10)


def test_answers_reach_who_asked_in_whatever_order_they_come():
    asking = Asking()
    asking.ask("a")
    asking.ask("b")
    asked = [asking.sent.get(timeout=10) for _ in range(2)]
    for ask in sorted(asked, key=lambda ask: ask.about, reverse=True):
        asking.link.deliver(Answer(ask.number, ask.about.upper()))
    asking.join()
    assert asking.got == {"a": "A", "b": "B"}


def test_an_error_is_raised_where_it_was_asked():
    asking = Asking()
    asking.ask("a")
    asking.link.deliver(Answer(asking.sent.get(timeout=10).number, error="no server"))
    asking.join()
    assert (type(asking.got["a"]), str(asking.got["a"])) == (CdcperfError, "no server")


def test_who_asks_is_told_when_the_controller_is_gone():
    asking = Asking()
    for about in ("a", "b"):
        asking.ask(about)
        asking.sent.get(timeout=10)
    asking.link.deliver(Gone())
    asking.join()
    assert [type(error) for error in asking.got.values()] == [CoordinatorLostError, CoordinatorLostError]
    with pytest.raises(CoordinatorLostError):
        asking.link.ask("c")
    assert asking.sent.empty()


def test_a_stop_in_a_run_is_told_at_once():
    link, channel = linked(Plan=[Start(Share())])
    stops = []
    link.begin(PLAN)
    with link.stopping(stops.append):
        channel.bring(Stop("crossed"))
        assert stops == [Stop("crossed")]


def test_a_stop_that_comes_before_the_run_is_under_way_ends_it_when_it_is():
    stop = Stop("Ctrl-C", at_once=True)
    link, _channel = linked(Plan=[Start(Share()), stop])
    stops = []
    link.begin(PLAN)
    with link.stopping(stops.append):
        assert stops == [stop]


def test_a_stop_that_comes_too_late_does_not_end_the_next_run():
    link, channel = linked(Plan=[Start(Share())])
    stops = []
    link.begin(PLAN)
    with link.stopping(stops.append):
        pass
    channel.bring(Stop("crossed"))
    link.begin(PLAN)
    with link.stopping(stops.append):
        assert stops == []


def test_a_run_ends_when_the_controller_is_gone():
    link, channel = linked(Plan=[Start(Share())])
    stops = []
    link.begin(PLAN)
    with link.stopping(stops.append):
        channel.end()
    assert stops == [Stop("the coordinator is gone", at_once=True)]


def test_in_one_process_the_link_calls_the_controller_itself():
    controller = RecordingController()
    link = link_in_process(controller)
    assert link.worker == ALONE
    assert controller.admitted == [ALONE]
    link.send(PLAN)
    assert controller.received == [(ALONE, PLAN)]
    controller.posts[ALONE](Start(Share()))
    assert link.begin(PLAN) == Start(Share())


class RecordingController:
    def __init__(self):
        self.posts, self.received, self.admitted = {}, [], []

    def join(self, worker, post):
        self.posts[worker] = post

    def admit(self, workers):
        self.admitted = workers

    def receive(self, worker, message):
        self.received.append((worker, message))

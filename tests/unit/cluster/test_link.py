from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster.link import ALONE, Link, link_in_process, link_over
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    CallEnded,
    Concluded,
    Go,
    Gone,
    Plan,
    Refused,
    Released,
    ServicesWanted,
    Start,
    Stop,
)
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.errors import CdcperfError, GoneError, RefusedError
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.verdict import Verdict
from pytest_cdcperf.model.share import Share
from pytest_cdcperf.reporting.result import RunFacts, RunResult

FACTS = RunFacts("r1", "t.py::test", "1 VU", 1.0)
PLAN = Plan("t.py::test", 1, FACTS)
RESULT = RunResult(FACTS, 1.0, Verdict.PASSED, (), (), Snapshot(), (), ())


class Channel:
    """A channel whose other end answers each message by *answers*, and which may be closed."""

    def __init__(self, answers=None):
        self.sent = []
        self.closed = False
        self._answers = answers or {}

    def send(self, item):
        if self.closed:
            raise OSError("cannot send to a closed channel")
        message = unpack(item)
        self.sent.append(message)
        for answer in self._answers.get(type(message), ()):
            self.bring(answer(message) if callable(answer) else answer)

    def setcallback(self, callback, endmarker):
        self.take, self.end = callback, lambda: callback(endmarker)

    def bring(self, message):
        self.take(pack(message))


def linked(**answers):
    """A link over a channel; *answers* by the name of what is sent."""
    kinds = {kind.__name__: kind for kind in (Arrived, Plan, CallEnded, Ask)}
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
    with pytest.raises(RefusedError, match="diverged") as refusal:
        link.begin(PLAN)
    assert refusal.value.skips is skips


@pytest.mark.parametrize("wait", [lambda link: link.begin(PLAN), Link.conclude, lambda link: link.arrive("t")])
def test_who_waits_is_told_when_the_controller_is_gone(wait):
    link, channel = linked(Plan=[], Arrived=[])
    channel.end()
    for _ in range(2):  # also whoever waits next
        with pytest.raises(GoneError, match="the controller is gone"):
            wait(link)


def test_a_channel_that_takes_nothing_is_as_good_as_gone():
    link, channel = linked()
    channel.closed = True
    stops = []
    with link.stopping(stops.append):
        link.send(Arrived("t"))  # a window, in the course of a run: nothing is raised where it is sent
    assert stops == [Stop("the controller is gone", at_once=True)]
    with pytest.raises(GoneError):
        link.begin(PLAN)


def test_who_asks_is_told_when_the_controller_is_gone():
    link, channel = linked()
    raised = []

    def ask():
        try:
            link.ask(ServicesWanted())
        except GoneError as error:
            raised.append(str(error))

    channel.send = lambda _item: asked.set()
    asked = threading.Event()
    waiting = threading.Thread(target=ask, daemon=True)
    waiting.start()
    assert asked.wait(10)
    channel.end()
    waiting.join(10)
    assert raised == ["the controller is gone"]
    with pytest.raises(GoneError):
        link.ask(ServicesWanted())


def test_answers_reach_who_asked_in_whatever_order_they_come():
    link, channel = linked()
    asked = threading.Barrier(3)
    answers = {}

    def ask(about):
        answers[about] = link.ask(about)

    sent = []
    channel.send = lambda item: (sent.append(unpack(item)), asked.wait(10))
    threads = [threading.Thread(target=ask, args=(about,), daemon=True) for about in ("a", "b")]
    threads[0].start()
    channel_lock_is_held_by_the_first = threads[1]
    channel.send = lambda item: sent.append(unpack(item))
    channel_lock_is_held_by_the_first.start()
    asked.abort()
    for thread in threads:
        thread.join(0.01)
    for ask_message in reversed(sent):
        channel.bring(Answer(ask_message.number, ask_message.about.upper()))
    for thread in threads:
        thread.join(10)
    assert answers == {"a": "A", "b": "B"}

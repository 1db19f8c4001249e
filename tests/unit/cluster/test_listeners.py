"""Listeners take the events of runs in threads of their own; who is slow or fails concerns nobody else."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster import listeners as module
from pytest_cdcperf.cluster.listeners import Listeners
from pytest_cdcperf.errors import CdcperfError
from pytest_cdcperf.events import Live, Notice, RunFinished, WindowMerged
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts

FACTS = RunFacts("r1", "t.py::test", "1 VU", 1.0)
FINISHED = RunFinished("the result")


def merged(second):
    return WindowMerged(FACTS, Window(second, second + 1.0, Snapshot()), Live(second + 1.0, 1.0, 1, 1, 1.0, 1.0, 0))


class Kept:
    """Keeps what it takes, once *gate* is open; raises *error* at a finished run."""

    def __init__(self, gate=None, error=None):
        self.events, self.closed = [], threading.Event()
        self._gate, self._error = gate, error

    def handle(self, event):
        if self._gate is not None:
            self._gate.wait(30)
        self.events.append(event)
        if self._error is not None and isinstance(event, RunFinished):
            raise self._error

    def close(self):
        self.closed.set()


def listening(*of_project, ours=()):
    listeners = Listeners()
    for listener in ours:
        listeners.add(listener, awaited=True)
    for listener in of_project:
        listeners.add(listener)
    return listeners


def finish(listeners):
    """Return what is said to have gone wrong, once those that are awaited are through."""
    faults, done = [], threading.Event()

    def then(fault):
        faults.append(fault)
        done.set()

    listeners.finish(FINISHED, then)
    assert done.wait(30)
    return faults


@pytest.fixture
def gate():
    """Opened at the end: nothing hangs after the test."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_all_take_all_events_in_order_and_are_closed():
    ours, theirs = Kept(), Kept()
    listeners = listening(theirs, ours=[ours])
    events = [Notice("one"), merged(0.0), merged(1.0)]
    for event in events:
        listeners.publish(event)
    assert finish(listeners) == [""]
    listeners.close()
    listeners.close()
    assert ours.events == theirs.events == [*events, FINISHED]
    assert ours.closed.is_set()
    assert theirs.closed.is_set()


def test_what_heard_nothing_is_closed_all_the_same():
    listener = Kept()
    listening(listener).close()
    assert listener.closed.is_set()


def test_without_anybody_to_wait_for_a_run_is_finished_at_once():
    assert finish(listening()) == [""]


def test_who_hangs_is_not_waited_for_and_is_named_at_the_end(gate, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_S", 0.5)
    ours, hanging = Kept(), Kept(gate)
    listeners = listening(hanging, ours=[ours])
    listeners.publish(merged(0.0))
    assert finish(listeners) == [""]
    listeners.close()
    assert listeners.faults == ["listener Kept does not return from WindowMerged; 1 more events were to come"]
    assert ours.closed.is_set()


def test_what_a_slow_one_has_not_taken_yet_is_delivered_at_the_end(gate):
    slow = Kept(gate)
    listeners = listening(slow)
    listeners.publish(merged(0.0))
    listeners.publish(FINISHED)
    threading.Timer(0.05, gate.set).start()
    listeners.close()
    assert slow.events == [merged(0.0), FINISHED]


def test_of_who_is_far_behind_windows_are_left_out_and_nothing_else(gate, monkeypatch):
    monkeypatch.setattr(module, "MOST_WINDOWS", 3)
    slow = Kept(gate)
    listeners = listening(slow)
    listeners.publish(Notice("it hangs from here"))
    for second in range(9):
        listeners.publish(merged(float(second)))
    assert finish(listeners) == [""]
    gate.set()
    listeners.close()
    windows = [event for event in slow.events if isinstance(event, WindowMerged)]
    assert slow.events[-1] == FINISHED
    assert windows == [merged(float(second)) for second in range(len(windows))]
    assert len(windows) in {2, 3}  # whether the notice was taken by then
    assert listeners.faults == [f"listener Kept was too slow: {9 - len(windows)} windows were left out for it"]


@pytest.mark.parametrize("error", [OSError("no\nnetwork"), SystemExit("no\nnetwork")])
def test_who_raises_is_named_once_and_takes_what_comes_later(error):
    ours, raising, other = Kept(), Kept(error=error), Kept()
    raising.name = "slack"
    listeners = listening(raising, other, ours=[ours])
    assert [*finish(listeners), *finish(listeners)] == ["", ""]
    listeners.publish(Notice("later"))
    listeners.close()
    assert listeners.faults == [rf"listener slack raised {type(error).__name__}: no\nnetwork (at RunFinished)"]
    assert [event for event in other.events if event == FINISHED] == [FINISHED] * 2
    assert [event for event in raising.events if event == FINISHED] == [FINISHED] * 2


@pytest.mark.parametrize(
    ("error", "fault"),
    [(CdcperfError("disk full"), "disk full"), (ValueError("oops"), "Kept raised ValueError: oops")],
)
def test_what_one_of_ours_raises_is_the_fault_of_the_run(error, fault):
    listeners = listening(ours=[Kept(), Kept(error=error)])
    assert finish(listeners) == [fault]
    listeners.close()


def test_where_no_thread_can_be_started_events_are_handled_by_the_publishing_thread(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ours, kept = Kept(error=CdcperfError("the disk is full")), Kept()
    listeners = listening(kept, ours=[ours])
    listeners.publish(Notice("begins"))
    assert finish(listeners) == ["the disk is full"]
    listeners.close()
    assert kept.events == ours.events == [Notice("begins"), FINISHED]
    assert kept.closed.is_set()

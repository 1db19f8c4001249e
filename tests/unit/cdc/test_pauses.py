"""The pauses between two reads of the sink."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_cdcperf.cdc.arrival import SyncArrivalBlock
from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expectation import Expectation
from pytest_cdcperf.clients.steps import drive
from tests.unit.cdc.fake_sink import ServerGoneError


class EnoughError(Exception):
    """Ends a wait that would go on."""


def what_happens(sink, clock, timeout_s, answer=None):
    """Return the waits, reads and so on after a block, up to the second wait; before it the sink had nothing."""
    events = []

    def wait(seconds):
        events.append(("wait", pytest.approx(seconds)))
        if len(events) > 1:
            raise EnoughError

    def find_one(*_key, timeout):
        events.append("read")
        if answer is not None:
            raise answer

    expected = Expectation("c", "7", {}, False, "create", timeout_s)
    block = SyncArrivalBlock(expected, sink, sink, Audit(sink), clock)
    block._reads = sink
    block._notified = SimpleNamespace(wait=wait, set=list, clear=lambda: events.append("clear"))
    drive(block._enter())
    block._reads = SimpleNamespace(find_one=find_one)
    with pytest.raises(EnoughError):
        drive(block._leave(raised=False))
    return events


@pytest.mark.parametrize(
    ("answer", "timeout_s", "wait_s"),
    [(None, 10, 1.0), (ServerGoneError("x"), 10, 0.2), (None, 0.5, 0.5), (None, 0.05, 0.05)],
)
def test_it_never_waits_past_its_deadline_nor_long_without_reading(sink, clock, answer, timeout_s, wait_s):
    sink.place = "1"
    first, *_, last = what_happens(sink, clock, timeout_s, answer)
    assert (first, last) == (("wait", min(timeout_s, 1.0)), ("wait", wait_s))


def test_where_the_sink_is_polled_nobody_reads_beside_the_poller(sink, clock):
    first, *_, last = what_happens(sink, clock, 10)
    assert first == last == ("wait", 10)


def test_old_notifications_are_forgotten_before_each_read(sink, clock):
    assert what_happens(sink, clock, 10) == [("wait", 10), "clear", "read", ("wait", 10)]

from __future__ import annotations

import threading
from contextvars import copy_context
from functools import partial

import pytest

from pytest_cdcperf.clients.per_vu import PerVU, async_vu, sync_vu
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope

SYNC, ASYNC = partial(sync_vu, "pg", "pg.aio.insert(...)"), partial(async_vu, "pg")


class Connection:
    def __init__(self):
        self.ended = []

    def close(self):
        self.ended.append("closed")

    def cancel(self):
        self.ended.append("cancelled")


def make_vu(number=1, *, is_async=False):
    return VU(number, session_id="r1", scope=Scope(Recorder()), is_async=is_async)


def connections(vu=SYNC):
    return PerVU(Connection, Connection.close, Connection.cancel, vu=vu)


@pytest.mark.parametrize(("vu", "is_async"), [(SYNC, False), (ASYNC, True)], ids=["sync", "async"])
def test_each_vu_has_one_of_its_own_which_ends_with_it(vu, is_async):
    per_vu, first, second = connections(vu), make_vu(1, is_async=is_async), make_vu(2, is_async=is_async)
    with acting_as(first):
        opened = per_vu.get()
        assert per_vu.get() is opened
    with acting_as(second):
        other = per_vu.get()
    assert other is not opened
    first.own.cancel_all()
    first.own.close_all()
    per_vu.close()
    assert (opened.ended, other.ended) == (["cancelled", "closed"], [])


def test_outside_of_iterations_the_session_has_one_until_it_is_closed():
    per_vu = connections()
    opened = per_vu.get()
    assert per_vu.get() is opened
    with acting_as(make_vu()):
        assert per_vu.get() is not opened
    per_vu.close()
    assert opened.ended == ["closed"]
    assert per_vu.get() is not opened


def test_two_clients_share_nothing():
    one, other = connections(), connections()
    with acting_as(make_vu()):
        assert one.get() is not other.get()


def test_threads_of_one_body_open_one_together():
    """The second asks while the first is opening."""
    opening, opened = threading.Event(), []

    def slowly():
        opened.append(Connection())
        opening.set()
        asked.wait(0.2)  # the second thread cannot get further than the lock
        return opened[-1]

    per_vu, asked, found = PerVU(slowly, Connection.close, vu=SYNC), threading.Event(), []

    def ask():
        found.append(per_vu.get())
        asked.set()

    with acting_as(make_vu()):
        threads = [threading.Thread(target=copy_context().run, args=(ask,)) for _ in range(2)]
    threads[0].start()
    opening.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(10)
    assert len(opened) == 1
    assert found == [opened[0]] * 2


def test_opening_may_open_something_else():
    channels = connections()
    calls = PerVU(lambda: [channels.get()], list.clear, vu=SYNC)
    with acting_as(make_vu()):
        assert calls.get() == [channels.get()]


def test_a_blocking_call_in_an_async_body_is_refused():
    with acting_as(make_vu(is_async=True)), pytest.raises(BlockingCallError) as refused:
        connections().get()
    assert str(refused.value) == (
        "pg blocks, which would stall every VU of this async test; write: await pg.aio.insert(...)"
    )


def test_an_async_call_outside_of_an_async_body_is_refused():
    words = r"^pg\.aio works in the body of an async perf test only; elsewhere use pg$"
    with pytest.raises(BlockingCallError, match=words):
        connections(ASYNC).get()
    with acting_as(make_vu()), pytest.raises(BlockingCallError, match=words):
        connections(ASYNC).get()

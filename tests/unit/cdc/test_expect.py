"""Both faces against a recording fake of the sink, with a clock that only a read moves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pytest_cdcperf.cdc import expectation as module
from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.wanted import Wanted
from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.clients.mongo_changes import Change
from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError, ExpectationError, UnitError
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope


class ServerGoneError(ReadError):
    """What a driver raises for a server that is away."""


class Sink:
    """Answers reads from a list, the last answer for ever; each read takes time and is followed by a hint.

    The first answer is what is there before the block. *place* is where its change stream is, None without one.
    """

    def __init__(self, clock, read_s):
        self.clock = clock
        self.read_s = read_s
        self.answers = [None]
        self.place = None
        self.reads = []
        self.limits = []
        self.watched = []
        self.fault = None
        self.waiters = set()
        self.opened = threading.Event()
        self.opened.set()
        self.aio = SimpleNamespace(find_one=self._find_one_aio, place_now=self._place_now_aio)

    def find_one(self, collection, key, *, timeout):
        self.reads.append((collection, key))
        self.limits.append(timeout)
        self.clock.advance(self.read_s)
        for waiter in list(self.waiters):
            waiter.wake()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _find_one_aio(self, collection, key, *, timeout):  # noqa: ASYNC109
        return self.find_one(collection, key, timeout=timeout)

    def fault_of(self, _collection):
        return self.fault

    def is_polled(self, _collection):
        return self.place is None

    def settled(self, _collection):
        return self.opened

    def place_now(self, _collection, *, timeout_s):
        if isinstance(self.place, Exception):
            raise self.place
        return self.place

    async def _place_now_aio(self, collection, *, timeout_s):
        return self.place_now(collection, timeout_s=timeout_s)

    @contextmanager
    def watching(self, waiter):
        self.watched.append((waiter.collection, waiter.key))
        self.waiters.add(waiter)
        try:
            yield
        finally:
            self.waiters.discard(waiter)


class Face:
    """One face of ``cdc``, used the same way whichever it is."""

    def __init__(self, sink, is_async):
        self.sink = sink
        self.cdc = Cdc(sink, sink)
        self.is_async = is_async

    def expect(self, method, *arguments, block=lambda: None, **keys):
        if not self.is_async:
            with getattr(self.cdc, method)(*arguments, **keys) as arrival:
                block()
            return arrival

        async def main():
            async with getattr(self.cdc.aio, method)(*arguments, **keys) as arrival:
                block()
            return arrival

        return asyncio.run(main())


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock(10**9)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter_ns=fake.now_ns))
    return fake


@pytest.fixture
def sink(clock):
    return Sink(clock, read_s=0.25)


@pytest.fixture(params=["sync", "async"])
def face(request, sink):
    return Face(sink, request.param == "async")


def figures(recorder):
    drained = recorder.drain()
    return {
        name: state.hits / state.total if hasattr(state, "hits") else getattr(state, "sum", getattr(state, "total", 0))
        for name in drained.names()
        if (state := drained.select(name)) is not None
    }


def test_a_document_that_is_there_at_the_first_read_after_the_block_has_arrived(face, sink, clock, recorder):
    sink.answers = [None, {"_id": "7", "email": "a@b"}]
    arrival = face.expect("expect", "customers", 7, email="a@b", block=lambda: clock.advance(0.5))
    assert sink.reads == [("customers", "7")] * 2
    assert sink.watched == [("customers", "7")]
    assert (arrival.document, arrival.reads) == ({"_id": "7", "email": "a@b"}, 1)
    assert arrival.e2e_ms == pytest.approx(750)  # without the read before the block
    assert arrival.propagation_ms == pytest.approx(250)
    assert arrival.confirm_ms == pytest.approx(250)
    assert figures(recorder) == pytest.approx(
        {
            "cdc_e2e_latency": 750,
            "cdc_propagation": 250,
            "cdc_success_rate": 1,
            "cdc_replication_success": 1,
            "cdc_creates": 1,
            "checks": 1,
        }
    )


def test_it_reads_again_after_a_hint_until_the_fields_fit(face, sink, recorder):
    sink.answers = [None, None, {"status": "old"}, {"status": "new", "more": 1}]
    arrival = face.expect("expect", "customers", 7, {"status": "new"}, operation="update")
    assert (arrival.reads, len(sink.reads)) == (3, 4)
    assert arrival.propagation_ms == pytest.approx(750)
    assert arrival.confirm_ms == pytest.approx(250)
    assert figures(recorder)["cdc_updates"] == 1


STILL = (
    "customers _id='7': not seen as expected within 1s: the sink still shows the state from before the block ({}), "
    "and a write that changes nothing cannot be seen there: let the block change a field, and name it"
)


@pytest.mark.parametrize(
    ("fields", "shown"), [({"v": 1}, "v=1"), ({}, "{'_id': '7', 'v': 1}"), ({"v": 1, "_id": "7"}, "v=1, _id='7'")]
)
def test_what_was_there_before_the_block_is_no_arrival_and_no_latency(face, sink, recorder, fields, shown):
    sink.answers = [{"_id": "7", "v": 1}]
    with pytest.raises(ExpectationError) as failed:
        face.expect("expect", "customers", 7, fields, timeout="1s")
    assert str(failed.value) == STILL.format(shown)
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}
    assert owed(face) == []
    (note,) = face.cdc.audit.notes()
    assert note.startswith("1 writes cannot be told from what the sink showed before them (customers _id='7')")


@pytest.mark.parametrize("later", [{"v": 1, "n": 2}, {"v": 1.0}, {"v": 1, "x": float("nan")}, {"n": 2, "v": 1}])
def test_a_document_that_fitted_before_has_arrived_once_it_is_another_one(face, sink, recorder, later):
    sink.answers = [{"v": 1}, {"v": 1}, later]
    assert face.expect("expect", "customers", 7, v=1, operation="update").reads == 2
    assert figures(recorder)["cdc_updates"] == 1
    assert face.cdc.audit.notes() == []


def test_a_document_with_nan_is_not_another_one_each_time_it_is_read(face, sink):
    sink.answers = [{"v": 1, "x": float("nan")}, {"v": 1, "x": float("nan")}]
    with pytest.raises(ExpectationError):
        face.expect("expect", "customers", 7, v=1, timeout="1s")


def test_a_document_that_was_another_one_in_between_has_arrived(face, sink):
    sink.answers = [{"v": 1}, {"v": 2}, {"v": 1}]
    assert face.expect("expect", "customers", 7, v=1).reads == 2


def tell(sink, place):
    (waiter,) = sink.waiters
    waiter.tell(Change("7", place))


def test_a_write_that_changes_nothing_is_met_by_its_event(face, sink, recorder):
    sink.answers, sink.place = [{"v": 1}], "5"
    assert face.expect("expect", "customers", 7, v=1, operation="update", block=lambda: tell(sink, "6")).seen
    assert figures(recorder)["cdc_updates"] == 1
    assert owed(face) == face.cdc.audit.notes() == []


@pytest.mark.parametrize("place", ["5", None, ServerGoneError("away")])
def test_an_event_from_before_the_block_is_no_arrival(face, sink, place):
    sink.answers, sink.place = [{"v": 1}], place
    with pytest.raises(ExpectationError, match="from before the block"):
        face.expect("expect", "customers", 7, v=1, timeout="1s", block=lambda: tell(sink, "5"))


def test_an_event_whose_document_does_not_fit_is_no_arrival(face, sink):
    sink.answers, sink.place = [{"v": 1}, {"v": 2}], "5"
    with pytest.raises(ExpectationError, match="v=2 instead of 1"):
        face.expect("expect", "customers", 7, v=1, timeout="1s", block=lambda: tell(sink, "6"))


def test_where_nothing_could_be_read_before_the_block_the_first_answer_stands_for_it(face, sink):
    sink.answers = [ServerGoneError("away"), {"v": 1}]
    with pytest.raises(ExpectationError, match="from before the block"):
        face.expect("expect", "customers", 7, v=1, timeout="1s")
    sink.answers = [ServerGoneError("away"), {"v": 1}]
    assert face.expect("expect", "customers", 7, v=1, block=lambda: tell(sink, "1")).seen
    sink.answers = [ServerGoneError("away"), None, {"v": 1}]
    assert face.expect("expect", "customers", 7, v=1).reads == 2


def test_the_end_of_what_is_not_there_is_refused_before_the_block(face, sink, recorder):
    with pytest.raises(ExpectationError) as refused:
        face.expect("expect_gone", "customers", 7, block=lambda: pytest.fail("the block was run"))
    assert str(refused.value) == (
        "customers _id='7': the sink had no such document when the block was entered, so that it is gone would prove "
        "nothing; first wait with cdc.expect() until it is there"
    )
    assert sink.waiters == set()
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}


@pytest.mark.parametrize(
    ("operation", "remedy"),
    [("update", "add a field that the update changes"), ("delete", r"use cdc\.expect_gone\(\)")],
)
def test_a_change_that_could_not_be_told_from_the_state_before_is_refused(sink, operation, remedy):
    cdc = Cdc(sink, sink)
    for one in (cdc, cdc.aio):
        with pytest.raises(ConfigError, match=remedy):
            one.expect("c", 1, operation=operation)
    assert sink.watched == []


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([None], "the sink had no document with this _id"),
        ([None, {"a": 1, "b": 5}], "the sink had b=5 instead of 2, no field 'c'"),
        ([{"a": 1, "b": 2}], "the sink still shows the state from before the block: no field 'c'"),
    ],
)
def test_a_timeout_shows_what_was_there_instead(face, sink, recorder, answers, seen):
    sink.answers = list(answers)
    with pytest.raises(ExpectationError) as failed:
        face.expect("expect", "orders", "x", {"a": 1}, b=2, c=3, timeout="1s")
    assert str(failed.value) == f"orders _id='x': not seen as expected within 1s: {seen}"
    assert len(sink.reads) == 5
    assert figures(recorder) == pytest.approx(
        {
            "cdc_e2e_latency": 1000,
            "cdc_propagation": 1000,
            "cdc_success_rate": 0,
            "cdc_replication_success": 0,
            "checks": 0,
        }
    )
    assert sink.waiters == set()


def test_what_is_gone_is_waited_for(face, sink, recorder):
    sink.answers = [{"_id": "7"}, {"_id": "7"}, None]
    arrival = face.expect("expect_gone", "customers", 7)
    assert (arrival.reads, arrival.document) == (2, None)
    assert figures(recorder)["cdc_deletes"] == 1


def test_what_is_not_gone_in_time_is_shown_shortened(face, sink):
    sink.answers = [{"_id": "7", "text": "x" * 500}]
    with pytest.raises(ExpectationError) as failed:
        face.expect("expect_gone", "customers", 7, timeout="500ms")
    message = str(failed.value)
    assert message.startswith("customers _id='7': not seen as expected within 500ms: the sink still had {'_id': '7'")
    assert message.endswith("x...")
    assert len(message) < 300


def test_errors_of_the_server_are_waited_out(face, sink, recorder):
    sink.answers = [None, ServerGoneError("away"), ServerGoneError("away"), {"_id": "7"}]
    assert face.expect("expect", "customers", 7).reads == 3
    assert figures(recorder)["cdc_success_rate"] == 1


def test_an_error_of_the_server_that_stays_is_raised_at_the_deadline(face, sink, recorder):
    sink.answers = [None, ServerGoneError("away")]
    with pytest.raises(ServerGoneError, match="away"):
        face.expect("expect", "customers", 7, timeout="1s")
    assert len(sink.reads) == 5
    assert figures(recorder)["cdc_success_rate"] == 0
    assert figures(recorder) == {}


def test_an_error_that_passed_leaves_the_last_word_to_the_document(face, sink):
    sink.answers = [None, ServerGoneError("away"), {"a": 2}]
    with pytest.raises(ExpectationError, match="a=2 instead of 1"):
        face.expect("expect", "customers", 7, a=1, timeout="500ms")


def test_a_block_that_raises_is_one_failure_and_no_read(face, sink, recorder):
    def block():
        raise ValueError("the write failed")

    with pytest.raises(ValueError, match="the write failed"):
        face.expect("expect", "customers", 7, block=block)
    assert len(sink.reads) == 1
    assert sink.waiters == set()
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}


def test_another_error_of_the_read_goes_on_and_the_watch_ends(face, sink):
    sink.answers = [BlockingCallError("no")]
    with pytest.raises(BlockingCallError):
        face.expect("expect", "customers", 7)
    assert sink.waiters == set()


def test_the_watch_is_armed_before_the_write(face, sink):
    seen = []
    sink.answers = [None, {}]
    face.expect("expect", "customers", 7, block=lambda: seen.append(len(sink.waiters)))
    assert seen == [1]


def test_a_hint_from_the_watching_thread_reaches_the_loop(sink):
    async def main():
        expectation = Cdc(sink, sink).aio.expect("c", 1)
        await expectation.__aenter__()
        expectation._hint.clear()
        (waiter,) = sink.waiters
        await asyncio.to_thread(waiter.wake)
        async with asyncio.timeout(2):
            await expectation._hint.wait()
        expectation._unsubscribe()

    asyncio.run(main())


def test_the_check_is_called_by_operation_and_collection(face, sink, recorder):
    sink.answers = [None, {"gone": True}]
    face.expect("expect", "orders", 7)
    sink.answers = [None, {"gone": True}]
    face.expect("expect", "orders", 7, operation="delete", gone=True)
    assert [name for name, _state in recorder.drain().by_tag("checks", "check")] == [
        "create in orders seen in the sink",
        "delete in orders seen in the sink",
    ]


def test_a_read_may_take_what_is_left_of_the_time(face, sink):
    sink.read_s = 0.75
    sink.answers = [None, None, ServerGoneError("away"), None]
    with pytest.raises(ExpectationError):
        face.expect("expect", "orders", 7, timeout="2s")
    assert sink.limits[:3] == [2, 2, pytest.approx(1.25, abs=0.01)]
    assert sink.limits[3:] == [0.5]  # the last one has a chance


def test_what_cannot_arrive_is_not_waited_for(face, sink):
    sink.fault = "table 'orders' is set aside: it has no key"
    with pytest.raises(ExpectationError) as error:
        face.expect("expect", "orders", 7, timeout="1h")
    assert str(error.value) == "orders _id='7': it cannot arrive: table 'orders' is set aside: it has no key"
    assert len(sink.reads) == 2
    assert len(owed(face)) == 1


def test_what_has_arrived_all_the_same_is_seen(face, sink):
    sink.fault = "debezium has died"
    sink.answers = [None, {}]
    assert face.expect("expect", "orders", 7).seen


def owed(face):
    face.sink.find_many_unmeasured = lambda _collection, _keys, timeout_s: {}
    return [words.partition(":")[0] for words in face.cdc.audit.settle(0).faults]


def test_what_was_written_and_not_seen_in_time_is_remembered(face, sink):
    sink.answers = [{}, None]
    assert face.expect("expect_gone", "customers", 7).seen
    sink.answers = [None]
    assert owed(face) == []
    with pytest.raises(ExpectationError):
        face.expect("expect", "customers", 8, timeout="1s")
    assert owed(face) == ["1 of 1 writes that were not seen in time never arrived, 0.0 s after the load"]
    sink.answers = [None, {}]
    assert face.expect("expect", "customers", 8).seen
    assert owed(face) == []


def test_a_write_that_failed_is_owed_by_nobody(face):
    with pytest.raises(ZeroDivisionError):
        face.expect("expect", "customers", 8, block=lambda: 1 / 0)
    assert owed(face) == []


@pytest.mark.parametrize("before", [None, {"v": 1}])
def test_a_wait_that_is_cut_short_ends_at_once_and_is_remembered(sink, before):
    sink.answers = [before]
    face = Face(sink, is_async=False)
    vu = VU(1, session_id="r", scope=Scope(Recorder()))
    over = threading.Event()

    def cancel():  # again and again, as the engine does
        while not over.is_set():
            vu.own.cancel_all()

    threading.Thread(target=cancel).start()
    with acting_as(vu), pytest.raises(ExpectationError, match="customers _id='8': the run ended before it was seen"):
        face.expect("expect", "customers", 8, timeout="1h")
    over.set()
    assert len(owed(face)) == (before is None)
    assert len(face.cdc.audit.notes()) == (before is not None)  # to look for it later would tell nothing
    assert vu.own._kept == {}


def test_a_wait_that_is_cancelled_is_remembered(sink):
    face = Face(sink, is_async=True)

    async def main():
        waiting = asyncio.ensure_future(wait())
        await asyncio.gather(waiting, return_exceptions=True)

    async def wait():
        async with face.cdc.aio.expect("customers", 8, timeout="1h"):
            asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)

    asyncio.run(main())
    assert len(owed(face)) == 1


def test_a_deadline_of_zero_still_reads_once(face, sink):
    sink.answers = [None, {}]
    assert face.expect("expect", "orders", 7, timeout="0s").reads == 1


def steps_of(sink, timeout_s, forgotten=lambda: None):
    """Return the steps of an expectation after its block, before which the sink had nothing."""
    waiting = module._Waiting(Wanted("c", "7", {}, False, "create", timeout_s), sink, sink, Audit(sink))
    waiting._subscribe(lambda: None)
    entering = waiting._entering()
    next(entering)
    with pytest.raises(StopIteration):
        entering.send(None)
    return waiting._leaving(forgotten)


@pytest.mark.parametrize(
    ("answer", "timeout_s", "wait_s"),
    [(None, 10, 1.0), (ServerGoneError("x"), 10, 0.2), (None, 0.5, 0.5), (None, 0.05, 0.05)],
)
def test_it_never_waits_past_its_deadline_nor_long_without_reading(sink, answer, timeout_s, wait_s):
    sink.place = "1"
    steps = steps_of(sink, timeout_s)
    assert next(steps) == module._Wait(min(timeout_s, 1.0))
    assert isinstance(next(steps), module._Read)
    assert steps.send(answer) == module._Wait(pytest.approx(wait_s))


def test_where_the_poller_looks_nobody_reads_beside_it(sink):
    steps = steps_of(sink, 10)
    assert next(steps) == module._Wait(10)
    next(steps)
    assert steps.send(None) == module._Wait(10)


def test_old_hints_are_forgotten_before_each_read(sink):
    forgotten = []
    steps = steps_of(sink, 10, lambda: forgotten.append(len(forgotten)))
    next(steps)
    assert forgotten == []
    next(steps)
    assert forgotten == [0]
    steps.send(None)
    assert forgotten == [0]
    next(steps)
    assert forgotten == [0, 1]


@pytest.mark.parametrize("method", ["expect", "expect_gone"])
def test_the_blocking_face_is_refused_in_an_async_body(sink, method):
    with (
        acting_as(VU(1, session_id="r", scope=Scope(Recorder()), is_async=True)),
        pytest.raises(BlockingCallError, match=r"async with cdc\.aio\.expect"),
        getattr(Cdc(sink, sink), method)("c", 1),
    ):
        pass
    assert sink.watched == []


def test_an_operation_that_is_none_is_refused_at_once(sink):
    cdc = Cdc(sink, sink)
    for one in (cdc, cdc.aio):
        with pytest.raises(ConfigError) as refused:
            one.expect("c", 1, operation="upsert")
        assert str(refused.value) == "cdc.expect: operation='upsert'; allowed: create, update, delete"
        with pytest.raises(UnitError):
            one.expect("c", 1, timeout="10")

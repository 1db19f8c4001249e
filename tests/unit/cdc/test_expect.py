"""Both faces against a recording fake of the sink, with a clock that only a read moves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from pytest_cdcperf.cdc import expect as module
from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expect import Cdc, Wanted
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.vu import VU, acting_as
from pytest_cdcperf.errors import ConfigError, ExpectationError, ThreadLimitError, UnitError, WrongFaceError
from pytest_cdcperf.metrics.recorder import Recorder, Scope


class ServerGoneError(ReadError):
    """What a driver raises for a server that is away."""


class Sink:
    """Answers reads from a list, the last answer for ever; each read takes time and is followed by a hint."""

    def __init__(self, clock, read_s):
        self.clock = clock
        self.read_s = read_s
        self.answers = [None]
        self.reads = []
        self.limits = []
        self.watched = []
        self.wakes = set()
        self.fault = None
        self.aio = SimpleNamespace(find_one=self._find_one_aio)

    def find_one(self, collection, key, *, timeout):
        self.reads.append((collection, key))
        self.limits.append(timeout)
        self.clock.advance(self.read_s)
        for wake in list(self.wakes):
            wake()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _find_one_aio(self, collection, key, *, timeout):  # noqa: ASYNC109
        return self.find_one(collection, key, timeout=timeout)

    def fault_of(self, _collection):
        return self.fault

    @contextmanager
    def watching(self, collection, key, wake):
        self.watched.append((collection, key))
        self.wakes.add(wake)
        try:
            yield
        finally:
            self.wakes.discard(wake)


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


def test_a_document_that_is_there_at_the_first_read_has_arrived(face, sink, clock, recorder):
    sink.answers = [{"_id": "7", "email": "a@b"}]
    arrival = face.expect("expect", "customers", 7, email="a@b", block=lambda: clock.advance(0.5))
    assert sink.reads == sink.watched == [("customers", "7")]
    assert (arrival.document, arrival.reads) == ({"_id": "7", "email": "a@b"}, 1)
    assert arrival.e2e_ms == pytest.approx(750)
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
    sink.answers = [None, {"status": "old"}, {"status": "new", "more": 1}]
    arrival = face.expect("expect", "customers", 7, {"status": "new"}, operation="update")
    assert (arrival.reads, len(sink.reads)) == (3, 3)
    assert arrival.propagation_ms == pytest.approx(750)
    assert arrival.confirm_ms == pytest.approx(250)
    assert figures(recorder)["cdc_updates"] == 1


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (None, "the sink had no document with this _id"),
        ({"a": 1, "b": 5}, "the sink had b=5 instead of 2, no field 'c'"),
        ({"a": 1, "b": 2}, "the sink had no field 'c'"),
    ],
)
def test_a_timeout_shows_what_was_there_instead(face, sink, recorder, answer, seen):
    sink.answers = [answer]
    with pytest.raises(ExpectationError) as failed:
        face.expect("expect", "orders", "x", {"a": 1}, b=2, c=3, timeout="1s")
    assert str(failed.value) == f"orders _id='x': not seen as expected within 1s: {seen}"
    assert len(sink.reads) == 4
    assert figures(recorder) == pytest.approx(
        {
            "cdc_e2e_latency": 1000,
            "cdc_propagation": 1000,
            "cdc_success_rate": 0,
            "cdc_replication_success": 0,
            "checks": 0,
        }
    )
    assert sink.wakes == set()


def test_what_is_gone_is_waited_for(face, sink, recorder):
    sink.answers = [{"_id": "7"}, None]
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
    sink.answers = [ServerGoneError("away"), ServerGoneError("away"), {"_id": "7"}]
    assert face.expect("expect", "customers", 7).reads == 3
    assert figures(recorder)["cdc_success_rate"] == 1


def test_an_error_of_the_server_that_stays_is_raised_at_the_deadline(face, sink, recorder):
    sink.answers = [None, ServerGoneError("away")]
    with pytest.raises(ServerGoneError, match="away"):
        face.expect("expect", "customers", 7, timeout="1s")
    assert len(sink.reads) == 4
    assert figures(recorder)["cdc_success_rate"] == 0
    assert figures(recorder) == {}


def test_an_error_that_passed_leaves_the_last_word_to_the_document(face, sink):
    sink.answers = [ServerGoneError("away"), {"a": 2}]
    with pytest.raises(ExpectationError, match="a=2 instead of 1"):
        face.expect("expect", "customers", 7, a=1, timeout="500ms")


def test_a_block_that_raises_is_one_failure_and_no_read(face, sink, recorder):
    def block():
        raise ValueError("the write failed")

    with pytest.raises(ValueError, match="the write failed"):
        face.expect("expect", "customers", 7, block=block)
    assert sink.reads == []
    assert sink.wakes == set()
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}


def test_another_error_of_the_read_goes_on_and_the_watch_ends(face, sink):
    sink.answers = [WrongFaceError("no")]
    with pytest.raises(WrongFaceError):
        face.expect("expect", "customers", 7)
    assert sink.wakes == set()


def test_the_watch_is_armed_before_the_write(face, sink):
    seen = []
    sink.answers = [{}]
    face.expect("expect", "customers", 7, block=lambda: seen.append(len(sink.wakes)))
    assert seen == [1]


def test_a_hint_from_the_watching_thread_reaches_the_loop(sink):
    async def main():
        expectation = Cdc(sink, sink).aio.expect("c", 1)
        await expectation.__aenter__()
        (wake,) = sink.wakes
        await asyncio.to_thread(wake)
        async with asyncio.timeout(2):
            await expectation._hint.wait()
        expectation._unsubscribe()

    asyncio.run(main())


def test_the_check_is_called_by_operation_and_collection(face, sink, recorder):
    sink.answers = [{}]
    face.expect("expect", "orders", 7)
    face.expect("expect", "orders", 7, operation="delete")
    assert [name for name, _state in recorder.drain().by_tag("checks", "check")] == [
        "create in orders seen in the sink",
        "delete in orders seen in the sink",
    ]


def test_a_read_may_take_what_is_left_of_the_time(face, sink):
    sink.read_s = 0.75
    sink.answers = [None, ServerGoneError("away"), None]
    with pytest.raises(ExpectationError):
        face.expect("expect", "orders", 7, timeout="2s")
    assert sink.limits[:2] == [2, pytest.approx(1.25, abs=0.01)]
    assert sink.limits[2:] == [0.5]  # the last one has a chance


def test_what_cannot_arrive_is_not_waited_for(face, sink):
    sink.fault = "table 'orders' is set aside: it has no key"
    with pytest.raises(ExpectationError) as error:
        face.expect("expect", "orders", 7, timeout="1h")
    assert str(error.value) == "orders _id='7': it cannot arrive: table 'orders' is set aside: it has no key"
    assert len(sink.reads) == 1
    assert len(owed(face)) == 1


def test_what_has_arrived_all_the_same_is_seen(face, sink):
    sink.fault = "debezium has died"
    sink.answers = [{}]
    assert face.expect("expect", "orders", 7).seen


def owed(face):
    face.sink.find_many_unmeasured = lambda _collection, _keys, timeout_s: {}
    return [words.partition(":")[0] for words in face.cdc.audit.settle(0).faults]


def test_what_was_written_and_not_seen_in_time_is_remembered(face, sink):
    assert face.expect("expect_gone", "customers", 7).seen
    assert owed(face) == []
    with pytest.raises(ExpectationError):
        face.expect("expect", "customers", 8, timeout="1s")
    assert owed(face) == ["1 of 1 writes that were not seen in time never arrived, 0.0 s after the load"]
    sink.answers = [{}]
    assert face.expect("expect", "customers", 8, operation="update").seen
    assert owed(face) == []


def test_a_write_that_failed_is_owed_by_nobody(face):
    with pytest.raises(ZeroDivisionError):
        face.expect("expect", "customers", 8, block=lambda: 1 / 0)
    assert owed(face) == []


def test_a_wait_that_is_cut_short_ends_at_once_and_is_remembered(sink):
    face = Face(sink, is_async=False)
    vu = VU(1, run_id="r", scope=Scope(Recorder()))
    over = threading.Event()

    def cancel():  # again and again, as the engine does
        while not over.is_set():
            vu.own.cancel_all()

    sink.watching = lambda *_: nullcontext()
    threading.Thread(target=cancel).start()
    with acting_as(vu), pytest.raises(ExpectationError, match="customers _id='8': the run ended before it was seen"):
        face.expect("expect", "customers", 8, timeout="1h")
    over.set()
    assert len(owed(face)) == 1
    assert vu.own._kept == {}


def test_a_wait_that_is_cancelled_is_remembered(sink):
    face = Face(sink, is_async=True)

    async def main():
        sink.find_one = lambda *_: waiting.cancel() and None
        waiting = asyncio.ensure_future(wait())
        await asyncio.gather(waiting, return_exceptions=True)

    async def wait():
        async with face.cdc.aio.expect("customers", 8, timeout="1h"):
            pass

    asyncio.run(main())
    assert len(owed(face)) == 1


def test_a_deadline_of_zero_still_reads_once(face, sink):
    sink.answers = [{}]
    assert face.expect("expect", "orders", 7, timeout="0s").reads == 1


def steps_of(sink, timeout_s, forgotten=lambda: None):
    waiting = module._Waiting(Wanted("c", "7", {}, False, "create", timeout_s), sink, sink, Audit(sink))
    waiting._enter(lambda: None)
    return waiting._steps(forgotten)


@pytest.mark.parametrize(
    ("answer", "timeout_s", "wait"),
    [(None, 10, 1.0), (ServerGoneError("x"), 10, 0.2), (None, 0.5, 0.5), (None, 0.05, 0.05)],
)
def test_it_never_waits_past_its_deadline_nor_long_without_reading(sink, answer, timeout_s, wait):
    steps = steps_of(sink, timeout_s)
    assert next(steps) is None
    assert steps.send(answer) == pytest.approx(wait)


def test_old_hints_are_forgotten_before_each_read(sink):
    forgotten = []
    steps = steps_of(sink, 10, lambda: forgotten.append(len(forgotten)))
    next(steps)
    assert forgotten == [0]
    steps.send(None)
    assert forgotten == [0]
    next(steps)
    assert forgotten == [0, 1]


@pytest.mark.parametrize("method", ["expect", "expect_gone"])
def test_the_blocking_face_is_refused_in_an_async_body(sink, method):
    with (
        acting_as(VU(1, run_id="r", scope=Scope(Recorder()), is_async=True)),
        pytest.raises(WrongFaceError, match=r"async with cdc\.aio\.expect"),
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


def test_a_watcher_that_cannot_be_started_is_an_error_and_the_next_one_tries_again(monkeypatch):
    watch = SinkWatch(SimpleNamespace())
    started = []
    monkeypatch.setattr(watch, "_watch", started.append)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ThreadLimitError, match="the watcher of orders could not be started"):
            watch.watching("orders", "7", lambda: None).__enter__()
    assert watch._waiters["orders"] == {}
    with watch.watching("orders", "7", lambda: None):
        pass
    assert started == ["orders"]

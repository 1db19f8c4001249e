"""Waits until a change has arrived in the sink, and measures how long that took.

What was in the sink when the block was entered is not an arrival, however well it fits: an expectation is met by a
document that fits and differs from the one before, or of which the change stream has shown a change since.

The protocol is written once, in :class:`_ArrivalBlock`, as steps: see ``clients/steps.py``.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expectation import Expectation
from pytest_cdcperf.cdc.subscriptions import Subscription
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.effects import Effects
from pytest_cdcperf.clients.mongo import Mongo, ReadError
from pytest_cdcperf.clients.mongo_changes import Document, same_document
from pytest_cdcperf.clients.steps import Steps, adrive, drive
from pytest_cdcperf.clock import Clock
from pytest_cdcperf.engine.body import check
from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.errors import ExpectationError
from pytest_cdcperf.metrics.groups import CDC
from pytest_cdcperf.metrics.metric import Counter, Metric, Rate, Trend
from pytest_cdcperf.metrics.scope import current_scope
from pytest_cdcperf.units import format_duration

CDC_E2E_LATENCY = Trend("cdc_e2e_latency", unit="ms", group=CDC)
CDC_PROPAGATION = Trend("cdc_propagation", unit="ms", group=CDC)
CDC_SUCCESS_RATE = Rate("cdc_success_rate", group=CDC)
CDC_REPLICATION_SUCCESS = Rate("cdc_replication_success", group=CDC)
OPERATIONS = {
    "create": Counter("cdc_creates", group=CDC),
    "update": Counter("cdc_updates", group=CDC),
    "delete": Counter("cdc_deletes", group=CDC),
}

_READ_AGAIN_S = 1.0  # also without a notification: no arrival depends on a change stream alone
_RETRY_S = 0.2
_LEAST_READING_S = 0.5
_STREAM_OPENS_S = 1.0
_ANY_PLACE = ""


class Arrival:
    """The arrival that an expectation found, known once its block is left. Times are milliseconds.

    ::

        def test_how_long_an_order_takes(pg, cdc):
            with cdc.expect("orders", "A-1") as arrival:
                pg.insert("orders", {"id": "A-1", "status": "new"})
            assert arrival.document["status"] == "new"
            assert arrival.e2e_ms >= arrival.propagation_ms  # the time of the write is in the first

    A block that raised leaves it without times and without a read. *reads* counts those after the block.
    *confirm_ms*, how long the read took that showed the change, is there once it was *seen*.
    """

    document: Document | None = None
    seen: bool = False
    e2e_ms: float
    propagation_ms: float
    confirm_ms: float
    reads: int = 0


class _ArrivalBlock:
    """One expectation: what happens on entering and on leaving its block, and what is recorded of it.

    The sync and the async block say how the sink is read and how to wait.
    """

    _reads: Any
    """The client that reads the sink: ``mongo`` or ``mongo.aio``."""
    _notified: Any
    """Is set by a notification: ``wait(seconds)``, ``set()`` and ``clear()``."""
    _is_cancelled = False

    def __init__(self, expected: Expectation, mongo: Mongo, watch: SinkWatch, audit: Audit, clock: Clock) -> None:
        self._expected = expected
        self._mongo = mongo
        self._watch = watch
        self._audit = audit
        self._clock = clock
        self._arrival = Arrival()
        self._entered_ns = 0
        self._before: Document | None = None  # the first answer of the sink since the block was entered
        self._knows_before = False
        self._differed = False
        self._effects = Effects()
        self._tags = (("collection", expected.collection),)

    def _until_stream_decided(self) -> Any:
        """Wait until it is known whether the collection has a change stream."""
        raise NotImplementedError

    def _enter(self) -> Steps[Arrival]:
        self._subscription = Subscription(self._expected.collection, self._expected.key, self._notified.set)
        self._watching = self._watch.subscribe(self._subscription)
        self._watching.__enter__()
        try:
            yield from self._read_before()
        except BaseException:
            self._unsubscribe()
            raise
        self._effects.__enter__()
        self._entered_ns = self._clock.now_ns()
        return self._arrival

    def _leave(self, *, raised: bool) -> Steps[None]:
        try:
            if raised:
                self._judge(False)
            else:
                yield from self._wait_for_arrival()
        finally:
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        self._watching.__exit__(None, None, None)

    def _read_before(self) -> Steps[None]:
        """Read what is there before the block.

        :raises ExpectationError: where no change could be distinguished from that
        """
        expected = self._expected
        answer = yield from self._read(self._reading_s(expected.timeout_s))
        if isinstance(answer, ReadError):
            self._subscription.since = _ANY_PLACE
            return
        self._take(answer)
        if expected.gone and answer is None:
            self._judge(False)
            raise ExpectationError(
                f"{expected}: the sink had no such document when the block was entered, so that it is gone "
                "would prove nothing; first wait with cdc.expect() until it is there"
            )
        if expected.is_met_by(answer):
            self._subscription.since = yield from self._place_now()

    def _wait_for_arrival(self) -> Steps[None]:
        """Wait until the change has arrived.

        :raises ExpectationError: when it has not in time
        """
        left_ns = self._clock.now_ns()
        if self._effects.are_none:
            self._judge(False)
            raise ExpectationError(
                f"{self._expected}: the block changed no row, so nothing can arrive: its UPDATE or DELETE found none"
            )
        if self._knows_before and self._expected.is_met_by(self._before):
            self._audit.record_ambiguous(self._expected)  # until an event shows the change
        else:
            self._audit.record_write(self._expected)
        document: Document | None = None
        pause_s = self._pause_s()
        left_s = self._expected.timeout_s
        while True:
            yield self._notified.wait(min(left_s, pause_s))
            self._require_running()
            self._notified.clear()  # before the read: a change during it ends the wait that follows
            read_ns = self._clock.now_ns()
            left_s = self._expected.timeout_s - (read_ns - left_ns) * 1e-9
            answer = yield from self._read(self._reading_s(left_s))
            self._require_running()
            self._arrival.reads += 1
            now_ns = self._clock.now_ns()
            error: ReadError | None = None
            if isinstance(answer, ReadError):
                error = answer
            else:
                document = answer
                if self._has_arrived(document):
                    self._arrival.confirm_ms = (now_ns - read_ns) * 1e-6
                    self._arrival.document = document
                    self._conclude(left_ns, now_ns, seen=True)
                    return
            if fault := self._watch.fault_of(self._expected.collection):
                self._conclude(left_ns, now_ns, seen=False)
                raise ExpectationError(f"{self._expected}: it cannot arrive: {fault}")
            left_s = self._expected.timeout_s - (now_ns - left_ns) * 1e-9
            if left_s <= 0:
                ambiguous = error is None and self._expected.is_met_by(document)
                self._conclude(left_ns, now_ns, seen=False, ambiguous=ambiguous)
                raise error or ExpectationError(self._timed_out(now_ns - left_ns, document))
            pause_s = self._pause_s() if error is None else _RETRY_S

    def _read(self, within_s: float) -> Steps[Document | ReadError | None]:
        expected = self._expected
        try:
            document: Document | None = yield self._reads.find_one(expected.collection, expected.key, timeout=within_s)
        except ReadError as error:
            return error
        return document

    def _place_now(self) -> Steps[str | None]:
        """Return where the change stream is now, None without one."""
        collection = self._expected.collection
        yield self._until_stream_decided()
        if self._watch.is_polled(collection):
            return None
        try:
            place: str = yield self._reads.place_now(collection, timeout_s=_STREAM_OPENS_S)
        except ReadError:
            return None
        return place

    def _require_running(self) -> None:
        if self._is_cancelled:
            raise ExpectationError(f"{self._expected}: the run ended before it was seen")

    def _reading_s(self, left_s: float) -> float:
        # The last read gets its time as well; where nothing can arrive, one that hangs is not waited for.
        return _LEAST_READING_S if self._watch.fault_of(self._expected.collection) else max(left_s, _LEAST_READING_S)

    def _pause_s(self) -> float:
        if self._watch.fault_of(self._expected.collection):
            return 0.0
        # The poller compares with what was read; reads of all who wait beside its own would be the sink's main load.
        return self._expected.timeout_s if self._watch.is_polled(self._expected.collection) else _READ_AGAIN_S

    def _take(self, document: Document | None) -> None:
        self._subscription.record_read(document)
        if not self._knows_before:
            self._knows_before, self._before = True, document
        elif not same_document(self._before, document):
            self._differed = True

    def _has_arrived(self, document: Document | None) -> bool:
        self._take(document)
        return self._expected.is_met_by(document) and (self._differed or self._subscription.changed)

    def _record(self, metric: Metric, value: float) -> None:
        scope = current_scope()
        if scope is not None:
            scope.sink(metric, self._tags)(value)

    def _judge(self, seen: bool) -> None:
        self._record(CDC_SUCCESS_RATE, seen)
        self._record(CDC_REPLICATION_SUCCESS, seen)
        check(f"{self._expected.operation} in {self._expected.collection} seen in the sink", seen)

    def _conclude(self, left_ns: int, now_ns: int, *, seen: bool, ambiguous: bool = False) -> None:
        self._arrival.e2e_ms = (now_ns - self._entered_ns) * 1e-6
        self._arrival.propagation_ms = (now_ns - left_ns) * 1e-6
        self._arrival.seen = seen
        self._judge(seen)
        if ambiguous:
            self._audit.record_ambiguous(self._expected)
            return
        self._record(CDC_E2E_LATENCY, self._arrival.e2e_ms)
        self._record(CDC_PROPAGATION, self._arrival.propagation_ms)
        if seen:
            self._audit.record_arrival(self._expected)
            self._record(OPERATIONS[self._expected.operation], 1)

    def _timed_out(self, waited_ns: int, document: Document | None) -> str:
        waited = format_duration(waited_ns * 1e-9)
        return f"{self._expected}: not seen as expected within {waited}: {self._instead(document)}"

    def _instead(self, document: Document | None) -> str:
        """Say what the sink had instead of the change."""
        if self._expected.is_met_by(document):
            return (
                f"the sink still shows the state from before the block ({self._expected.excerpt(document)}), and a "
                "write that changes nothing cannot be seen there: let the block change a field, and name it"
            )
        unchanged = self._knows_before and not self._differed
        return self._expected.difference(document, unchanged=unchanged)


class SyncArrivalBlock(_ArrivalBlock):
    """``with cdc.expect(...)``."""

    def __enter__(self) -> Arrival:
        __tracebackhide__ = True
        refuse_blocking("cdc.expect()", "async with cdc.aio.expect(...)")
        self._reads = self._mongo
        self._notified = threading.Event()
        return drive(self._enter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._effects.__exit__(kind, error, traceback)
        vu = current_vu()
        if vu is not None:
            vu.own.keep(self, self, close=lambda _: None, cancel=SyncArrivalBlock._cancel)
        try:
            drive(self._leave(raised=kind is not None))
        finally:
            if vu is not None:
                vu.own.drop(self)

    def _until_stream_decided(self) -> bool:
        return self._watch.stream_decided(self._expected.collection).wait(_STREAM_OPENS_S)

    def _cancel(self) -> None:
        self._is_cancelled = True
        self._notified.set()


class AsyncArrivalBlock(_ArrivalBlock):
    """``async with cdc.aio.expect(...)``."""

    async def __aenter__(self) -> Arrival:
        __tracebackhide__ = True
        self._reads = self._mongo.aio
        self._notified = _LoopEvent()
        return await adrive(self._enter())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._effects.__exit__(kind, error, traceback)
        await adrive(self._leave(raised=kind is not None))

    async def _until_stream_decided(self) -> None:
        decided = self._watch.stream_decided(self._expected.collection)
        if not decided.is_set():
            await asyncio.to_thread(decided.wait, _STREAM_OPENS_S)


class _LoopEvent:
    """An event of the running loop that is set from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.clear = self._event.clear

    def set(self) -> None:
        with suppress(RuntimeError):  # the run is over and its loop is closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()

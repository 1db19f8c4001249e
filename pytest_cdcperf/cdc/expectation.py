"""Waiting until a change has arrived in the sink, and measuring how long that took.

What was in the sink when the block was entered is no arrival, however well it fits: an expectation is met by a
document that fits and is another one than before, or that the change stream has told a change of since.

The protocol stands here once, as generators of reads and waits; the sync and the async expectation differ in how they
carry them out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.waiters import Waiter
from pytest_cdcperf.cdc.wanted import Wanted
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.effects import Effects
from pytest_cdcperf.clients.mongo import Mongo, ReadError
from pytest_cdcperf.clients.mongo_changes import Document, same_document
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.body import check
from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.errors import ExpectationError
from pytest_cdcperf.metrics.groups import CDC
from pytest_cdcperf.metrics.metric import Counter, Rate, Trend
from pytest_cdcperf.units import format_duration

if TYPE_CHECKING:
    import asyncio

CDC_E2E_LATENCY = Trend("cdc_e2e_latency", unit="ms", group=CDC)
CDC_PROPAGATION = Trend("cdc_propagation", unit="ms", group=CDC)
CDC_SUCCESS_RATE = Rate("cdc_success_rate", group=CDC)
CDC_REPLICATION_SUCCESS = Rate("cdc_replication_success", group=CDC)
OPERATIONS = {
    "create": Counter("cdc_creates"),
    "update": Counter("cdc_updates"),
    "delete": Counter("cdc_deletes"),
}

_READ_AGAIN_S = 1.0  # also without a hint: no arrival depends on a change stream alone
_RETRY_S = 0.2
_LEAST_READING_S = 0.5
_STREAM_OPENS_S = 1.0
_ANY_PLACE = ""


class Arrival:
    """What an expectation found, once its block is left. Times are milliseconds.

    A block that raised leaves it without times and without a read. *reads* counts those after the block.
    *confirm_ms* is there once it was *seen*.
    """

    document: Document | None = None
    seen: bool = False
    e2e_ms: float
    propagation_ms: float
    confirm_ms: float
    reads: int = 0


@dataclass(frozen=True)
class _Read:
    """Read the document. Sent back: the document, None, or the error of the read."""

    within_s: float


@dataclass(frozen=True)
class _Wait:
    """Wait for a hint."""

    at_most_s: float


@dataclass(frozen=True)
class _Locate:
    """Find out where the change stream is now. Sent back: the place, or None without a stream."""


_Steps = Generator[_Read | _Wait | _Locate, Any, None]


class _Waiting:
    """One expectation: the protocol and its accounting."""

    def __init__(self, wanted: Wanted, mongo: Mongo, watch: SinkWatch, audit: Audit) -> None:
        self._wanted = wanted
        self._mongo = mongo
        self._watch = watch
        self._audit = audit
        self._arrival = Arrival()
        self._entered_ns = 0
        self._before: Document | None = None  # the first answer of the sink since the block was entered
        self._knows_before = False
        self._differed = False
        self._effects = Effects()

    def _subscribe(self, wake: Callable[[], None]) -> None:
        self._waiter = Waiter(self._wanted.collection, self._wanted.key, wake)
        self._subscription = self._watch.watching(self._waiter)
        self._subscription.__enter__()

    def _unsubscribe(self) -> None:
        self._subscription.__exit__(None, None, None)

    def _entering(self) -> _Steps:
        """Read what is there before the block.

        :raises ExpectationError: where no change could be told from that
        """
        answer = yield _Read(self._reading_s(self._wanted.timeout_s))
        if isinstance(answer, ReadError):
            self._waiter.since = _ANY_PLACE
        else:
            self._take(answer)
            if self._wanted.gone and answer is None:
                self._judge(False)
                raise ExpectationError(
                    f"{self._wanted}: the sink had no such document when the block was entered, so that it is gone "
                    "would prove nothing; first wait with cdc.expect() until it is there"
                )
            if self._wanted.fits(answer):
                self._waiter.since = yield _Locate()
        self._effects.__enter__()
        self._entered_ns = time.perf_counter_ns()

    def _leaving(self, forget_hints: Callable[[], None]) -> _Steps:
        """Wait until the change has arrived.

        :raises ExpectationError: when it has not in time
        """
        left_ns = time.perf_counter_ns()
        if self._effects.are_none:
            self._judge(False)
            raise ExpectationError(
                f"{self._wanted}: the block changed no row, so nothing can arrive: its UPDATE or DELETE found none"
            )
        if self._knows_before and self._wanted.fits(self._before):
            self._audit.cannot_tell(self._wanted)  # until an event tells
        else:
            self._audit.owe(self._wanted)
        document: Document | None = None
        pause_s = self._pause_s()
        left_s = self._wanted.timeout_s
        while True:
            yield _Wait(min(left_s, pause_s))
            forget_hints()  # before the read: a change during it wakes the wait that follows
            read_ns = time.perf_counter_ns()
            left_s = self._wanted.timeout_s - (read_ns - left_ns) * 1e-9
            answer = yield _Read(self._reading_s(left_s))
            self._arrival.reads += 1
            now_ns = time.perf_counter_ns()
            broken = answer if isinstance(answer, ReadError) else None
            if broken is None:
                document = answer
                if self._has_arrived(document):
                    self._arrival.confirm_ms = (now_ns - read_ns) * 1e-6
                    self._arrival.document = document
                    self._settle(left_ns, now_ns, seen=True)
                    return
            if fault := self._watch.fault_of(self._wanted.collection):
                self._settle(left_ns, now_ns, seen=False)
                raise ExpectationError(f"{self._wanted}: it cannot arrive: {fault}")
            left_s = self._wanted.timeout_s - (now_ns - left_ns) * 1e-9
            if left_s <= 0:
                self._settle(left_ns, now_ns, seen=False, told=broken is not None or not self._wanted.fits(document))
                raise broken or ExpectationError(self._timed_out(now_ns - left_ns, document))
            pause_s = _RETRY_S if broken is not None else self._pause_s()

    def _reading_s(self, left_s: float) -> float:
        # The last read has a chance as well; where nothing can arrive, one that hangs is not waited for.
        return _LEAST_READING_S if self._watch.fault_of(self._wanted.collection) else max(left_s, _LEAST_READING_S)

    def _pause_s(self) -> float:
        if self._watch.fault_of(self._wanted.collection):
            return 0.0
        # The poller compares with what was read; reads of all who wait beside its own would be the sink's main load.
        return self._wanted.timeout_s if self._watch.is_polled(self._wanted.collection) else _READ_AGAIN_S

    def _take(self, document: Document | None) -> None:
        self._waiter.read(document)
        if not self._knows_before:
            self._knows_before, self._before = True, document
        elif not same_document(self._before, document):
            self._differed = True

    def _has_arrived(self, document: Document | None) -> bool:
        self._take(document)
        return self._wanted.fits(document) and (self._differed or self._waiter.changed)

    def _judge(self, seen: bool) -> None:
        CDC_SUCCESS_RATE.add(seen)
        CDC_REPLICATION_SUCCESS.add(seen)
        check(f"{self._wanted.operation} in {self._wanted.collection} seen in the sink", seen)

    def _settle(self, left_ns: int, now_ns: int, *, seen: bool, told: bool = True) -> None:
        self._arrival.e2e_ms = (now_ns - self._entered_ns) * 1e-6
        self._arrival.propagation_ms = (now_ns - left_ns) * 1e-6
        self._arrival.seen = seen
        self._judge(seen)
        if not told:
            self._audit.cannot_tell(self._wanted)
            return
        CDC_E2E_LATENCY.add(self._arrival.e2e_ms)
        CDC_PROPAGATION.add(self._arrival.propagation_ms)
        if seen:
            self._audit.seen(self._wanted)
            OPERATIONS[self._wanted.operation].add(1)

    def _timed_out(self, waited_ns: int, document: Document | None) -> str:
        waited = format_duration(waited_ns * 1e-9)
        return f"{self._wanted}: not seen as expected within {waited}: {self._instead(document)}"

    def _instead(self, document: Document | None) -> str:
        """Say what the sink had instead of the change."""
        if self._wanted.fits(document):
            return (
                f"the sink still shows the state from before the block ({self._wanted.shown(document)}), and a write "
                "that changes nothing cannot be seen there: let the block change a field, and name it"
            )
        unchanged = self._knows_before and not self._differed
        return self._wanted.explain(document, unchanged=unchanged)


class Expectation(_Waiting):
    """``with cdc.expect(...)``."""

    def __enter__(self) -> Arrival:
        __tracebackhide__ = True
        refuse_blocking("cdc.expect()", "async with cdc.aio.expect(...)")
        self._hint = threading.Event()
        self._cut = False
        self._subscribe(self._hint.set)
        try:
            self._run(self._entering())
        except BaseException:
            self._unsubscribe()
            raise
        return self._arrival

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._effects.__exit__(kind, error, traceback)
        vu = current_vu()
        if vu is not None:
            vu.own.keep(self, self, close=lambda _: None, cancel=Expectation._cut_short)
        try:
            if kind is not None:
                self._judge(False)
                return
            self._run(self._leaving(self._hint.clear))
        finally:
            if vu is not None:
                vu.own.drop(self)
            self._unsubscribe()

    def _run(self, steps: _Steps) -> None:
        __tracebackhide__ = True
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return
            answer = self._carry_out(step)
            if self._cut:
                raise ExpectationError(f"{self._wanted}: the run ended before it was seen")

    def _carry_out(self, step: _Read | _Wait | _Locate) -> Document | ReadError | str | None:
        wanted = self._wanted
        match step:
            case _Wait(seconds):
                self._hint.wait(seconds)
                return None
            case _Read(within_s):
                try:
                    return self._mongo.find_one(wanted.collection, wanted.key, timeout=within_s)
                except ReadError as error:
                    return error
        self._watch.settled(wanted.collection).wait(_STREAM_OPENS_S)
        if self._watch.is_polled(wanted.collection):
            return None
        try:
            return self._mongo.place_now(wanted.collection, timeout_s=_STREAM_OPENS_S)
        except ReadError:
            return None

    def _cut_short(self) -> None:
        self._cut = True
        self._hint.set()


class AsyncExpectation(_Waiting):
    """``async with cdc.aio.expect(...)``."""

    async def __aenter__(self) -> Arrival:
        __tracebackhide__ = True
        import asyncio  # noqa: PLC0415  # only async bodies need it

        loop = asyncio.get_running_loop()
        self._hint = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the run is over and its loop is closed
                loop.call_soon_threadsafe(self._hint.set)

        self._subscribe(wake)
        try:
            await self._run(self._entering())
        except BaseException:
            self._unsubscribe()
            raise
        return self._arrival

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._effects.__exit__(kind, error, traceback)
        try:
            if kind is not None:
                self._judge(False)
                return
            await self._run(self._leaving(self._hint.clear))
        finally:
            self._unsubscribe()

    async def _run(self, steps: _Steps) -> None:
        __tracebackhide__ = True
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return
            answer = await self._carry_out(step)

    async def _carry_out(self, step: _Read | _Wait | _Locate) -> Document | ReadError | str | None:
        wanted = self._wanted
        match step:
            case _Wait(seconds):
                await _wait(self._hint, seconds)
                return None
            case _Read(within_s):
                try:
                    return await self._mongo.aio.find_one(wanted.collection, wanted.key, timeout=within_s)
                except ReadError as error:
                    return error
        settled = self._watch.settled(wanted.collection)
        if not settled.is_set():
            import asyncio  # noqa: PLC0415

            await asyncio.to_thread(settled.wait, _STREAM_OPENS_S)
        if self._watch.is_polled(wanted.collection):
            return None
        try:
            return await self._mongo.aio.place_now(wanted.collection, timeout_s=_STREAM_OPENS_S)
        except ReadError:
            return None


async def _wait(hint: asyncio.Event, seconds: float) -> None:
    import asyncio  # noqa: PLC0415

    try:
        async with asyncio.timeout(seconds):
            await hint.wait()
    except TimeoutError:
        return

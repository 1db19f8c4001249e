"""Waiting until the sink shows what was written, and measuring how long that took.

The protocol stands here once, as a generator of reads and waits; the blocking and the awaited face
differ in how they carry them out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Document, Mongo, ReadError
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.vu import check, current_vu, refuse_blocking
from pytest_cdcperf.errors import ConfigError, ExpectationError
from pytest_cdcperf.identity.keys import key_text
from pytest_cdcperf.identity.values import same
from pytest_cdcperf.metrics.recorder import Counter, Rate, Trend
from pytest_cdcperf.units import duration_s, format_duration

if TYPE_CHECKING:
    import asyncio

CDC_E2E_LATENCY = Trend("cdc_e2e_latency", unit="ms")
CDC_PROPAGATION = Trend("cdc_propagation", unit="ms")
CDC_SUCCESS_RATE = Rate("cdc_success_rate")
CDC_REPLICATION_SUCCESS = Rate("cdc_replication_success")
OPERATIONS: Mapping[str, Counter] = {
    "create": Counter("cdc_creates"),
    "update": Counter("cdc_updates"),
    "delete": Counter("cdc_deletes"),
}

DEFAULT_TIMEOUT = "10s"
_READ_AGAIN_S = 1.0  # also without a hint: no arrival depends on the watcher alone
_RETRY_S = 0.2
_LEAST_READING_S = 0.5  # the last read has a chance as well


@dataclass(frozen=True)
class Wanted:
    """What the sink is expected to show."""

    collection: str
    key: str
    fields: Mapping[str, Any]
    gone: bool
    operation: str
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.collection} _id={self.key!r}"

    def fits(self, document: Document | None) -> bool:
        """Whether *document* is what is wanted."""
        if document is None or self.gone:
            return document is None and self.gone
        return all(name in document and same(value, document[name]) for name, value in self.fields.items())

    def explain(self, document: Document | None) -> str:
        """Say what the sink had instead."""
        if document is None:
            return "the sink had no document with this _id"
        if self.gone:
            return f"the sink still had {_short(document)}"
        wrong = [
            f"{name}={document[name]!r} instead of {value!r}" if name in document else f"no field {name!r}"
            for name, value in self.fields.items()
            if name not in document or not same(value, document[name])
        ]
        return "the sink had " + ", ".join(wrong)


class Arrival:
    """What an expectation found, once its block is left. Times are milliseconds.

    A block that raised leaves it without times and without a read. *confirm_ms* is there once it was *seen*.
    """

    document: Document | None = None
    seen: bool = False
    e2e_ms: float
    propagation_ms: float
    confirm_ms: float
    reads: int = 0


class Cdc:
    """The fixture ``cdc``."""

    def __init__(self, mongo: Mongo, watch: SinkWatch) -> None:
        self._mongo = mongo
        self._watch = watch
        self.audit = Audit(mongo)
        self.aio = AsyncCdc(mongo, watch, self.audit)

    def expect(
        self,
        collection: str,
        key: object,
        fields: Mapping[str, Any] | None = None,
        *,
        timeout: str = DEFAULT_TIMEOUT,
        operation: str = "create",
        **more_fields: Any,
    ) -> AbstractContextManager[Arrival]:
        """Write inside the block; on leaving it, wait until document *key* shows all the fields given.

        :param key: the value of the key's column as it was written; a tuple for a key of several, in their order
        :param fields: the values that were written, of the types that were written
        :param operation: "create", "update" or "delete": which counter a success goes to
        :raises ExpectationError: on leaving, when the sink did not show it within *timeout*
        """
        wanted = _wanted(collection, key, {**(fields or {}), **more_fields}, False, operation, timeout)
        return _Expectation(wanted, self._mongo, self._watch, self.audit)

    def expect_gone(
        self, collection: str, key: object, *, timeout: str = DEFAULT_TIMEOUT
    ) -> AbstractContextManager[Arrival]:
        """Delete inside the block; on leaving it, wait until document *key* is gone.

        :raises ExpectationError: on leaving, when the sink still had it after *timeout*
        """
        wanted = _wanted(collection, key, {}, True, "delete", timeout)
        return _Expectation(wanted, self._mongo, self._watch, self.audit)


class AsyncCdc:
    """The awaited face: ``async with cdc.aio.expect(...)``."""

    def __init__(self, mongo: Mongo, watch: SinkWatch, audit: Audit) -> None:
        self._mongo = mongo
        self._watch = watch
        self._audit = audit

    def expect(
        self,
        collection: str,
        key: object,
        fields: Mapping[str, Any] | None = None,
        *,
        timeout: str = DEFAULT_TIMEOUT,
        operation: str = "create",
        **more_fields: Any,
    ) -> _AsyncExpectation:
        """As :meth:`Cdc.expect`."""
        wanted = _wanted(collection, key, {**(fields or {}), **more_fields}, False, operation, timeout)
        return _AsyncExpectation(wanted, self._mongo, self._watch, self._audit)

    def expect_gone(self, collection: str, key: object, *, timeout: str = DEFAULT_TIMEOUT) -> _AsyncExpectation:
        """As :meth:`Cdc.expect_gone`."""
        wanted = _wanted(collection, key, {}, True, "delete", timeout)
        return _AsyncExpectation(wanted, self._mongo, self._watch, self._audit)


# None: read the document. A number: wait for a hint, at most so many seconds.
_Steps = Generator[float | None, Any, Document | None]


class _Waiting:
    """One expectation: the protocol and its accounting."""

    def __init__(self, wanted: Wanted, mongo: Mongo, watch: SinkWatch, audit: Audit) -> None:
        self._wanted = wanted
        self._mongo = mongo
        self._watch = watch
        self._audit = audit
        self._arrival = Arrival()
        self._entered_ns = 0
        self._read_s = 0.0  # what the next read may take

    def _enter(self, wake: Callable[[], None]) -> Arrival:
        self._subscription = self._watch.watching(self._wanted.collection, self._wanted.key, wake)
        self._subscription.__enter__()
        self._entered_ns = time.perf_counter_ns()
        return self._arrival

    def _unsubscribe(self) -> None:
        self._subscription.__exit__(None, None, None)

    def _block_failed(self) -> None:
        self._judge(False)

    def _judge(self, seen: bool) -> None:
        CDC_SUCCESS_RATE.add(seen)
        CDC_REPLICATION_SUCCESS.add(seen)
        check(f"{self._wanted.operation} in {self._wanted.collection} seen in the sink", seen)

    def _steps(self, forget_hints: Callable[[], None]) -> _Steps:
        left_ns = time.perf_counter_ns()
        self._read_s = max(self._wanted.timeout_s, _LEAST_READING_S)
        self._audit.owe(self._wanted)
        document: Document | None = None
        while True:
            forget_hints()  # before the read: a change during it wakes the wait that follows
            read_ns = time.perf_counter_ns()
            answer = yield None
            self._arrival.reads += 1
            now_ns = time.perf_counter_ns()
            broken = answer if isinstance(answer, ReadError) else None
            if broken is None:
                document = answer
                if self._wanted.fits(document):
                    self._arrival.confirm_ms = (now_ns - read_ns) * 1e-6
                    self._settle(left_ns, now_ns, seen=True)
                    self._arrival.document = document
                    return document
            self._give_up_where_it_cannot_arrive(left_ns, now_ns)
            left_s = self._wanted.timeout_s - (now_ns - left_ns) * 1e-9
            if left_s <= 0:
                self._settle(left_ns, now_ns, seen=False)
                raise broken or ExpectationError(self._timed_out(now_ns - left_ns, document))
            yield min(left_s, _RETRY_S if broken is not None else _READ_AGAIN_S)
            left_s = self._wanted.timeout_s - (time.perf_counter_ns() - left_ns) * 1e-9
            hopeless = self._watch.fault_of(self._wanted.collection) is not None
            self._read_s = _LEAST_READING_S if hopeless else max(left_s, _LEAST_READING_S)

    def _give_up_where_it_cannot_arrive(self, left_ns: int, now_ns: int) -> None:
        fault = self._watch.fault_of(self._wanted.collection)
        if fault is not None:
            self._settle(left_ns, now_ns, seen=False)
            raise ExpectationError(f"{self._wanted}: it cannot arrive: {fault}")

    def _settle(self, left_ns: int, now_ns: int, *, seen: bool) -> None:
        self._arrival.e2e_ms = (now_ns - self._entered_ns) * 1e-6
        self._arrival.propagation_ms = (now_ns - left_ns) * 1e-6
        CDC_E2E_LATENCY.add(self._arrival.e2e_ms)
        CDC_PROPAGATION.add(self._arrival.propagation_ms)
        self._judge(seen)
        self._arrival.seen = seen
        if seen:
            self._audit.seen(self._wanted)
            OPERATIONS[self._wanted.operation].add(1)

    def _timed_out(self, waited_ns: int, document: Document | None) -> str:
        waited = format_duration(waited_ns * 1e-9)
        return f"{self._wanted}: not seen as expected within {waited}: {self._wanted.explain(document)}"


class _Expectation(_Waiting):
    def __enter__(self) -> Arrival:
        refuse_blocking("cdc.expect()", "async with cdc.aio.expect(...)")
        self._hint = threading.Event()
        self._cut = False
        return self._enter(self._hint.set)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        vu = current_vu()
        if vu is not None:
            vu.own.keep(self, self, close=lambda _: None, cancel=_Expectation._cut_short)
        try:
            if kind is not None:
                self._block_failed()
                return
            steps = self._steps(self._hint.clear)
            step = next(steps)
            while True:
                if step is None:
                    answer = self._read()
                    self._go_on()
                    step = steps.send(answer)
                else:
                    self._hint.wait(step)
                    self._go_on()
                    step = next(steps)
        except StopIteration:
            return
        finally:
            if vu is not None:
                vu.own.drop(self)
            self._unsubscribe()

    def _go_on(self) -> None:
        if self._cut:
            raise ExpectationError(f"{self._wanted}: the run ended before it was seen")

    def _cut_short(self) -> None:
        self._cut = True
        self._hint.set()

    def _read(self) -> Document | ReadError | None:
        try:
            return self._mongo.find_one(self._wanted.collection, self._wanted.key, timeout=self._read_s)
        except ReadError as error:
            return error


class _AsyncExpectation(_Waiting):
    async def __aenter__(self) -> Arrival:
        import asyncio  # noqa: PLC0415  # only async bodies need it

        loop = asyncio.get_running_loop()
        self._hint = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the run is over and its loop is closed
                loop.call_soon_threadsafe(self._hint.set)

        return self._enter(wake)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        try:
            if kind is not None:
                self._block_failed()
                return
            steps = self._steps(self._hint.clear)
            step = next(steps)
            while True:
                if step is None:
                    step = steps.send(await self._read())
                else:
                    await _wait(self._hint, step)
                    step = next(steps)
        except StopIteration:
            return
        finally:
            self._unsubscribe()

    async def _read(self) -> Document | ReadError | None:
        try:
            return await self._mongo.aio.find_one(self._wanted.collection, self._wanted.key, timeout=self._read_s)
        except ReadError as error:
            return error


async def _wait(hint: asyncio.Event, seconds: float) -> None:
    import asyncio  # noqa: PLC0415

    try:
        async with asyncio.timeout(seconds):
            await hint.wait()
    except TimeoutError:
        return


def _wanted(
    collection: str, key: object, fields: Mapping[str, Any], gone: bool, operation: str, timeout: str
) -> Wanted:
    if operation not in OPERATIONS:
        raise ConfigError(f"cdc.expect: operation={operation!r}; allowed: {', '.join(OPERATIONS)}")
    return Wanted(collection, key_text(key), fields, gone, operation, duration_s(timeout))


def _short(document: Document) -> str:
    text = repr(document)
    return text if len(text) <= 200 else f"{text[:200]}..."

"""The fixture ``cdc``: waits until the sink shows what was written in a block."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, TypeVar

from pytest_cdcperf.cdc.arrival import OPERATIONS, Arrival, AsyncArrivalBlock, SyncArrivalBlock
from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expectation import Expectation
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.time_limit import Timeout, seconds_of
from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.identity.keys import key_text

DEFAULT_TIMEOUT = "10s"
_FIELD_NEEDED = {
    "update": "add a field that the update changes, such as status='active'",
    "delete": "use cdc.expect_gone(), or add the field that marks a row as deleted, such as deleted=True",
}

Block = TypeVar("Block")


class _Expectations(Generic[Block]):
    """The methods of both clients, which differ in the kind of block."""

    def __init__(self, mongo: Mongo, watch: SinkWatch, audit: Audit, clock: Clock) -> None:
        self._mongo = mongo
        self._watch = watch
        self._clock = clock
        self.audit = audit

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: arrivals in {self._mongo!r}>"

    def expect(
        self,
        collection: str,
        key: object,
        fields: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = DEFAULT_TIMEOUT,
        operation: str = "create",
        **more_fields: Any,
    ) -> Block:
        """Write inside the block; on leaving it, wait until the write has arrived in document *key*.

        It has once the document shows all the fields given and was changed since the block was entered: what was
        there before is not an arrival::

            def test_customer_is_activated(pg, cdc):
                with cdc.expect("customers", 8, status="active", operation="update"):
                    pg.update("customers", {"status": "active"}, where={"id": 8})

        :param key: the value of the key's column as it was written; a tuple for a key of several, in their order
        :param fields: the values that were written, of the types that were written
        :param timeout: how long to wait: a number of seconds, or a text such as "500ms"
        :param operation: "create", "update" or "delete": which counter a success goes to. The last two need a field:
            one that the update changes, or that marks a row as deleted
        :raises ConfigError: for an expectation that no change could be recognised by
        :raises ExpectationError: on leaving, when the sink did not show the change within *timeout*
        """
        named = {**(fields or {}), **more_fields}
        if operation not in OPERATIONS:
            raise ConfigError(f"cdc.expect: operation={operation!r}; allowed: {', '.join(OPERATIONS)}")
        if operation != "create" and not named:
            raise ConfigError(
                f"cdc.expect({collection!r}, ..., operation={operation!r}) names no field, so the change could not be "
                f"distinguished from the state before; {_FIELD_NEEDED[operation]}"
            )
        return self._block(
            Expectation(
                collection, key_text(key), named, False, operation, seconds_of("cdc.expect", timeout, above_zero=False)
            )
        )

    def expect_gone(self, collection: str, key: object, *, timeout: Timeout = DEFAULT_TIMEOUT) -> Block:
        """Delete inside the block; on leaving it, wait until document *key* is gone.

        What is deleted must be there before::

            def test_customer_goes(pg, cdc):
                with cdc.expect_gone("customers", 9):
                    pg.delete("customers", where={"id": 9})

        :raises ExpectationError: on entering, when the sink has no such document that could go; on leaving, when it
            still had it after *timeout*
        """
        return self._block(
            Expectation(
                collection, key_text(key), {}, True, "delete", seconds_of("cdc.expect_gone", timeout, above_zero=False)
            )
        )

    def _block(self, expected: Expectation) -> Block:
        raise NotImplementedError


class Cdc(_Expectations[AbstractContextManager[Arrival]]):
    """The fixture ``cdc``: waits for what a block writes, and measures how long it takes to arrive.

    Its block is the write::

        @perf(vus=10, duration="1m", thresholds={"cdc_e2e_latency": "p(95)<5s"})
        def test_order_arrives(pg, cdc, vu):
            order = f"cdc-{vu.id}-{vu.iteration}"
            with cdc.expect("orders", order, status="new"):
                pg.insert("orders", {"id": order, "status": "new"})
    """

    def __init__(self, mongo: Mongo, watch: SinkWatch, *, clock: Clock | None = None) -> None:
        super().__init__(mongo, watch, Audit(mongo), clock or MonotonicClock())
        self.aio = AsyncCdc(mongo, watch, self.audit, self._clock)

    def begin_run(self) -> None:
        """Begin another run: nothing is left of the one before."""
        self.audit.begin_run()
        self._watch.begin_run()

    def notes(self) -> list[str]:
        """Say what has to be known of the latencies of this run."""
        return [*self._watch.notes(), *self.audit.notes()]

    def _block(self, expected: Expectation) -> SyncArrivalBlock:
        return SyncArrivalBlock(expected, self._mongo, self._watch, self.audit, self._clock)


class AsyncCdc(_Expectations[AbstractAsyncContextManager[Arrival]]):
    """The async client, for ``async def`` bodies.

    As the sync one, with await::

        @perf(vus=10, duration="1m")
        async def test_order_arrives(pg, cdc, vu):
            order = f"cdc-aio-{vu.id}-{vu.iteration}"
            async with cdc.aio.expect("orders", order, status="new"):
                await pg.aio.insert("orders", {"id": order, "status": "new"})
    """

    def _block(self, expected: Expectation) -> AsyncArrivalBlock:
        return AsyncArrivalBlock(expected, self._mongo, self._watch, self.audit, self._clock)

"""The fixture ``cdc``: wait until the sink shows what was written in a block."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from pytest_cdcperf.cdc.audit import Audit
from pytest_cdcperf.cdc.expectation import OPERATIONS, Arrival, AsyncExpectation, Expectation
from pytest_cdcperf.cdc.wanted import Wanted
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.identity.keys import key_text
from pytest_cdcperf.units import duration_s

DEFAULT_TIMEOUT = "10s"
_FIELD_NEEDED = {
    "update": "add a field that the update changes, such as status='active'",
    "delete": "use cdc.expect_gone(), or add the field that marks a row as deleted, such as deleted=True",
}


class Cdc:
    """The fixture ``cdc``."""

    def __init__(self, mongo: Mongo, watch: SinkWatch) -> None:
        self._mongo = mongo
        self._watch = watch
        self.audit = Audit(mongo)
        self.aio = AsyncCdc(mongo, watch, self.audit)

    def begin(self) -> None:
        """Another run begins: nothing is left of the one before."""
        self.audit.begin()
        self._watch.begin()

    def notes(self) -> list[str]:
        """Say what has to be known of the latencies of this run."""
        return [*self._watch.notes(), *self.audit.notes()]

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
        """Write inside the block; on leaving it, wait until the write has arrived in document *key*.

        It has once the document shows all the fields given and was changed since the block was entered: what was
        there before is no arrival.

        :param key: the value of the key's column as it was written; a tuple for a key of several, in their order
        :param fields: the values that were written, of the types that were written
        :param operation: "create", "update" or "delete": which counter a success goes to. The last two need a field:
            one that the update changes, or that marks a row as deleted
        :raises ConfigError: for what no change could be told by
        :raises ExpectationError: on leaving, when the sink did not show the change within *timeout*
        """
        wanted = _wanted(collection, key, {**(fields or {}), **more_fields}, False, operation, timeout)
        return Expectation(wanted, self._mongo, self._watch, self.audit)

    def expect_gone(
        self, collection: str, key: object, *, timeout: str = DEFAULT_TIMEOUT
    ) -> AbstractContextManager[Arrival]:
        """Delete inside the block; on leaving it, wait until document *key* is gone.

        :raises ExpectationError: on entering, when the sink has no such document that could go; on leaving, when it
            still had it after *timeout*
        """
        wanted = _wanted(collection, key, {}, True, "delete", timeout)
        return Expectation(wanted, self._mongo, self._watch, self.audit)


class AsyncCdc:
    """The async client: ``async with cdc.aio.expect(...)``."""

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
    ) -> AsyncExpectation:
        """As :meth:`Cdc.expect`."""
        wanted = _wanted(collection, key, {**(fields or {}), **more_fields}, False, operation, timeout)
        return AsyncExpectation(wanted, self._mongo, self._watch, self._audit)

    def expect_gone(self, collection: str, key: object, *, timeout: str = DEFAULT_TIMEOUT) -> AsyncExpectation:
        """As :meth:`Cdc.expect_gone`."""
        wanted = _wanted(collection, key, {}, True, "delete", timeout)
        return AsyncExpectation(wanted, self._mongo, self._watch, self._audit)


def _wanted(
    collection: str, key: object, fields: Mapping[str, Any], gone: bool, operation: str, timeout: str
) -> Wanted:
    if operation not in OPERATIONS:
        raise ConfigError(f"cdc.expect: operation={operation!r}; allowed: {', '.join(OPERATIONS)}")
    if operation != "create" and not fields and not gone:
        remedy = _FIELD_NEEDED[operation]
        raise ConfigError(
            f"cdc.expect({collection!r}, ..., operation={operation!r}) names no field, so the change could not be told "
            f"from the state before; {remedy}"
        )
    return Wanted(collection, key_text(key), fields, gone, operation, duration_s(timeout))

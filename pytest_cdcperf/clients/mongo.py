"""MongoDB through pymongo: ``mongo`` for ``def`` bodies, ``mongo.aio`` for ``async def`` ones.

A read is one read: ``mongo_read_duration`` holds no waiting for replication, and it is tried once.

A call takes at most 60 s beside 4 s for connecting, or its *timeout*: seconds, or a duration such as "5m". Options of
the URI, such as ``socketTimeoutMS``, ``timeoutMS`` and ``retryReads``, go before the client's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol, TypeVar

import pymongo
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidName, InvalidURI, PyMongoError
from pymongo.synchronous.pool import Pool

from pytest_cdcperf.clients.mongo_changes import Change, Document, open_changes, place_now, place_now_async
from pytest_cdcperf.clients.per_vu import async_vu, sync_vu
from pytest_cdcperf.clients.recording import CallRecorder, RecordedCall
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S, DEFAULT_TIMEOUT_S, Timeout, seconds_of
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ConfigError, UnreachableError
from pytest_cdcperf.metrics.groups import MONGO
from pytest_cdcperf.metrics.metric import Counter, Trend
from pytest_cdcperf.redaction import redact
from pytest_cdcperf.servers import MongoAddress

MONGO_READ_DURATION = Trend("mongo_read_duration", unit="ms", group=MONGO)
MONGO_READ_ERRORS = Counter("mongo_read_errors", group=MONGO)
MONGO_DOCUMENTS_FOUND = Counter("mongo_documents_found", group=MONGO)
MONGO_DOCUMENTS_NOT_FOUND = Counter("mongo_documents_not_found", group=MONGO)

ReadError = PyMongoError
CONNECT_TIMEOUT_MS = CONNECT_TIMEOUT_S * 1000
_CLOSE_S = 0.5


Collection_co = TypeVar("Collection_co", covariant=True)


class _Collections(Protocol[Collection_co]):
    """The database of the sync or the async driver."""

    def __getitem__(self, name: str) -> Collection_co:
        """Return a collection."""


@lru_cache(maxsize=256)
def _reads_of(collection: str, op: str) -> CallRecorder:
    return CallRecorder(MONGO_READ_DURATION, MONGO_READ_ERRORS, (("collection", collection), ("op", op)))


def _measured(collection: str, op: str) -> RecordedCall:
    return _reads_of(collection, op).call(_timed_out)


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, PyMongoError) and error.timeout


def _count_found(document: Document | None) -> Document | None:
    (MONGO_DOCUMENTS_NOT_FOUND if document is None else MONGO_DOCUMENTS_FOUND).add(1)
    return document


def _filter(query: object) -> Mapping[str, Any]:
    return query if isinstance(query, Mapping) else {"_id": query}


def _counted(query: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if query is None:
        return {}
    if not isinstance(query, Mapping):
        raise ConfigError(f"mongo.count: the filter is of type {type(query).__name__}; allowed: a mapping, or none")
    return query


def _collection(database: _Collections[Collection_co], name: str) -> Collection_co:
    try:
        return database[name]
    except (TypeError, InvalidName) as error:
        raise ConfigError(
            f"mongo: {name!r:.60} is not a valid name of a collection: {error}; allowed: text, such as 'orders'"
        ) from None


def _options(uri: str) -> dict[str, Any]:
    options = {
        "serverSelectionTimeoutMS": CONNECT_TIMEOUT_MS,
        "connectTimeoutMS": CONNECT_TIMEOUT_MS,
        "socketTimeoutMS": round(DEFAULT_TIMEOUT_S * 1000),
        "retryReads": False,  # a call is one attempt, and one that was cut waits for no other server
        "maxPoolSize": 0,  # a wait for a connection of ours would count as a slow read of theirs
        "tz_aware": True,
        "appname": "pytest-cdcperf",
    }
    said = uri.lower()
    return {name: value for name, value in options.items() if f"{name.lower()}=" not in said}


class _Checkout:
    """A VU's use of a connection, during which it can be cut."""

    __slots__ = ("_inner", "_vu")

    def __init__(self, inner: Any, vu: VU) -> None:
        self._inner = inner
        self._vu = vu

    def __enter__(self) -> Any:
        connection = self._inner.__enter__()
        self._vu.own.keep(self, connection, close=_leave, cancel=_cut)
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._vu.own.drop(self)
        self._inner.__exit__(kind, error, traceback)


class _Pool(Pool):
    """pymongo's pool, which knows which VU uses which connection: pymongo itself can cut those of all VUs only."""

    def checkout(self, *args: Any, **more: Any) -> Any:
        """Lend a connection, one to a VU so that it can be cut."""
        inner, vu = super().checkout(*args, **more), current_vu()
        return inner if vu is None else _Checkout(inner, vu)


def _leave(_connection: object) -> None:
    """Do nothing: the connection is the pool's."""


def _cut(connection: Any) -> None:
    connection.cancel_context.cancel()  # as pymongo does: the reading thread notices within half a second


def _within(call: str, timeout: Timeout | None) -> AbstractContextManager[None]:
    return nullcontext() if timeout is None else pymongo.timeout(seconds_of(call, timeout))


class Mongo:
    """The fixture ``mongo``: the sync client of MongoDB, whose reads are measured.

    One client serves all VUs; it is thread-safe and has its own pool::

        def test_customer(mongo):
            assert mongo.find_one("customers", "7")["status"] == "active"
            assert mongo.count("customers", {"status": "active"}, timeout="5s") > 0
    """

    def __init__(self, address: MongoAddress) -> None:
        self.address = address
        self.aio = AsyncMongo(address)
        try:
            self._client: MongoClient[Document] = MongoClient(
                address.uri, connect=False, _pool_class=_Pool, **_options(address.uri)
            )
        except (InvalidURI, ConfigurationError, ValueError, OSError) as error:  # OSError: a file of certificates
            raise ConfigError(f"MONGODB_URI {address}: {redact(str(error))}") from None

    def __repr__(self) -> str:
        return f"<Mongo {self.address}, database {self.address.database}>"

    @property
    def database(self) -> Database[Document]:
        """The raw pymongo database of the address. What is done with it is not measured."""
        sync_vu("mongo", "mongo.aio.find_one(...) and the like")
        return self._client[self.address.database]

    def ping(self) -> str:
        """Return the server's version.

        :raises UnreachableError: in one line with the address and the driver's words
        """
        try:
            self.database.command("ping")
            return str(self._client.server_info().get("version", "of unknown version"))
        except PyMongoError as error:
            words = redact(str(error).partition(", Timeout:")[0])
            raise UnreachableError(f"MongoDB at {self.address} cannot be used: {words}") from None

    def find_one(self, collection: str, query: object, *, timeout: Timeout | None = None) -> Document | None:
        """Return the one document that *query*, an ``_id`` or a filter, finds in *collection*, or None.

        :param timeout: a number of seconds, or a text such as "500ms"
        """
        __tracebackhide__ = True
        target = _collection(self.database, collection)
        with _within("mongo.find_one", timeout), _measured(collection, "find"):
            document = target.find_one(_filter(query))
        return _count_found(document)

    def count(self, collection: str, query: Mapping[str, Any] | None = None, *, timeout: Timeout | None = None) -> int:
        """Return how many documents of *collection* fit *query*."""
        __tracebackhide__ = True
        target, wanted = _collection(self.database, collection), _counted(query)
        with _within("mongo.count", timeout), _measured(collection, "count"):
            return target.count_documents(wanted)

    def find_many_unmeasured(
        self, collection: str, keys: Sequence[str], *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Document]:
        """Return the documents of *keys* by ``_id``, without measuring it."""
        with pymongo.timeout(timeout_s):
            found = self._client[self.address.database][collection].find({"_id": {"$in": list(keys)}})
            return {str(document["_id"]): document for document in found}

    def find_all_unmeasured(self, collection: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> list[Document]:
        """Return the documents of a small *collection*, without measuring it."""
        with pymongo.timeout(timeout_s):
            return list(self._client[self.address.database][collection].find())

    def find_unmeasured(self, collection: str, key: object, *, timeout_s: float) -> Document | None:
        """Return the document whose ``_id`` is *key*, without measuring it."""
        with pymongo.timeout(timeout_s):
            return self._client[self.address.database][collection].find_one({"_id": key})

    def changes(self, collection: str) -> AbstractContextManager[Iterator[Change | None]]:
        """Open a change stream of *collection*; see :func:`open_changes`."""
        return open_changes(self._client[self.address.database][collection])

    def place_now(self, collection: str, *, timeout_s: float) -> str:
        """Return the place in the change stream of *collection* that all changes up to now are at or before."""
        with pymongo.timeout(timeout_s):
            return place_now(self._client[self.address.database][collection])

    def close(self) -> None:
        """Close the client."""
        with pymongo.timeout(_CLOSE_S):  # the driver ends its sessions on the server
            self._client.close()


async def _close_async(client: AsyncMongoClient[Document]) -> None:
    with pymongo.timeout(_CLOSE_S):
        await client.close()


class AsyncMongo:
    """``mongo.aio``: the async client. Its driver lives on the loop of the run.

    As the sync one, with await::

        @perf(vus=10, duration="1m")
        async def test_customer(mongo):
            assert (await mongo.aio.find_one("customers", "7"))["status"] == "active"
    """

    def __init__(self, address: MongoAddress) -> None:
        self._address = address

    def __repr__(self) -> str:
        return f"<AsyncMongo {self._address}, database {self._address.database}>"

    @property
    def database(self) -> AsyncDatabase[Document]:
        """The raw pymongo database of the address. What is done with it is not measured."""
        client = async_vu("mongo").shared.get_or_open(self, self._open, close=_close_async)
        return client[self._address.database]

    def _open(self) -> AsyncMongoClient[Document]:
        return AsyncMongoClient(self._address.uri, **_options(self._address.uri))

    async def find_one(
        self,
        collection: str,
        query: object,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # the driver's, which it sends to the server
    ) -> Document | None:
        """As :meth:`Mongo.find_one`."""
        __tracebackhide__ = True
        target = _collection(self.database, collection)
        with _within("mongo.find_one", timeout), _measured(collection, "find"):
            document = await target.find_one(_filter(query))
        return _count_found(document)

    async def count(
        self,
        collection: str,
        query: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # as above
    ) -> int:
        """As :meth:`Mongo.count`."""
        __tracebackhide__ = True
        target, wanted = _collection(self.database, collection), _counted(query)
        with _within("mongo.count", timeout), _measured(collection, "count"):
            return await target.count_documents(wanted)

    async def place_now(self, collection: str, *, timeout_s: float) -> str:
        """As :meth:`Mongo.place_now`."""
        with pymongo.timeout(timeout_s):
            return await place_now_async(_collection(self.database, collection))

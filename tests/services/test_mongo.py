"""The MongoDB client against the MongoDB-wire server, sync and async."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from pymongo.errors import PyMongoError

from pytest_cdcperf.clients import mongo as module
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.errors import BlockingCallError, ConfigError, UnreachableError
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.servers import SINK_DATABASE, MongoAddress
from tests.services.conftest import PASSWORD
from tests.services.harness import User, refused_port, run_body


@pytest.fixture
def books(sink_client: Mongo) -> Iterator[str]:
    """A collection for one test, which holds three documents."""
    name = f"books_{uuid.uuid4().hex[:8]}"
    collection = sink_client.database[name]
    collection.insert_many([{"_id": str(n), "title": f"book {n}", "read": n > 1} for n in (1, 2, 3)])
    yield name
    collection.drop()


class TestReads:
    def test_find_one_by_id(self, user: User, sink_client: Mongo, books: str) -> None:
        found = user.call(sink_client, "find_one", books, "2")
        assert found == {"_id": "2", "title": "book 2", "read": True}
        assert user.call(sink_client, "find_one", books, "9") is None

    def test_find_one_by_filter(self, user: User, sink_client: Mongo, books: str) -> None:
        assert user.call(sink_client, "find_one", books, {"title": "book 3"})["_id"] == "3"
        assert user.call(sink_client, "find_one", books, {"title": "book 3", "read": False}) is None

    def test_an_id_is_never_read_as_a_filter(self, user: User, sink_client: Mongo, books: str) -> None:
        for key in ('{"$ne": null}', "$ne", ""):
            assert user.call(sink_client, "find_one", books, key) is None

    def test_count_of_all_and_of_those_that_fit(self, user: User, sink_client: Mongo, books: str) -> None:
        assert user.call(sink_client, "count", books) == 3
        assert user.call(sink_client, "count", books, {"read": True}) == 2
        assert user.call(sink_client, "count", "no_such_collection") == 0

    def test_the_raw_database_is_the_one_of_the_address(self, sink_client: Mongo, books: str) -> None:
        assert sink_client.database.name == SINK_DATABASE
        other = Mongo(MongoAddress(sink_client.address.uri.replace(SINK_DATABASE, "elsewhere")))
        assert other.database.name == "elsewhere"
        assert other.count(books) == 0
        other.close()


class TestMetrics:
    def test_each_read_is_one_sample_of_its_collection(self, user: User, sink_client: Mongo, books: str) -> None:
        user.call(sink_client, "find_one", books, "1")
        user.call(sink_client, "find_one", books, "9")
        user.call(sink_client, "find_one", books, {"read": True})
        user.call(sink_client, "count", books)
        measured = user.measured
        assert measured.count("mongo_read_duration", collection=books, op="find") == 3
        assert measured.count("mongo_read_duration", collection=books, op="count") == 1
        assert measured.count("mongo_read_duration") == 4
        assert measured.of("mongo_read_duration").min > 0
        assert measured.count("mongo_documents_found") == 2
        assert measured.count("mongo_documents_not_found") == 1
        assert measured.count("mongo_read_errors") == 0

    def test_a_failed_read_is_timed_and_counted_and_has_found_nothing(
        self, user: User, sink_client: Mongo, books: str
    ) -> None:
        for method in ("find_one", "count"):
            with pytest.raises(PyMongoError):
                user.call(sink_client, method, books, {"read": {"$noSuchOperator": 1}})
        assert user.measured.count("mongo_read_duration", collection=books, ok="false") == 2
        assert user.measured.count("mongo_read_duration") == 0
        assert user.measured.count("mongo_read_errors", collection=books, error="OperationFailure") == 2
        assert user.measured.count("mongo_documents_found") == 0
        assert user.measured.count("mongo_documents_not_found") == 0

    def test_reads_of_a_server_that_is_not_there_are_errors(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CONNECT_TIMEOUT_MS", 100)
        nobody = Mongo(MongoAddress(f"mongodb://127.0.0.1:{refused_port()}"))
        with pytest.raises(PyMongoError):
            user.call(nobody, "find_one", "books", "1")
        assert user.measured.count("mongo_read_errors", collection="books") == 1
        assert user.measured.count("mongo_read_duration", collection="books") == 1
        nobody.close()

    def test_what_the_watching_reads_is_not_measured(
        self, sink_client: Mongo, books: str, users: Callable[..., User]
    ) -> None:
        user = users("def")
        found = user.call(sink_client, "find_many_unmeasured", books, ["1", "3", "9"])
        assert {key: document["title"] for key, document in found.items()} == {"1": "book 1", "3": "book 3"}
        assert user.measured.count("mongo_read_duration") == 0


class TestPing:
    def test_it_returns_the_version(self, sink_client: Mongo) -> None:
        assert sink_client.ping() == sink_client.database.client.server_info().get("version", "of unknown version")

    def test_a_refused_port_is_said_in_one_line_without_the_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CONNECT_TIMEOUT_MS", 100)
        port = refused_port()
        client = Mongo(MongoAddress(f"mongodb://reader:{PASSWORD}@127.0.0.1:{port}/sink?authSource=admin"))
        with pytest.raises(UnreachableError) as caught:
            client.ping()
        client.close()
        message = str(caught.value)
        assert message.startswith(
            f"MongoDB at mongodb://reader:***@127.0.0.1:{port}/sink?authSource=admin cannot be used: "
        )
        assert "Connection refused" in message
        assert "\n" not in message
        assert PASSWORD not in message

    @pytest.mark.parametrize(
        "uri", ["mongodb://u:{}@", "mongodb://u:{}@host:port/", "mongodb://u:{}@a,b/?directConnection=true"]
    )
    def test_an_address_that_cannot_be_read_is_refused_without_its_password(self, uri: str) -> None:
        with pytest.raises(ConfigError, match=r"^MONGODB_URI mongodb://") as caught:
            Mongo(MongoAddress(uri.format(PASSWORD)))
        assert PASSWORD not in str(caught.value)


class TestSyncAndAsync:
    def test_the_sync_client_is_refused_in_an_async_body(self, sink_client: Mongo) -> None:
        async def body() -> None:
            sink_client.count("books")

        outcome, _ = run_body(PerVUIterations(), body)
        (kind,) = outcome.failures
        assert kind.type == BlockingCallError.__name__
        assert "await mongo.aio." in kind.sample

    def test_the_async_client_is_refused_outside_an_async_body(self, sink_client: Mongo) -> None:
        with pytest.raises(BlockingCallError, match="async perf test only"):
            sink_client.aio.count("books").send(None)

    def test_many_async_users_share_one_client_that_is_closed_with_the_run(
        self, sink_client: Mongo, books: str
    ) -> None:
        clients = []

        async def body() -> None:
            assert await sink_client.aio.count(books) == 3
            clients.append(sink_client.aio.database.client)

        outcome, total = run_body(PerVUIterations(vus=10, iterations=2), body)
        assert outcome.failures == []
        assert total.select("mongo_read_duration").count == 20
        assert len(set(map(id, clients))) == 1
        assert clients[0]._closed

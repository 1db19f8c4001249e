"""The embedded stack with its real servers: what arrives in the sink, and how they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymongo
import pytest
from psycopg import sql
from pymongo.change_stream import ChangeStream
from pymongo.collection import Collection
from pymongo.database import Database

from pytest_cdcperf.embedded import user_namespace
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.servers import SET_ASIDE
from tests.services.harness import ROOT, connect, gone, until

Document = dict[str, Any]

SCHEMA = """
CREATE TABLE customer (
    id uuid PRIMARY KEY,
    email text,
    balance numeric(12,2),
    joined timestamptz,
    born date,
    visits int,
    active boolean,
    biography text,
    tags text[],
    numbers int[],
    photo bytea,
    settings jsonb,
    stay interval
);
CREATE TABLE line (order_id int, position int, article text, PRIMARY KEY (order_id, position));
CREATE TABLE visit (id int PRIMARY KEY, page text);
INSERT INTO visit VALUES (0, 'there before Debezium');
CREATE TABLE event (id text, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE "event, 2026.11" PARTITION OF event FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
INSERT INTO event VALUES ('before', '2026-11-02');
CREATE TABLE badge (code text NOT NULL UNIQUE, holder text);
CREATE SCHEMA audit;
CREATE TABLE audit.log (n int);
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    config = StackConfig(tmp_path_factory.mktemp("logs"), SCHEMA, {"customer": "customers"})
    with EmbeddedStack.start(config) as running:
        yield running


@pytest.fixture
def pg(stack: EmbeddedStack) -> Iterator[psycopg.Connection]:
    with connect(stack) as connection:
        yield connection


@pytest.fixture
def sink(stack: EmbeddedStack) -> Iterator[Database[Document]]:
    with client(stack) as mongo:
        yield mongo.get_default_database()


def client(stack: EmbeddedStack) -> pymongo.MongoClient[Document]:
    return pymongo.MongoClient(stack.services.mongo.uri, maxPoolSize=200)


def arrives(collection: Collection[Document], key: str, **fields: object) -> Document | None:
    """Return the document *key* once it shows *fields*, the last one seen when it does not in time."""
    seen: list[Document | None] = [None]

    def shown() -> bool:
        seen[0] = document = collection.find_one({"_id": key})
        return document is not None and fields.items() <= document.items()

    return seen[0] if until(shown) else None


def take(changes: ChangeStream[Document], count: int) -> list[Document]:
    """Return the next *count* changes, fewer when they do not come."""
    seen: list[Document] = []

    def enough() -> bool:
        if (change := changes.try_next()) is not None:
            seen.append(change)
        return len(seen) == count

    until(enough)
    return seen


class TestWhatArrives:
    def test_rows_that_were_there_before_debezium(self, sink: Database[Document]) -> None:
        assert arrives(sink["visit"], "0", page="there before Debezium")

    def test_every_kind_of_value_of_an_insert(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        key = uuid.uuid4()
        pg.execute(
            "INSERT INTO customer VALUES (%s, NULL, %s, '2026-02-03 04:05:06.789012+02', '1999-12-31',"
            " 7, true, 'Ünïcode ''quoted''', '{a,b}', '{1,2}', '\\x0001ff', '{\"a\": 1}', '1 day 2 hours')",
            (key, Decimal("1234567890.10")),
        )
        assert arrives(sink["customers"], str(key)) == {
            "_id": str(key),
            "id": str(key),
            "email": None,
            "balance": "1234567890.10",
            "joined": "2026-02-03T02:05:06.789012Z",
            "born": "1999-12-31Z",
            "visits": 7,
            "active": True,
            "biography": "Ünïcode 'quoted'",
            "tags": ["a", "b"],
            "numbers": [1, 2],
            "photo": "AAH/",
            "settings": '{"a": 1}',
            "stay": "P0Y0M1DT2H0M0S",
        }

    def test_an_update_and_a_delete(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        key = uuid.uuid4()
        pg.execute("INSERT INTO customer (id, email) VALUES (%s, 'old')", (key,))
        pg.execute("UPDATE customer SET email = 'new' WHERE id = %s", (key,))
        assert arrives(sink["customers"], str(key), email="new")
        pg.execute("DELETE FROM customer WHERE id = %s", (key,))
        assert until(lambda: sink["customers"].find_one({"_id": str(key)}) is None)

    def test_an_update_leaves_large_values_alone_that_it_does_not_touch(
        self, pg: psycopg.Connection, sink: Database[Document]
    ) -> None:
        key = uuid.uuid4()
        large = os.urandom(20_000).hex()  # random, so that compression does not make it small
        tags = [large[:10_000], large[10_000:]]
        numbers = list(range(20_000))
        photo = os.urandom(20_000)
        pg.execute("ALTER TABLE customer ALTER numbers SET STORAGE EXTERNAL")
        pg.execute(
            "INSERT INTO customer (id, visits, biography, tags, numbers, photo, settings)"
            " VALUES (%s, 1, %s, %s, %s, %s, %s)",
            (key, large, tags, numbers, photo, json.dumps({"large": large})),
        )
        before = arrives(sink["customers"], str(key))
        pg.execute("UPDATE customer SET visits = 2 WHERE id = %s", (key,))
        after = arrives(sink["customers"], str(key), visits=2)
        assert before is not None
        assert before["biography"] == large
        assert after == {**before, "visits": 2}

    def test_a_composite_key_is_joined_and_follows_its_update(
        self, pg: psycopg.Connection, sink: Database[Document]
    ) -> None:
        pg.execute("INSERT INTO line VALUES (1, 2, 'apple')")
        assert arrives(sink["line"], "1:2", article="apple", order_id=1)
        pg.execute("UPDATE line SET position = 3 WHERE order_id = 1")
        assert arrives(sink["line"], "1:3", article="apple")
        assert until(lambda: sink["line"].find_one({"_id": "1:2"}) is None)

    def test_truncate_empties_the_collection(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        pg.execute("INSERT INTO visit SELECT n, 'page' FROM generate_series(1, 50) n")
        assert until(lambda: sink["visit"].count_documents({}) == 51)
        pg.execute("TRUNCATE visit")
        assert until(lambda: sink["visit"].count_documents({}) == 0)

    def test_a_large_transaction_and_rows_of_ten_megabytes(
        self, pg: psycopg.Connection, sink: Database[Document]
    ) -> None:
        pg.execute("CREATE TABLE bulk (id int PRIMARY KEY, v text)")
        pg.execute("INSERT INTO bulk SELECT n, repeat(md5(n::text), 32) FROM generate_series(1, 15000) n")
        pg.execute("INSERT INTO bulk SELECT -n, repeat('x', 10000000) FROM generate_series(1, 3) n")
        assert until(lambda: sink["bulk"].count_documents({}) == 15_003, timeout_s=90)
        found = sink["bulk"].find_one({"_id": "-3"})
        assert found is not None
        assert len(found["v"]) == 10_000_000

    def test_a_table_created_after_the_start(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        pg.execute("CREATE TABLE latecomer (id text PRIMARY KEY, n int)")
        pg.execute("INSERT INTO latecomer VALUES ('a', 1)")
        assert arrives(sink["latecomer"], "a", n=1)

    @pytest.mark.parametrize(
        "name", ["order", "Order", "my-table", "häuser", "a b", "2fast", "a.b", "a'b", 'a"b', "x_files", "select"]
    )
    def test_a_table_of_any_name_with_columns_of_any_name(
        self, pg: psycopg.Connection, sink: Database[Document], name: str
    ) -> None:
        table = sql.Identifier(name)
        columns = 'id text PRIMARY KEY, "ä" int, "a.b" int, "a[0]" int, "a\'b" int, large text'
        pg.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(columns)))  # type: ignore[arg-type]
        pg.execute(sql.SQL("ALTER TABLE {} ALTER large SET STORAGE EXTERNAL").format(table))
        pg.execute(sql.SQL("INSERT INTO {} VALUES ('1', 1, 2, 3, 4, repeat('x', 9000))").format(table))
        pg.execute(sql.SQL('UPDATE {} SET "ä" = 5').format(table))
        document = {"_id": "1", "id": "1", "ä": 5, "a.b": 2, "a[0]": 3, "a'b": 4, "large": "x" * 9000}
        with sink[name].watch(max_await_time_ms=500) as changes:
            assert arrives(sink[name], "1", ä=5) == document
            pg.execute(sql.SQL("DELETE FROM {}").format(table))
            assert until(lambda: sink[name].find_one() is None)
            assert take(changes, 1)[0]["ns"]["coll"] == name
        assert name in sink.list_collection_names()

    def test_a_partitioned_table_arrives_by_its_root(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        assert arrives(sink["event"], "before:2026-11-02Z")
        pg.execute("CREATE TABLE event_12 PARTITION OF event FOR VALUES FROM ('2026-12-01') TO ('2027-01-01')")
        pg.execute("INSERT INTO event VALUES ('moved', '2026-11-03')")
        pg.execute("UPDATE event SET at = '2026-12-03' WHERE id = 'moved'")
        assert arrives(sink["event"], "moved:2026-12-03Z")
        pg.execute("DELETE FROM event WHERE id = 'before'")
        assert until(lambda: sink["event"].count_documents({}) == 1)
        assert not [name for name in sink.list_collection_names() if name.startswith("event") and name != "event"]

    def test_a_unique_index_is_a_key_where_there_is_no_primary_key(
        self, pg: psycopg.Connection, sink: Database[Document]
    ) -> None:
        pg.execute("INSERT INTO badge VALUES ('a', 'x'), ('b', 'y')")
        pg.execute("UPDATE badge SET holder = 'z' WHERE code = 'a'")
        assert arrives(sink["badge"], "a", holder="z")
        pg.execute("UPDATE badge SET code = 'c' WHERE code = 'a'")
        pg.execute("DELETE FROM badge WHERE code = 'b'")
        assert until(lambda: [document["_id"] for document in sink["badge"].find()] == ["c"])

    def test_tables_without_a_key_can_be_updated_also_where_they_are_not_captured(self, pg: psycopg.Connection) -> None:
        pg.execute("CREATE TABLE audit.later AS SELECT 1 AS n")
        for name in ("log", "later"):
            table = sql.Identifier("audit", name)
            pg.execute(sql.SQL("INSERT INTO {} VALUES (1)").format(table))
            pg.execute(sql.SQL("UPDATE {} SET n = 2").format(table))

    def test_a_table_that_cannot_be_carried_is_set_aside_and_the_others_go_on(
        self, stack: EmbeddedStack, pg: psycopg.Connection, sink: Database[Document]
    ) -> None:
        pg.execute("CREATE TABLE keyless (v text)")
        pg.execute("INSERT INTO keyless VALUES ('x')")
        pg.execute("INSERT INTO visit VALUES (1000, 'goes on')")
        assert arrives(sink["visit"], "1000", page="goes on")
        aside = sink[SET_ASIDE].find_one({"_id": "keyless"})
        assert aside is not None
        assert "no primary key" in aside["reason"]
        assert stack.dead_servers() == []

    def test_nothing_of_the_marker_is_left(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        assert "cdcperf_ready" not in sink.list_collection_names()
        assert pg.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'cdcperf'").fetchone() == (0,)


class TestTheServers:
    def test_postgres_has_the_connections_that_were_asked_for(self, pg: psycopg.Connection) -> None:
        assert pg.execute("SHOW max_connections").fetchone() == ("100",)
        assert pg.execute("SHOW synchronous_commit").fetchone() == ("on",)

    def test_the_versions_are_said(self, stack: EmbeddedStack) -> None:
        assert set(stack.versions) == {"PostgreSQL", "Debezium", "nx-27017 (MongoDB wire)"}
        assert stack.versions["PostgreSQL"].startswith("18.")
        assert stack.versions["Debezium"].startswith("3.6.")

    def test_plain_mongo_clients_see_no_errors(self, sink: Database[Document]) -> None:
        plain = sink["plain"]
        assert sink.command("ping")["ok"] == 1
        assert sink.client.admin.command("hello")["isWritablePrimary"]
        plain.insert_one({"_id": "a", "n": 1})
        plain.insert_many([{"_id": "b", "n": 2}, {"_id": "c", "n": 3}])
        plain.update_one({"_id": "a"}, {"$set": {"n": 10}, "$inc": {"hits": 1}})
        plain.replace_one({"_id": "d"}, {"_id": "d", "n": 4}, upsert=True)
        plain.update_one({"_id": "f"}, {"$set": {"n": 0}}, upsert=True)
        assert plain.delete_one({"_id": "f"}).deleted_count == 1
        result = plain.bulk_write(
            [
                pymongo.InsertOne({"_id": "e"}),
                pymongo.DeleteOne({"_id": "b"}),
                pymongo.DeleteOne({"_id": "x"}),
            ]
        )
        assert (result.inserted_count, result.deleted_count) == (1, 1)
        assert plain.count_documents({}) == 4
        assert plain.count_documents({"n": {"$gte": 4}}) == 2
        assert [found["_id"] for found in plain.find().sort("_id", 1)] == ["a", "c", "d", "e"]
        assert plain.find_one({"_id": "a"}) == {"_id": "a", "n": 10, "hits": 1}
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            plain.insert_one({"_id": "a"})
        assert "plain" in sink.list_collection_names()
        assert plain.delete_many({}).deleted_count == 4
        plain.insert_many([{"_id": str(n)} for n in range(1000)])
        assert len(list(plain.find(batch_size=100))) == 1000
        plain.drop()

    def test_ids_are_compared_by_type(self, sink: Database[Document]) -> None:
        ids = [5, "5", True, 2.5, "2026-01-02Z", -3, 10]
        with sink["typed"].watch(max_await_time_ms=500) as changes:
            sink["typed"].insert_many([{"_id": key} for key in ids])
            assert [change["documentKey"]["_id"] for change in take(changes, len(ids))] == ids
        for key in ids:
            found = sink["typed"].find_one({"_id": key})
            assert found == {"_id": key}
            assert type(found["_id"]) is type(key)
        assert sink["typed"].find_one({"_id": "10"}) is None
        assert [found["_id"] for found in sink["typed"].find({"_id": {"$lt": 6}}).sort("_id")] == [-3, 2.5, 5]
        assert [found["_id"] for found in sink["typed"].find({"_id": {"$gt": 5}})] == [10]
        assert [found["_id"] for found in sink["typed"].find({"_id": {"$in": ["5", -3]}})] == [-3, "5"]
        assert sink["typed"].replace_one({"_id": "new"}, {"_id": "new"}, upsert=True).upserted_id == "new"
        assert sink["typed"].find_one_and_update({"_id": "5"}, {"$set": {"n": 2}}) == {"_id": "5"}
        assert sink["typed"].delete_one({"_id": 5}).deleted_count == 1
        assert sink["typed"].find_one({"_id": "5"}) == {"_id": "5", "n": 2}
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            sink["typed"].insert_one({"_id": "5"})

    def test_a_watch_sees_changes_as_they_come(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        with sink["watched"].watch(full_document="updateLookup", max_await_time_ms=500) as changes:
            assert changes.try_next() is None
            pg.execute("CREATE TABLE watched (id int PRIMARY KEY, n int)")
            pg.execute("INSERT INTO watched VALUES (1, 1)")
            pg.execute("UPDATE watched SET n = 2")
            pg.execute("DELETE FROM watched")
            seen = take(changes, 3)
        assert [change["operationType"] for change in seen] == ["insert", "update", "delete"]
        assert [change["documentKey"] for change in seen] == [{"_id": "1"}] * 3
        assert [change["fullDocument"]["n"] for change in seen[:2]] == [1, 2]

    def test_an_idle_watch_waits_in_the_server(self, sink: Database[Document]) -> None:
        asked = 0
        with sink["idle"].watch(max_await_time_ms=500) as changes:
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert changes.try_next() is None
                asked += 1
        assert asked < 50  # a server that does not wait is asked a thousand times

    def test_a_watch_survives_the_loss_of_its_cursor(self, sink: Database[Document]) -> None:
        with sink["resumed"].watch(max_await_time_ms=200) as changes:
            sink["resumed"].insert_one({"_id": "1"})
            assert take(changes, 1)
            cursor = changes._cursor.cursor_id
            sink.command("killCursors", "resumed", cursors=[cursor])
            sink["resumed"].insert_one({"_id": "2"})
            assert [change["documentKey"] for change in take(changes, 1)] == [{"_id": "2"}]

    def test_a_hundred_and_fifty_threads_watch_and_read(self, pg: psycopg.Connection, sink: Database[Document]) -> None:
        pg.execute("CREATE TABLE crowd (id int PRIMARY KEY)")
        faults: list[BaseException] = []
        ready = threading.Barrier(151)

        def watch() -> None:
            with sink["crowd"].watch(max_await_time_ms=500) as changes:
                ready.wait(60)
                seen: set[str] = set()
                while len(seen) < 20:
                    if (change := changes.try_next()) is not None:
                        seen.add(change["documentKey"]["_id"])

        def read(key: str) -> None:
            ready.wait(60)
            assert arrives(sink["crowd"], key)

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001
                faults.append(error)

        works: list[Callable[[], None]] = [watch] * 50
        works += [lambda key=str(n % 20): read(key) for n in range(100)]  # type: ignore[misc]
        threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        ready.wait(60)
        for n in range(20):
            pg.execute("INSERT INTO crowd VALUES (%s)", (n,))
        for thread in threads:
            thread.join(60)
        assert not faults
        assert not any(thread.is_alive() for thread in threads)


@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux'")
def test_it_serves_a_user_without_a_name(tmp_path: Path) -> None:
    script = """
import os, pathlib, psycopg, pwd, sys
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from tests.services.harness import connect
assert os.geteuid() not in {user.pw_uid for user in pwd.getpwall()}
with EmbeddedStack.start(StackConfig(pathlib.Path(sys.argv[1]))) as stack, connect(stack) as pg:
    print(pg.execute("SELECT 7").fetchone())
"""
    nameless = [sys.executable, "-I", "-S", user_namespace.__file__, "3999999999"]
    if subprocess.run([*nameless, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here")
    command = [*nameless, sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "(7,)\n", done.stderr


class TestTwoStacks:
    def test_two_stacks_live_side_by_side_and_stop_without_a_trace(
        self, stack: EmbeddedStack, sink: Database[Document], tmp_path: Path
    ) -> None:
        other = EmbeddedStack.start(StackConfig(tmp_path, "CREATE TABLE t (id int PRIMARY KEY)", {"t": "ts"}, 20))
        processes = [child.pid for child in psutil.Process(other.pids["supervisor"]).children(recursive=True)]
        with other, connect(other) as pg, client(other) as mongo:
            pg.execute("INSERT INTO t VALUES (1)")
            assert arrives(mongo.get_default_database()["ts"], "1")
            assert pg.execute("SHOW max_connections").fetchone() == ("20",)
            assert other.dead_servers() == []
            assert not list(Path("/tmp").glob(f"hsperfdata_*/{other.pids['debezium']}"))  # noqa: S108 - as JVMs do
            if sys.platform != "win32":  # else a terminal's Ctrl-C would reach them
                assert os.getsid(0) not in {os.getsid(pid) for pid in other.pids.values()}
            assert "ts" not in sink.list_collection_names()
        other.stop()
        assert all(gone(pid) for pid in [*processes, *other.pids.values()])
        assert not other._directory.exists()
        assert not Path(f"/tmp/.java_pid{other.pids['debezium']}").exists()  # noqa: S108 - as JVMs do
        assert "database system is shut down" in (tmp_path / "postgres.log").read_text()
        assert other.dead_servers() == []
        assert stack.dead_servers() == []

"""Calls of ``pg`` and ``mongo`` that are not valid, sync and async: a line each, and no secret in it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.errors import ConfigError
from tests.services.harness import User


def said(user: User, client: Postgres | Mongo, method: str, *args: Any, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        user.call(client, method, *args, **more)
    words = str(caught.value)
    assert "secret" not in words
    assert "\n" not in words
    return words


@pytest.mark.parametrize(
    ("method", "args", "more", "words"),
    [
        ("execute", (5,), {}, "pg.execute: the query 5 cannot be sent; allowed: text; for psycopg's sql objects"),
        ("execute", (["select 1"],), {}, "pg.execute: the query ['select 1'] cannot be sent"),
        ("execute", ("select '\ud800'",), {}, "pg.execute: the query \"select '\\ud800'\" cannot be sent"),
        (
            "execute",
            ("select %s", 5),
            {},
            "pg, select: object of type 'int' has no len(); allowed: values that psycopg",
        ),
        ("execute", ("select %s", ["\ud800"]), {}, "pg, select: 'utf-8' codec can't encode character"),
        ("insert", (5, {"id": 1}), {}, "pg.insert: table=5; allowed: the name of a table"),
        ("insert", ([], {"id": 1}), {}, "pg.insert: table=[]; allowed: the name of a table"),
        (
            "insert",
            ("t", "secret"),
            {},
            "pg.insert: row= is of type str; allowed: a mapping of columns' names to values",
        ),
        ("insert", ("t", {5: "secret"}), {}, "pg.insert: row= is of type dict; allowed: a mapping of columns' names"),
        (
            "upsert",
            ("t", {"id": 1}),
            {"key": 5},
            "pg.upsert: 'int' object is not iterable; allowed: names that are text",
        ),
        ("upsert", ("t", {"id": 1}), {"key": [5]}, "pg.upsert: 'int' object has no attribute"),
        ("update", ("t", 5), {"where": {"id": 1}}, "pg.update: values= is of type int; allowed: a mapping"),
        ("update", ("t", {"id": 1}), {"where": "id=1"}, "pg.update: where= is of type str; allowed: a mapping"),
        ("delete", ("t",), {"where": 5}, "pg.delete: where= is of type int; allowed: a mapping"),
    ],
)
def test_a_wrong_call_of_pg_is_one_line(
    user: User, source: Postgres, method: str, args: tuple[Any, ...], more: dict[str, Any], words: str
) -> None:
    assert said(user, source, method, *args, **more).startswith(words)


def test_the_key_of_an_upsert_may_be_a_single_name(user: User, source: Postgres) -> None:
    source.execute("CREATE TABLE lab.keyed (id int PRIMARY KEY, a text)")
    for text in ("one", "two"):
        assert user.call(source, "upsert", "lab.keyed", {"id": 1, "a": text}, key="id", update="a") == 1
    assert source.execute("SELECT * FROM lab.keyed") == [{"id": 1, "a": "two"}]
    source.execute("DROP TABLE lab.keyed")


@pytest.mark.parametrize(
    ("method", "args", "words"),
    [
        ("find_one", (5, "key"), "mongo: 5 is not a valid name of a collection: name must be an instance of str"),
        ("find_one", ("", "key"), "mongo: '' is not a valid name of a collection: collection names cannot be empty"),
        ("count", (None,), "mongo: None is not a valid name of a collection: name must be an instance of str"),
        ("count", ("customers", "secret"), "mongo.count: the filter is of type str; allowed: a mapping, or none"),
        ("count", ("customers", 0), "mongo.count: the filter is of type int; allowed: a mapping, or none"),
    ],
)
def test_a_wrong_call_of_mongo_is_one_line(
    user: User, sink_client: Mongo, method: str, args: tuple[Any, ...], words: str
) -> None:
    assert said(user, sink_client, method, *args).startswith(words)

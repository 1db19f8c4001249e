"""docs/types.md on the real pipeline: every row of its table is written, expected, and compared with what arrives."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from tests.services.harness import ROOT

TYPES = """
CREATE TYPE mood AS ENUM ('SAD');
CREATE TYPE pair AS (n int, t text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
"""
_ROW = re.compile(r"^\| ([^|`]+) \| `(.*)` \| `(.*)` \| (?:`(.*)`|\S) \|$", re.MULTILINE)


class Mood(enum.Enum):
    SAD = 1


NAMES = {
    **{name: getattr(dt, name) for name in ("date", "datetime", "time", "timedelta", "UTC")},
    "plus_two": dt.timezone(dt.timedelta(hours=2)),
    **{kind.__name__: kind for kind in (Decimal, UUID, Json, Jsonb, Range, Multirange, Mood)},
    **{function.__name__: function for function in (ip_address, ip_network)},
}


@dataclass(frozen=True)
class Example:
    """A row of the page's table."""

    type: str
    written: Any
    arrived: Any
    key: str | None


def examples() -> list[Example]:
    page = (Path(ROOT) / "docs" / "types.md").read_text(encoding="utf-8")
    return [
        Example(kind, eval(written, NAMES), eval(arrived, NAMES), key or None)  # noqa: S307 - of our own page
        for kind, written, arrived, key in _ROW.findall(page)
    ]


EXAMPLES = examples()
COLUMNS = {f"c{number}": example for number, example in enumerate(EXAMPLES)}
KEYED = {f"k{number}": example for number, example in enumerate(EXAMPLES) if example.key is not None}


def schema() -> str:
    columns = ", ".join(f"{name} {example.type}" for name, example in COLUMNS.items())
    keyed = "".join(f"CREATE TABLE {name} (id {example.type} PRIMARY KEY);" for name, example in KEYED.items())
    return f"{TYPES} CREATE TABLE everything (id int PRIMARY KEY, {columns}); {keyed}"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Cdc]]:
    with EmbeddedStack.start(StackConfig(tmp_path_factory.mktemp("logs"), schema())) as stack:
        pg, mongo = Postgres(stack.services.postgres), Mongo(stack.services.mongo)
        watch = SinkWatch(mongo)
        yield pg, Cdc(mongo, watch)
        watch.close()
        mongo.close()
        pg.close()


def test_the_page_has_a_table() -> None:
    assert len(EXAMPLES) > 50
    assert len(KEYED) > 30


def test_what_is_written_is_what_may_be_expected_and_arrives_as_the_page_says(clients: tuple[Postgres, Cdc]) -> None:
    pg, cdc = clients
    row = {name: example.written for name, example in COLUMNS.items()}
    with cdc.expect("everything", 1, row, timeout="30s") as arrival:
        pg.insert("everything", {"id": 1, **row})
    assert arrival.document is not None
    for name, example in COLUMNS.items():
        assert arrival.document[name] == example.arrived, example.type
    with cdc.expect("everything", 2, dict.fromkeys(row), timeout="30s"):
        pg.insert("everything", {"id": 2})


def test_an_update_leaves_large_values_of_every_type_alone(clients: tuple[Postgres, Cdc]) -> None:
    pg, cdc = clients
    large = {
        f"c{number}": value
        for number, example in enumerate(EXAMPLES)
        for value in [
            {
                "text": "x" * 9000,
                "bytea": b"x" * 9000,
                "jsonb": Jsonb(["x" * 9000]),
                "numeric": Decimal("1" * 9000),
                "varbit": "01" * 40_000,
                "tsvector": " ".join(f"'word{n:05}'" for n in range(2000)),
                "int[][]": [[n, n] for n in range(3000)],
                "text[]": ["x" * 9000],
                "uuid[]": [UUID(int=n) for n in range(1000)],
                "boolean[]": [True, False] * 5000,
                "date[]": [dt.date(2026, 1, 1)] * 3000,
            }.get(example.type)
        ]
        if value is not None
    }
    with pg.connection() as connection:
        for column in large:
            statement = sql.SQL("ALTER TABLE everything ALTER {} SET STORAGE EXTERNAL")
            connection.execute(statement.format(sql.Identifier(column)))
    with cdc.expect("everything", 3, large, timeout="30s"):
        pg.insert("everything", {"id": 3, **large})
    with cdc.expect("everything", 3, {**large, "c1": 8}, operation="update", timeout="30s"):
        pg.update("everything", {"c1": 8}, where={"id": 3})


def test_what_is_written_as_a_key_is_what_may_be_expected(clients: tuple[Postgres, Cdc]) -> None:
    pg, cdc = clients
    for name, example in KEYED.items():
        with cdc.expect(name, example.written, timeout="30s") as arrival:
            pg.insert(name, {"id": example.written})
        assert arrival.document is not None
        assert arrival.document["_id"] == example.key, example.type

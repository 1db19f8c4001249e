"""The user's schema: what psql takes is taken, dumps among it, and what is refused is named with its line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cdcperf.embedded.postgres import PostgresServer
from pytest_cdcperf.embedded.schema import run_schema
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.errors import StackError
from tests.services.harness import connect, lone_postgres

TABLES = """
CREATE TABLE part (id int PRIMARY KEY, name text);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2; $$;
CREATE FUNCTION atomic(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n; SELECT n + 1; END;
"""
BEYOND_A_TRANSACTION = r"""
CREATE INDEX CONCURRENTLY part_name ON public.part (name);
VACUUM public.part;
\i included.sql
"""


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with lone_postgres(tmp_path_factory.mktemp("lone") / "postgres.log") as server:
        yield server


def dumped(server: PostgresServer, *options: str) -> str:
    """Return what pg_dump writes of TABLES with three rows, as it is by default: with COPY."""
    address = server.address
    to = ["-h", address.host, "-p", str(address.port), "-U", address.user]
    environment = {"PGPASSWORD": address.password or "", "PGDATABASE": address.dbname}
    rows = "INSERT INTO part VALUES (1, E'tab\\tback\\\\slash\\nZürich'), (2, NULL), (3, '\\c nowhere')"
    subprocess.run([server.binaries / "psql", *to, "-qc", f"{TABLES}{rows}"], env=environment, check=True)
    dump = [server.binaries / "pg_dump", *to, *options]
    return subprocess.run(dump, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def test_a_dump_is_taken_with_its_rows_and_what_needs_a_transaction_of_its_own(
    lone: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "included.sql").write_text("CREATE TABLE public.included (id int PRIMARY KEY);")
    schema = dumped(lone, "--create", "--no-owner").replace(" cdc_source", " elsewhere") + BEYOND_A_TRANSACTION
    assert all(f"\n\\{command}" in schema for command in ("restrict", "unrestrict", "connect", ".", "i included"))
    config = StackConfig(tmp_path / "logs", schema, schema_name=str(tmp_path / "schema.sql"))
    with EmbeddedStack.start(config) as stack, connect(stack) as pg:
        rows = [(1, "tab\tback\\slash\nZürich"), (2, None), (3, "\\c nowhere")]
        assert pg.execute("SELECT * FROM part ORDER BY id").fetchall() == rows
        assert pg.execute("SELECT twice(2), atomic(2)").fetchone() == (4, 3)
        assert pg.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_name'::regclass").fetchone() == (
            True,
        )
        assert pg.execute("SELECT count(*) FROM included").fetchone() == (0,)


def refusal(server: PostgresServer, directory: Path, sql: str, wait: Callable[[], None] = lambda: None) -> str:
    with pytest.raises(StackError) as caught:
        run_schema(sql, "db/schema.sql", server.binaries, server.address, directory, directory / "log", wait=wait)
    assert [file.name for file in directory.iterdir()].count("pgpass") == 0
    return str(caught.value)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 1;\nCREATE\nTABEL x;", 'db/schema.sql:3: ERROR: syntax error at or near "TABEL"'),
        ("\\nope\n", "db/schema.sql:1: error: invalid command \\nope"),
        ("-- é\nSELECT 1/0;\nSELECT nothing;", "db/schema.sql:2: ERROR: division by zero"),
        (
            "CREATE TABLE t (id int);\nALTER TABLE t OWNER TO shop;",
            'db/schema.sql:2: ERROR: role "shop" does not exist',
        ),
        (
            "DO $$BEGIN RAISE NOTICE 'ERROR: none'; END$$;\nSELECT x;",
            'db/schema.sql:2: ERROR: column "x" does not exist',
        ),
        ("SELECT pg_terminate_backend(pg_backend_pid());", "db/schema.sql:1: FATAL: terminating connection"),
    ],
)
def test_a_refused_statement_is_named_with_its_line(lone: PostgresServer, tmp_path: Path, sql: str, words: str) -> None:
    assert refusal(lone, tmp_path, sql).startswith(f"the embedded stack: PostgreSQL refuses {words}")


def test_a_schema_that_takes_too_long_is_given_up(lone: PostgresServer, tmp_path: Path) -> None:
    def wait() -> None:
        raise StackError("waited in vain")

    assert refusal(lone, tmp_path, "SET statement_timeout = 0; SELECT pg_sleep(60)", wait) == "waited in vain"

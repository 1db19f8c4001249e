"""A statement is told by what it does, wherever its words stand."""

from __future__ import annotations

import pytest

from pytest_cdcperf.clients.postgres.lexer import Kind, read

READ, WRITE, CONTROL = Kind.READ, Kind.WRITE, Kind.CONTROL


@pytest.mark.parametrize(
    ("query", "op", "kind"),
    [
        ("SELECT 1", "select", READ),
        ("  \n(SELECT 1) UNION (SELECT 2)", "select", READ),
        ("TABLE t", "table", READ),
        ("-- name: add\nINSERT INTO t VALUES (1)", "insert", WRITE),
        ("/* a /* nested */ one */ UPDATE t SET a = 1", "update", WRITE),
        ("-- only a comment", "", READ),
        ("", "", READ),
        ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "delete", WRITE),
        ("WITH d AS MATERIALIZED (DELETE FROM t RETURNING *) INSERT INTO log SELECT * FROM d", "insert", WRITE),
        ("WITH RECURSIVE a(n) AS (VALUES (1) UNION SELECT n + 1 FROM a) SELECT n FROM a", "select", READ),
        ("WITH a AS (SELECT 'insert') SELECT update FROM a", "select", READ),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "explain", WRITE),
        ("EXPLAIN (COSTS off, ANALYZE) DELETE FROM t", "explain", WRITE),
        ("EXPLAIN (ANALYZE false) DELETE FROM t", "explain", READ),
        ("EXPLAIN (ANALYZE) SELECT 1", "explain", READ),
        ("EXPLAIN VERBOSE INSERT INTO t VALUES (1)", "explain", READ),
        ("SELECT 'a; DELETE FROM t'", "select", READ),
        ("SELECT E'it\\'s'; -- DROP", "select", READ),
        ("SELECT $body$ ; INSERT $body$", "select", READ),
        ('SELECT "insert into" FROM t', "select", READ),
        ("SELECT %(delete)s", "select", READ),
        ("SELECT a INTO copy FROM t", "select", WRITE),
        ("SELECT f(x) FROM t WHERE a IN (SELECT b FROM c)", "select", READ),
        ("COPY t TO '/f'", "copy", READ),
        ("COPY t FROM '/f'", "copy", WRITE),
        ("COPY (SELECT a FROM t) TO '/f'", "copy", READ),
        ("COPY (DELETE FROM t RETURNING *) TO '/f'", "copy", WRITE),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", "merge", WRITE),
        ("CALL p()", "call", WRITE),
        ("BEGIN", "begin", CONTROL),
        ("ROLLBACK", "rollback", CONTROL),
        ("SAVEPOINT a", "savepoint", CONTROL),
        ("SET search_path = a", "set", CONTROL),
        ("/* done */ COMMIT", "commit", WRITE),
        ("BEGIN; INSERT INTO t VALUES (1); COMMIT", "insert", WRITE),
        ("SET LOCAL a.b = 1; SELECT 1", "select", READ),
    ],
)
def test_what_a_statement_is(query: str, op: str, kind: Kind) -> None:
    assert (read(query).op, read(query).kind) == (op, kind)


@pytest.mark.parametrize(
    "query",
    [
        "SET search_path = a",
        "/* x */ set session a.b = 1",
        "SELECT set_config('a.b', '1', false)",
        "SELECT pg_catalog.pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock_shared(1, 2)",
        "CREATE TEMP TABLE a (b int)",
        "CREATE TEMPORARY TABLE IF NOT EXISTS a AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW a AS SELECT 1",
        "CREATE GLOBAL TEMPORARY TABLE a (b int)",
        "CREATE TABLE pg_temp.a (b int)",
        "SELECT 1 AS a INTO TEMP t",
        "LISTEN a",
        "PREPARE a AS SELECT 1",
        "DECLARE a CURSOR WITH HOLD FOR SELECT 1",
        "LOAD 'auto_explain'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "BEGIN; SET a.b = 1; COMMIT",
        "EXPLAIN ANALYZE SELECT pg_advisory_lock(1)",
    ],
)
def test_what_stays_in_the_session(query: str) -> None:
    assert read(query).touches


@pytest.mark.parametrize(
    "query",
    [
        "SET LOCAL search_path = a",
        "SET TRANSACTION READ ONLY",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT 'pg_advisory_lock(1)'",
        "SELECT pg_advisory_lock FROM t",
        "CREATE TABLE temperature (temp int)",
        "DECLARE a CURSOR FOR SELECT 1",
        "PREPARE TRANSACTION 'a'",
        "UPDATE t SET a = 1",
        "BEGIN",
    ],
)
def test_what_does_not(query: str) -> None:
    assert not read(query).touches


def test_a_transaction_and_what_a_sequence_gave_bind_to_the_session() -> None:
    assert read("start transaction").opens
    assert read("BEGIN; INSERT INTO t VALUES (1)").opens
    assert read("SELECT currval('s'), lastval()").relies
    assert not read("SELECT nextval('s')").concerns_session
    assert not read("INSERT INTO t VALUES (1)").concerns_session
    assert read("END").ends
    assert not read("COMMIT PREPARED 'a'").ends

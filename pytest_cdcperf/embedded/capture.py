"""The settings of PostgreSQL with which every table of the source can be captured, whatever its shape.

- Partitioned tables are published by their root.
- A table without a primary key gets REPLICA IDENTITY FULL as soon as it is made: else PostgreSQL refuses to update it,
  also in a schema that is not captured, and a key by a unique index would be missing from its changes.
"""

from __future__ import annotations

from typing import Any

import psycopg

PUBLICATION = "cdcperf"

# The identity 'i' of an index that was dropped since is none.
_IDENTITIES = """
CREATE SCHEMA cdcperf_capture;
CREATE FUNCTION cdcperf_capture.complete_identities() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET event_triggers = off AS $$
DECLARE keyless regclass;
BEGIN
    FOR keyless IN
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
          AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
          AND (c.relreplident = 'd' OR c.relreplident = 'i')
          AND NOT EXISTS (
              SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)
          )
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', keyless);
    END LOOP;
END $$;
CREATE EVENT TRIGGER cdcperf_identities ON ddl_command_end
WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'DROP INDEX')
EXECUTE FUNCTION cdcperf_capture.complete_identities()
"""
_PARTITIONS = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p')
"""


def prepare_capture(admin: psycopg.Connection[Any]) -> None:
    """Publish all tables, those to come as well: tables may be created, and schemas recreated, at any time."""
    admin.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES WITH (publish_via_partition_root = true)".encode())
    admin.execute(_IDENTITIES.encode())


def partitions(admin: psycopg.Connection[Any]) -> list[str]:
    """Name the partitions there are, as schema.table: a snapshot would read their rows a second time."""
    return [str(name) for (name,) in admin.execute(_PARTITIONS.encode()).fetchall()]

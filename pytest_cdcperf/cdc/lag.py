"""How far the pipeline is behind, from PostgreSQL's own replication slots."""

from __future__ import annotations

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.metrics.recorder import Gauge
from pytest_cdcperf.metrics.snapshot import GaugeMerge

CDC_PIPELINE_ACTIVE = Gauge("cdc_pipeline_active", merging=GaugeMerge.MAX)
CDC_CONSUMER_LAG = Gauge("cdc_consumer_lag_estimate", unit="bytes", merging=GaugeMerge.MAX)

_QUERY = """
SELECT bool_or(active) AS active, max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn))::float8 AS behind
FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database()
"""


def sample_lag(pg: Postgres) -> None:
    """Record whether a logical slot of the database is being read, and the bytes it is behind.

    Nothing is recorded where the database has no logical slot. Not measured as a read.
    """
    with pg.connection() as connection:
        row = connection.execute(_QUERY).fetchone()
    if row is not None and row["active"] is not None:
        CDC_PIPELINE_ACTIVE.add(float(row["active"]))
        CDC_CONSUMER_LAG.add(row["behind"] or 0.0)

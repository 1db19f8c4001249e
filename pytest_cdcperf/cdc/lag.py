"""Samples the replication slots of PostgreSQL: how far the pipeline is behind, and whether it can go on at all."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.metrics.groups import CDC
from pytest_cdcperf.metrics.metric import Gauge, GaugeMerge

CDC_PIPELINE_ACTIVE = Gauge("cdc_pipeline_active", group=CDC, merging=GaugeMerge.MAX)
CDC_CONSUMER_LAG = Gauge("cdc_consumer_lag_estimate", unit="bytes", group=CDC, merging=GaugeMerge.MAX)

# wal_status by way of jsonb, since it is not there before PostgreSQL 13. What pg_subscription copies a table with
# comes and goes.
_QUERY = r"""
SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS behind,
       temporary OR slot_name LIKE 'pg\_%\_sync\_%' AS passing, to_jsonb(slot) ->> 'wal_status' = 'lost' AS lost
FROM pg_replication_slots AS slot WHERE slot_type = 'logical' AND database = current_database()
"""


class SlotReader:
    """Samples the logical slots of *pg*'s database.

    :param on_loss: is called, at every sample, with a line for each slot that was in use and is lost or gone: its
        reader can never go on from where it was
    """

    def __init__(self, pg: Postgres, on_loss: Callable[[str], None]) -> None:
        self._pg = pg
        self._on_loss = on_loss
        self._read: set[str] = set()  # slots that somebody was seen to read

    def sample(self) -> None:
        """Record whether a slot is being read, and the bytes it is behind; nothing where there is no slot.

        Not measured as a read.
        """
        with self._pg.connection() as connection:
            slots = {slot["slot_name"]: slot for slot in connection.execute(_QUERY)}
        if slots:
            CDC_PIPELINE_ACTIVE.add(float(any(slot["active"] for slot in slots.values())))
            CDC_CONSUMER_LAG.add(max(slot["behind"] or 0.0 for slot in slots.values()))
        self._read |= {name for name, slot in slots.items() if slot["active"] and not slot["passing"]}
        for name in sorted(self._read):
            if name not in slots:
                self._on_loss(f"PostgreSQL at {self._pg.address}: the replication slot {name} is gone")
            elif slots[name]["lost"]:
                self._on_loss(
                    f"PostgreSQL at {self._pg.address}: the replication slot {name} is lost: the WAL that its reader "
                    "needs was removed (max_slot_wal_keep_size)"
                )

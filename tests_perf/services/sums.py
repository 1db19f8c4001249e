"""The sums that a run left in the source."""

from __future__ import annotations

from pytest_cdcperf import Postgres


def remove_sums(pg: Postgres, session_id: str) -> int:
    """Delete the sums that session *session_id* asked for; return how many there were (0 without the Adder)."""
    if pg.execute("SELECT to_regclass('sums') AS found") == [{"found": None}]:
        return 0
    return pg.delete("sums", where={"session_id": session_id})

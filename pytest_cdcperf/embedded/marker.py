"""The marker row: it has passed through the whole stack and is gone again before the stack is called ready.

It lives in a schema of its own, which Debezium captures besides public, so that no user's table is touched.
"""

from __future__ import annotations

SCHEMA = "cdcperf"
COLLECTION = "cdcperf_ready"
DOCUMENT_ID = "1"

CREATE = b"""
CREATE SCHEMA cdcperf;
CREATE TABLE cdcperf.cdcperf_ready (id int PRIMARY KEY);
INSERT INTO cdcperf.cdcperf_ready VALUES (1)
"""
DELETE = b"DELETE FROM cdcperf.cdcperf_ready"
DROP = b"DROP SCHEMA cdcperf CASCADE"

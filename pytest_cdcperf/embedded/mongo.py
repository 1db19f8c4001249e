"""The sink as a process: nx-27017, a MongoDB-wire server over SQLite, with a getMore that waits.

Run as ``python -m pytest_cdcperf.embedded.mongo STACK_DIRECTORY``. It reads one line from standard input, the
password that clients have to know. The port it got is written to the file :data:`PORT_FILE` in the directory once it
can be connected to. It binds to port 0 and serves that very socket, so no other process can take the port in between.
"""

from __future__ import annotations

import contextlib
import hmac
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pytest_cdcperf.embedded.collection_names import Handler, Message, RenamingHandler, Reply
from pytest_cdcperf.embedded.directory import remove_directory
from pytest_cdcperf.embedded.lifeline import read_line, when_input_ends

PORT_FILE = "mongo.port"

_WRITES = ("insert", "update", "delete", "findAndModify")
# Data cursors have ids far above those of change streams; nx_27017.handler tells them apart likewise.
_FIRST_DATA_CURSOR = 10**12
_CURSOR_NOT_FOUND = 43
_DEFAULT_WAIT_S = 1.0
# A client that vanished while it waited holds its thread no longer than this.
_LONGEST_WAIT_S = 10.0
_BACKLOG = 1024
_USER = "cdcperf"
_HELLO = ("hello", "isMaster", "ismaster")
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18

Namespace = tuple[str, str]


class WriteCounter:
    """Counts the writes to one collection and lets threads wait for the next one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many writes there were."""
        return self._count

    def add(self) -> None:
        """Count a write and wake everybody who waits for it."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_beyond(self, count: int, timeout_s: float) -> bool:
        """Wait until there were more than *count* writes; return whether there were."""
        with self._condition:
            return self._condition.wait_for(lambda: self._count > count, max(0.0, timeout_s))


def sink_uri(port: int, password: str, database: str) -> str:
    """Return where the server is, for a client that knows the *password*."""
    return f"mongodb://{_USER}:{password}@127.0.0.1:{port}/{database}?authMechanism=PLAIN&authSource=$external"


class GuardedHandler:
    """Lets only clients that sent the password reach *inner*, by SASL PLAIN (RFC 4616). nx has no authentication."""

    def __init__(self, inner: Handler, password: str) -> None:
        self._inner = inner
        self._wanted = f"\0{_USER}\0{password}".encode()
        self._known: set[object] = set()  # connections

    def increment_connections(self) -> None:
        """Note that a client has come."""
        self._inner.increment_connections()

    def decrement_connections(self) -> None:
        """Note that a client has gone."""
        self._inner.decrement_connections()

    def close_streams_for_connection(self, connection: object) -> None:
        """Forget a client that is gone."""
        self._known.discard(connection)
        self._inner.close_streams_for_connection(connection)

    def handle_query(self, message: Message) -> tuple[int, list[dict[str, Any]]]:
        """Answer the legacy OP_QUERY."""
        if message["_conn_id"] in self._known:
            return self._inner.handle_query(message)
        request, answer = self._answer_stranger(message, message["query"])
        return request, [answer]

    def handle_insert(self, message: Message) -> Reply:
        """Insert."""
        if message["_conn_id"] in self._known:
            return self._inner.handle_insert(message)
        return self._answer_stranger(message, {})

    def handle_command(self, message: Message) -> Reply:
        """Answer any command but insert."""
        if message["_conn_id"] in self._known:
            return self._inner.handle_command(message)
        return self._answer_stranger(message, _body(message))

    def _answer_stranger(self, message: Message, body: dict[str, Any]) -> Reply:
        # Nothing of the message goes further: it may name a database, which would be made, or have a second body.
        request = message["request_id"]
        if any(name in body for name in _HELLO):
            hello = {"hello": 1, "$db": "admin"}
            return self._inner.handle_command({"request_id": request, "sections": [("body", hello)]})
        if "saslStart" not in body:
            return request, _refusal(_UNAUTHORIZED, "Unauthorized", "the embedded sink is for its session only")
        payload = body.get("payload")
        if (
            body.get("mechanism") != "PLAIN"
            or not isinstance(payload, bytes)
            or not hmac.compare_digest(payload, self._wanted)
        ):
            return request, _refusal(_AUTHENTICATION_FAILED, "AuthenticationFailed", "Authentication failed.")
        self._known.add(message["_conn_id"])
        return request, {"ok": 1, "conversationId": 1, "done": True, "payload": b""}


class WaitingHandler:
    """nx-27017's request handler with three things mended, and the same interface to its connection loop.

    - getMore on a change stream waits for a write or for maxTimeMS, as MongoDB does; nx answers at once,
      so that an idle watch spins.
    - getMore on a change stream that is gone says CursorNotFound, so that drivers resume; nx answers with
      an end of data, which drivers take for silence.
    - Closing a connection's streams and the client-level bulkWrite hold the locks of the databases they
      touch; nx touches the databases' SQLite connections without.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._streams = inner._change_stream_manager  # noqa: SLF001 - nx has no public way to its streams
        self._counters: dict[Namespace, WriteCounter] = {}
        self._counters_lock = threading.Lock()

    def increment_connections(self) -> None:
        """Note that a client has come."""
        self._inner.increment_connections()

    def decrement_connections(self) -> None:
        """Note that a client has gone."""
        self._inner.decrement_connections()

    def close_streams_for_connection(self, connection: object) -> None:
        """Drop what a client has left open that is gone."""
        with self._all_databases_locked():
            self._inner.close_streams_for_connection(connection)

    def handle_query(self, message: Message) -> tuple[int, list[dict[str, Any]]]:
        """Answer the legacy OP_QUERY, which drivers use for the first hello only."""
        answer: tuple[int, list[dict[str, Any]]] = self._inner.handle_query(message)
        return answer

    def handle_insert(self, message: Message) -> Reply:
        """Insert, and wake who waits for it."""
        body = _body(message)
        namespace = _namespace(body, "insert")  # before nx takes "$db" out of the body
        reply: Reply = self._inner.handle_insert(message)
        self._counter(namespace).add()
        return reply

    def handle_command(self, message: Message) -> Reply:
        """Answer any command but insert."""
        body = _body(message)
        if "getMore" in body:
            return self._get_more(message, body)
        if "bulkWrite" in body:
            with self._all_databases_locked():
                reply: Reply = self._inner.handle_command(message)
            for counter in tuple(self._counters.values()):
                counter.add()
            return reply
        written = [_namespace(body, command) for command in _WRITES if command in body]
        reply = self._inner.handle_command(message)
        for namespace in written:
            self._counter(namespace).add()
        return reply

    def _get_more(self, message: Message, body: dict[str, Any]) -> Reply:
        cursor = int(body["getMore"])
        if cursor >= _FIRST_DATA_CURSOR:
            data: Reply = self._inner.handle_command(message)
            return data
        counter = self._counter((str(body.get("$db", "")), str(body.get("collection", ""))))
        wait_s = (body.get("maxTimeMS") or _DEFAULT_WAIT_S * 1000) / 1000
        deadline = time.monotonic() + min(wait_s, _LONGEST_WAIT_S)
        while True:
            seen = counter.count
            if self._streams.get_stream(cursor) is None:
                return message["request_id"], {
                    "ok": 0,
                    "code": _CURSOR_NOT_FOUND,
                    "codeName": "CursorNotFound",
                    "errmsg": f"cursor id {cursor} not found",
                }
            reply: Reply = self._inner.handle_command(message)
            if reply[1]["cursor"]["nextBatch"]:
                return reply
            if not counter.wait_beyond(seen, deadline - time.monotonic()):
                return reply

    def _counter(self, namespace: Namespace) -> WriteCounter:
        with self._counters_lock:
            return self._counters.setdefault(namespace, WriteCounter())

    @contextlib.contextmanager
    def _all_databases_locked(self) -> Any:
        with contextlib.ExitStack() as locks:
            for name in sorted(self._inner.databases):
                locks.enter_context(self._inner._lock_for(name))  # noqa: SLF001 - nor to its locks
            yield


def serve(directory: Path, password: str) -> None:
    """Serve the collections kept in *directory*/mongo, to clients that know *password*, until the process is ended."""
    handler_class = importlib.import_module("nx_27017.handler").NeoSQLiteHandler
    converse = importlib.import_module("nx_27017.server").handle_client_threaded
    waiting = WaitingHandler(handler_class(data_dir=str(directory / "mongo")))
    handler = GuardedHandler(RenamingHandler(waiting), password)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as server:
        announcement = directory / f"{PORT_FILE}.new"
        announcement.write_text(str(server.getsockname()[1]))
        announcement.replace(directory / PORT_FILE)
        while True:
            client, _ = server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=converse, args=(client, handler), daemon=True).start()


def main(directory: Path) -> None:
    """Serve until the supervisor has ended or asks to stop; then remove the stack's directory and end.

    This is the last server to be stopped, so the directory is removed even when the supervisor was killed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def leave() -> None:
        remove_directory(directory)
        os._exit(0)

    password = read_line().decode()
    when_input_ends(leave)
    serve(directory, password)


def _refusal(code: int, name: str, words: str) -> dict[str, Any]:
    return {"ok": 0, "code": code, "codeName": name, "errmsg": words}


def _body(message: Message) -> dict[str, Any]:
    return next((section for kind, section in message["sections"] if kind == "body"), {})


def _namespace(body: dict[str, Any], command: str) -> Namespace:
    return str(body.get("$db", "test")), str(body.get(command, ""))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

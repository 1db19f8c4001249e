"""A TCP relay in front of a MongoDB-wire server that reads along: it counts commands and can refuse change streams.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/: a message is a header of four int32 (length,
request, response to, opcode); the opcode 2013 is OP_MSG: four bytes of flags, then sections, the first of which here
is 0 and a BSON document, the command.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import bson

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")


class WireRelay:
    """Passes everything on but the opening of change streams while :attr:`refusal` is set."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refusal: tuple[int, str, str] | None = None
        """What an attempt to open a change stream is answered: code, name and words."""
        self.commands: list[tuple[float, str, dict[str, Any]]] = []
        """When each command came, by time.perf_counter(), its name and itself."""
        self.answers: list[tuple[float, str, dict[str, Any]]] = []
        """The same of when each was answered."""
        self.delay_s = 0.0
        """How much longer each command takes."""
        threading.Thread(target=self._accept, name="wire-relay", daemon=True).start()

    def count(self) -> Counter[str]:
        """Return how often each command came."""
        return Counter(name for _, name, _ in list(self.commands))

    def close(self) -> None:
        """Cut everything and listen no more."""
        self._server.close()
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="wire-relay", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            while True:  # a driver asks one thing at a time on a connection
                message = _receive(client)
                command = _command(message)
                answer = None if command is None else self._refuse(message, command)
                if answer is None:
                    server.sendall(message)
                    answer = _receive(server)
                if command is not None:
                    self.answers.append((time.perf_counter(), next(iter(command)), command))
                client.sendall(answer)

    def _refuse(self, message: bytes, command: dict[str, Any]) -> bytes | None:
        name = next(iter(command))
        self.commands.append((time.perf_counter(), name, command))
        if self.delay_s:
            time.sleep(self.delay_s)
        stages = command.get("pipeline") or [{}]
        if name != "aggregate" or "$changeStream" not in stages[0] or self.refusal is None:
            return None
        code, code_name, words = self.refusal
        body = b"\0\0\0\0\0" + bson.encode({"ok": 0.0, "errmsg": words, "code": code, "codeName": code_name})
        return _HEADER.pack(16 + len(body), 0, _HEADER.unpack_from(message)[1], _OP_MSG) + body


@contextlib.contextmanager
def wire_relayed(port: int) -> Iterator[WireRelay]:
    """Open a relay to the server at *port*."""
    relay = WireRelay(port)
    try:
        yield relay
    finally:
        relay.close()


def _command(message: bytes) -> dict[str, Any] | None:
    if _HEADER.unpack_from(message)[3] != _OP_MSG or message[20] != 0:
        return None
    (length,) = struct.unpack_from("<i", message, 21)
    command: dict[str, Any] = bson.decode(message[21 : 21 + length])
    return command


def _receive(end: socket.socket) -> bytes:
    head = _exactly(end, 16)
    return head + _exactly(end, _HEADER.unpack(head)[0] - 16)


def _exactly(end: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        more = end.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return bytes(data)

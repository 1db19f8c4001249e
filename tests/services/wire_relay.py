"""A TCP relay in front of a MongoDB-wire server that reads along: it notes commands and can refuse some.

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
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import bson

from pytest_cdcperf.servers import MongoAddress

NOT_IMPLEMENTED = (238, "NotImplemented", "`aggregate` stage `$changeStream` is not implemented yet")
"""What FerretDB 1.24 answers."""

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")


Command = dict[str, Any]


def opens_stream(command: Command) -> bool:
    """Whether *command* opens a change stream."""
    return "aggregate" in command and "$changeStream" in (command["pipeline"] or [{}])[0]


class WireRelay:
    """Passes everything on but what :attr:`refuses` while there is a :attr:`refusal`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refusal: tuple[int, str, str] | None = None
        """What it answers instead: code, name and words."""
        self.refuses: Callable[[Command], bool] = opens_stream
        self.answers: list[tuple[float, Command]] = []
        """When each command was answered, by time.perf_counter()."""
        threading.Thread(target=self._accept, name="wire-relay", daemon=True).start()

    def count(self) -> Counter[str]:
        """Return how often each command was answered, by its name."""
        return Counter(next(iter(command)) for _, command in list(self.answers))

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
                    self.answers.append((time.perf_counter(), command))
                client.sendall(answer)

    def _refuse(self, message: bytes, command: Command) -> bytes | None:
        if self.refusal is None or not self.refuses(command):
            return None
        code, code_name, words = self.refusal
        body = b"\0\0\0\0\0" + bson.encode({"ok": 0.0, "errmsg": words, "code": code, "codeName": code_name})
        return _HEADER.pack(16 + len(body), 0, _HEADER.unpack_from(message)[1], _OP_MSG) + body


@contextlib.contextmanager
def wire_relayed(address: MongoAddress) -> Iterator[WireRelay]:
    """Open a relay to the server at *address*."""
    port = urlsplit(address.uri).port
    assert port is not None
    relay = WireRelay(port)
    try:
        yield relay
    finally:
        relay.close()


def through(relay: WireRelay, address: MongoAddress) -> MongoAddress:
    """Return *address* by way of *relay*."""
    uri = urlsplit(address.uri)
    there = uri._replace(netloc=uri.netloc.replace(f":{uri.port}", f":{relay.port}"))
    return MongoAddress(f"{there.geturl()}{'&' if uri.query else '?'}directConnection=true")


def _command(message: bytes) -> Command | None:
    if _HEADER.unpack_from(message)[3] != _OP_MSG or message[20] != 0:
        return None
    (length,) = struct.unpack_from("<i", message, 21)
    command: Command = bson.decode(message[21 : 21 + length])
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

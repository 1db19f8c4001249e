"""A small HTTP server whose paths answer as told: what the client is tested on, faults included."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n"


def raw(answer: bytes) -> str:
    """Return the path that is answered with just these bytes."""
    return f"/raw/{base64.urlsafe_b64encode(answer).decode()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client has gone
            self.close_connection = True

    def _act(self) -> None:  # noqa: PLR0912  # a table of paths
        parts = urlsplit(self.path)
        _, action, *arguments = parts.path.split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path))
        if action == "status":
            self._answer({"status": int(arguments[0])}, int(arguments[0]))
        elif action == "redirect":
            self._answer({}, int(arguments[0]), Location="/" + "/".join(arguments[1:]))
        elif action == "away":
            self._answer({}, 302, Location=parse_qs(parts.query)["to"][0])
        elif action == "loop":
            self._answer({}, 302, Location="/loop")
        elif action == "login":
            self._answer({}, 200, **{"Set-Cookie": "user=7; Path=/"})
        elif action == "slow":
            time.sleep(float(arguments[0]))
            self._answer({})
        elif action == "hang":
            self.server.hanging.set()
            self.server.over.wait(30)
        elif action == "text":
            self._raw(b"<html>not JSON</html>", "text/html")
        elif action == "latin":
            self._raw("Größe".encode("latin-1"), "text/plain; charset=iso-8859-1")
        elif action == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif action == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
        elif action == "silence":
            self.close_connection = True
        elif action == "chunks":  # of which the last is cut
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n"
            self.wfile.write(head + {"size": b"", "data": b"5\r\nha", "junk": b"zz\r\nhalf\r\n"}[arguments[0]])
            self.close_connection = True
        elif action == "raw":
            self.wfile.write(base64.urlsafe_b64decode(arguments[0]))
            self.close_connection = True
        elif action == "junk":
            self.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
            self.close_connection = True
        else:
            cookies = {name: cookie.value for name, cookie in SimpleCookie(self.headers.get("Cookie", "")).items()}
            self._answer(
                {
                    "method": self.command,
                    "path": parts.path,
                    "query": parse_qs(parts.query),
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "cookies": cookies,
                    "body": body.decode(),
                    "connection": self.client_address[1],
                    "id": int(arguments[0]) if arguments and arguments[0].isdigit() else 7,  # of an order
                    "state": "new",
                }
            )

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _act  # noqa: N815

    def _answer(self, document: Any, status: int = 200, **headers: str) -> None:
        self._raw(json.dumps(document).encode(), "application/json", status, **headers)

    def _raw(self, body: bytes, content_type: str, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class HttpServer(ThreadingHTTPServer):
    """Listens on a free port, or a given one, until it is closed; notes what it was asked."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, str]] = []
        self.hanging, self.over = threading.Event(), threading.Event()
        self._open: set[socket.socket] = set()
        self._tls = tls
        super().__init__(("127.0.0.1", port), _Handler)
        self.port: int = self.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), name="http-server", daemon=True).start()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._tls is not None:
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except OSError:
                return
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)
            request.close()

    def close(self) -> None:
        """Listen no more and cut what is open."""
        self.over.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, *_: object) -> None:
        """A client that has gone is not reported."""


@contextmanager
def http_server(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """Serve inside the block."""
    server = HttpServer(port, tls)
    try:
        yield server
    finally:
        server.close()

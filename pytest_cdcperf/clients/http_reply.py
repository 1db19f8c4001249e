"""What came back: the everyday surface of requests' Response."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from pytest_cdcperf.clients.http_call import Call
from pytest_cdcperf.errors import HttpBodyError, HttpStatusError

_EXCERPT_CHARS = 60
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)


class EngineResponse(Protocol):
    """What is kept of the engine's response."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""


class HttpReply:
    """A whole response.

    *content* is its body, empty where bodies are discarded. *duration_ms* runs from the request to the last
    byte, *elapsed* to the headers as with requests. *history* holds the redirects that led here.
    """

    __slots__ = ("_body", "_call", "_response", "duration_ms", "history", "status_code", "waiting_ms")

    def __init__(
        self,
        call: Call,
        status_code: int,
        response: EngineResponse,
        body: Any,
        waiting_ms: float,
        duration_ms: float,
        history: tuple[HttpReply, ...] = (),
    ) -> None:
        self._call = call
        self.status_code = status_code
        self._response = response
        self._body = body
        self.waiting_ms = waiting_ms
        self.duration_ms = duration_ms
        self.history = history

    def __repr__(self) -> str:
        return f"<HttpReply {self.status_code} of {self.method} {self.url}>"

    @property
    def method(self) -> str:
        """The method that was answered: a redirect may have changed it."""
        return self._call.method

    @property
    def url(self) -> str:
        """The URL that answered, after redirects."""
        return self._call.url

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by names in any case."""
        return self._response.headers

    @property
    def content(self) -> bytes:
        """The body, empty where bodies are discarded."""
        return bytes(self._body)

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def elapsed(self) -> timedelta:
        """From the request to the headers of the response."""
        return timedelta(milliseconds=self.waiting_ms)

    @property
    def text(self) -> str:
        """The body as text, in the charset that its Content-Type names, else UTF-8."""
        named = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return self.content.decode(named[1] if named else "utf-8", errors="replace")
        except LookupError:  # a charset that nobody knows
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the body, read as JSON.

        :raises HttpBodyError: in one line with the beginning of the body
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            begin = self.text[:_EXCERPT_CHARS]
            raise HttpBodyError(
                f"{self._call.describe()}: status {self.status_code}, the body is not JSON ({error}): {begin!r}"
            ) from None

    def raise_for_status(self) -> None:
        """Raise where the status is 400 or more.

        :raises HttpStatusError: in one line with the status and the beginning of the body
        """
        if not self.ok:
            begin = self.text[:_EXCERPT_CHARS]
            raise HttpStatusError(f"{self._call.describe()}: status {self.status_code}: {begin!r}")

"""Responses of ``http_client``, with the names that requests gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol

from pytest_cdcperf.clients.http.call import Call
from pytest_cdcperf.errors import HttpBodyError, HttpHeaderError, HttpStatusError

_EXCERPT_CHARS = 60
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)


class EngineResponse(Protocol):
    """The kept part of the engine's response."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""


class HttpHeaders(Mapping[str, str]):
    """The headers of a response, by names in any case; where one comes several times, its first value.

    ::

        def test_an_order_is_json(http_client):
            headers = http_client.get("http://shop.example/orders/7").headers
            assert headers["content-type"] == "application/json"
            assert headers.getall("Set-Cookie") == []
    """

    __slots__ = ("_headers", "_response")

    def __init__(self, headers: Mapping[str, str], response: HttpResponse) -> None:
        self._headers = headers
        self._response = response

    def __getitem__(self, name: str) -> str:
        """Return the first value of the header *name*.

        :raises KeyError: where there is none
        :raises HttpHeaderError: for a value with other characters than ASCII, which the engine cannot hand out
        """
        try:
            return self._headers[name]
        except ValueError:
            raise self._unreadable(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._headers))

    def __len__(self) -> int:
        return len(dict.fromkeys(self._headers))

    def __contains__(self, name: object) -> bool:
        return name in self._headers

    def __repr__(self) -> str:
        return f"<HttpHeaders {', '.join(self)}>"

    def getall(self, name: str) -> list[str]:
        """Return all values of the header *name*, none where it did not come.

        :raises HttpHeaderError: as above
        """
        try:
            values: list[str] = self._headers.getall(name)  # type: ignore[attr-defined]  # of the engine's mapping
        except ValueError:
            raise self._unreadable(name) from None
        return values

    def _unreadable(self, name: str) -> HttpHeaderError:
        return HttpHeaderError(
            f"{self._response.describe()}: the header {name!r} has other characters than ASCII, which the engine of "
            "http_client does not hand out; requests_session reads it as latin-1"
        )


class HttpResponse:
    """A whole response.

    ::

        def test_an_order_is_new(http_client):
            response = http_client.post("http://shop.example/orders", json={"customer": 7})
            response.raise_for_status()
            assert response.json()["state"] == "new"

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
        history: tuple[HttpResponse, ...] = (),
    ) -> None:
        self._call = call
        self.status_code = status_code
        self._response = response
        self._body = body
        self.waiting_ms = waiting_ms
        self.duration_ms = duration_ms
        self.history = history

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status_code} of {self.method} {self.url}>"

    def describe(self) -> str:
        """Return method, URL and status for a message, without a password."""
        return f"{self._call.describe()}: status {self.status_code}"

    @property
    def method(self) -> str:
        """The method of the last request: a redirect may have changed it."""
        return self._call.method

    @property
    def url(self) -> str:
        """The URL of the last request, after redirects."""
        return self._call.url

    @property
    def headers(self) -> HttpHeaders:
        """The headers, by names in any case."""
        return HttpHeaders(self._response.headers, self)

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
        try:
            named = _CHARSET.search(self.headers.get("content-type", ""))
        except HttpHeaderError:
            named = None
        try:
            return self.content.decode(named[1] if named else "utf-8", errors="replace")
        except LookupError:  # a charset that Python does not know
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the body, read as JSON.

        :raises HttpBodyError: in one line with the beginning of the body
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            begin = self.text[:_EXCERPT_CHARS]
            raise HttpBodyError(f"{self.describe()}, the body is not JSON ({error}): {begin!r}") from None

    def raise_for_status(self) -> None:
        """Raise where the status is 400 or more.

        :raises HttpStatusError: in one line with the status and the beginning of the body
        """
        if not self.ok:
            begin = self.text[:_EXCERPT_CHARS]
            raise HttpStatusError(f"{self.describe()}: {begin!r}")

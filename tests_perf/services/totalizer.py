"""The Totalizer: the running total of the sums that have arrived in the sink, over HTTP.

Run by the launcher as ``python -m tests_perf.services.totalizer``; it is told the sink's ``uri`` and ``database``.

- ``GET /v1/healthcheck``: 200, or 503 while the sink cannot be read.
- ``GET /v1/results``: ``result``, and ``sequence``, the last row up to which all are in it. With ``?sequence=N``
  also ``applied``, whether row N is: what to wait for who wrote it. What is removed from the sink stays counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from tests_perf.services.serving import http_app, instructions, serve
from tests_perf.services.total import Total

_POLL_S = 0.02
_RETRY_S = 0.2
_BATCH = 1000

_log = logging.getLogger("totalizer")


class Totalizer:
    """Reads what arrives, and answers."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._total = Total()
        self._fault = "the sink was not read yet"

    async def following(self, _: web.Application) -> AsyncIterator[None]:
        """Read what arrives, for as long as the application runs."""
        async with AsyncMongoClient[dict[str, Any]](self._uri, serverSelectionTimeoutMS=2000) as client:
            reading = asyncio.create_task(self._follow(client[self._database]["sums"]))
            yield
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def healthcheck(self, _: web.Request) -> web.Response:
        """Say whether the total is up to date, as far as one can know."""
        if self._fault:
            return web.json_response({"status": self._fault}, status=503)
        return web.json_response({"status": "healthy"})

    async def results(self, request: web.Request) -> web.Response:
        """Answer with the total, and whether the row that was asked for is in it."""
        answer: dict[str, object] = {"result": self._total.result, "sequence": self._total.sequence}
        asked = request.query.get("sequence")
        if asked is not None:
            if not (asked.isascii() and asked.isdigit()):
                return web.json_response({"error": f"sequence={asked}; allowed: a row's number"}, status=400)
            answer["applied"] = self._total.has(int(asked))
        return web.json_response(answer)

    async def _follow(self, sums: AsyncCollection[dict[str, Any]]) -> None:
        while True:
            try:
                await sums.create_index("sequence")
                while True:
                    if await self._read(sums) < _BATCH:
                        await asyncio.sleep(_POLL_S)
            except PyMongoError as error:
                self._fault = f"the sink cannot be read: {error}"
                _log.warning("%s", self._fault)
                await asyncio.sleep(_RETRY_S)

    async def _read(self, sums: AsyncCollection[dict[str, Any]]) -> int:
        total = self._total
        new = await sums.find({"sequence": {"$gt": total.highest}}).sort("sequence").limit(_BATCH).to_list()
        overtaken = [str(sequence) for sequence in total.missing[-_BATCH:]]
        late = await sums.find({"_id": {"$in": overtaken}}).to_list() if overtaken else []
        for row in (*late, *new):
            total.apply(row["sequence"], row["sum"])
        self._fault = ""
        return len(new)


def main() -> None:
    """Serve until the launcher is gone or done."""
    totalizer = Totalizer(**instructions())
    app = http_app()
    app.cleanup_ctx.append(totalizer.following)
    app.router.add_get("/v1/healthcheck", totalizer.healthcheck)
    app.router.add_get("/v1/results", totalizer.results)
    serve(app)


if __name__ == "__main__":
    main()

"""A service that only says how it is: product-service, user-service, checkout-service or analytics-service.

Run by the launcher as ``python -m tests_perf.services.health``.
"""

from __future__ import annotations

from aiohttp import web

from tests_perf.services.serving import http_app, instructions, serve


def main() -> None:
    """Serve /health and /metrics."""
    answer = {"service": instructions()["name"], "status": "healthy"}

    async def health(_: web.Request) -> web.Response:
        return web.json_response(answer)

    app = http_app()
    app.router.add_get("/health", health)
    serve(app)


if __name__ == "__main__":
    main()

"""Answers what workers ask: what they share, and which servers the session uses."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_cdcperf.cluster.messages import Answer, Ask, ServicesWanted, Serving
from pytest_cdcperf.cluster.shared_state import Store
from pytest_cdcperf.errors import CdcperfError


class Questions:
    """Takes questions in any thread; an answer may come at once or later, in a thread of its own.

    :param serve: returns the servers, and may take long
    """

    def __init__(self, serve: Callable[[], Serving]) -> None:
        self._serve = serve
        self._store = Store()

    def take(self, worker: str, ask: Ask, answer: Callable[[Answer], None]) -> None:
        """Hand *answer* what *worker* asks for."""
        if isinstance(ask.about, ServicesWanted):
            # Servers take seconds to start, and a message every second is waiting to be taken.
            start = threading.Thread(
                target=lambda: answer(self._servers(ask.number)), name="cdcperf-services", daemon=True
            )
            start.start()
            return
        try:
            self._store.call(worker, ask.about, lambda value: answer(Answer(ask.number, value)))
        except Exception as error:  # noqa: BLE001  # a mistake in one body, which is to see it
            answer(Answer(ask.number, error=f"shared: {type(error).__name__}: {error}"))

    def forget(self, worker: str) -> None:
        """*worker* is gone: what it held is free for others."""
        self._store.forget(worker)

    def _servers(self, number: int) -> Answer:
        try:
            return Answer(number, self._serve())
        except CdcperfError as error:
            return Answer(number, error=str(error))

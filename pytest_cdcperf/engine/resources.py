"""Resources that are closed together with their owner, such as the connections of a VU."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

Resource = TypeVar("Resource")


@dataclass(frozen=True)
class _Ending:
    close: Callable[[Any], object]
    cancel: Callable[[Any], object] | None


class Resources:
    """Things opened on the way that live as long as their owner: a connection, a cookie jar, a client.

    Its opener hands in how it is closed and, where it can block a thread, how that is interrupted.
    ``get(key)`` returns what is kept under *key*, or None.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._endings: dict[Hashable, _Ending] = {}
        self._opening = threading.RLock()  # a body may call from several threads, and opening may open something else
        self.get = self._kept.get  # not a method: clients ask with every call

    def keep(
        self,
        key: Hashable,
        value: Any,
        *,
        close: Callable[[Any], object],
        cancel: Callable[[Any], object] | None = None,
    ) -> None:
        """Keep *value* until the owner ends."""
        self._endings[key] = _Ending(close, cancel)
        self._kept[key] = value

    def get_or_open(
        self,
        key: Hashable,
        opening: Callable[[], Resource],
        *,
        close: Callable[[Resource], object],
        cancel: Callable[[Resource], object] | None = None,
    ) -> Resource:
        """Return what is kept under *key*; where that is nothing yet, keep what *opening* returns."""
        with self._opening:
            kept: Resource | None = self.get(key)
            if kept is None:
                kept = opening()
                self.keep(key, kept, close=close, cancel=cancel)
            return kept

    def drop(self, key: Hashable) -> None:
        """Forget what is kept under *key*, without closing it."""
        self._kept.pop(key, None)
        self._endings.pop(key, None)

    def cancel_all(self) -> None:
        """Cancel what blocks a thread. Called from another thread; errors are of no interest then."""
        for key, value in list(self._kept.items()):
            ending = self._endings.get(key)
            if ending is not None and ending.cancel is not None:
                with suppress(Exception):  # the run is over: what cannot be cancelled is named as stuck
                    ending.cancel(value)

    def close_all(self) -> list[Awaitable[object]]:
        """Close everything; return what is left to await."""
        left: list[Awaitable[object]] = []
        while self._kept:
            key, value = self._kept.popitem()
            try:
                closing = self._endings.pop(key).close(value)
            except Exception:  # noqa: BLE001, S112  # closing a broken connection may fail, and nothing was lost by it
                continue
            if isinstance(closing, Awaitable):
                left.append(closing)
        return left

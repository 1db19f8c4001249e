"""Finds what a client keeps for the virtual user that calls it, and refuses calls that are made from the wrong place.

One client object serves all virtual users; the current one is found through a context variable. Code outside of
iterations, such as a fixture, is served by what the client keeps for the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError

Resource = TypeVar("Resource")


def sync_vu(client: str, instead: str) -> VU | None:
    """Return the VU that calls the sync *client*, None outside of an iteration.

    >>> sync_vu("pg", "pg.aio.insert(...)") is None
    True

    :param instead: what to write in an async body, for the message
    :raises BlockingCallError: in an async body, where a blocking call would stall every VU
    """
    refuse_blocking(client, instead)
    return current_vu()


def async_vu(client: str) -> VU:
    """Return the VU that calls the async client of *client*.

    :raises BlockingCallError: outside of an async body, where no event loop runs
    """
    vu = current_vu()
    if vu is None or not vu.is_async:
        raise BlockingCallError(f"{client}.aio works in the body of an async perf test only; elsewhere use {client}")
    return vu


class PerVU(Generic[Resource]):
    """One resource of a client for each VU, and one for the session: opened at the first use, closed with its owner.

    >>> connections = PerVU(lambda: ["open"], list.clear, vu=lambda: sync_vu("pg", "pg.aio.insert(...)"))
    >>> connections.get() is connections.get()
    True

    :param cancel: ends, from another thread, what a VU is blocked in
    :param vu: returns the VU that calls, or refuses the call: :func:`sync_vu` or :func:`async_vu`
    """

    def __init__(
        self,
        opening: Callable[[], Resource],
        close: Callable[[Resource], object],
        cancel: Callable[[Resource], object] | None = None,
        *,
        vu: Callable[[], VU | None],
    ) -> None:
        self._opening = opening
        self._close = close
        self._cancel = cancel
        self._vu = vu
        self._session = Resources()

    def get(self) -> Resource:
        """Return the resource of the VU that calls, outside of an iteration that of the session.

        :raises BlockingCallError: as *vu* refuses
        """
        vu = current_vu()
        kept: Any = (self._session if vu is None else vu.own).get(self)
        return self._first() if kept is None else kept  # what is kept was not refused

    def _first(self) -> Resource:
        vu = self._vu()
        owner = self._session if vu is None else vu.own
        return owner.get_or_open(self, self._opening, close=self._close, cancel=self._cancel)

    def close(self) -> None:
        """Close the resource of the session; those of VUs end with them."""
        self._session.close_all()

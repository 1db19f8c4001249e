"""The messages between the controller of pytest-xdist and its workers, beside those of pytest-xdist itself.

Before a worker starts it is given a channel of ours and the name of the session, in xdist's ``workerinput``. Over the
channel it sends its handshake first, then both send messages of ``cluster/messages.py``, packed by ``cluster/wire.py``.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import pytest

from pytest_cdcperf.plugin.results import SessionName
from pytest_cdcperf.plugin.worker_context import WorkerContext

_CHANNEL, _NAME = "cdcperf_channel", "cdcperf_session"


class Handshake(NamedTuple):
    """The first word of a worker. What is not the same *installed* here and there cannot be understood."""

    installed: str
    host: str

    @classmethod
    def of_this_process(cls) -> Handshake:
        """Return what this process says of itself."""
        return cls(installed(), platform.node())


def installed() -> str:
    """Return the name and version of this package."""
    try:
        return f"pytest-cdcperf {version('pytest-cdcperf')}"
    except PackageNotFoundError:  # run from its sources
        return "pytest-cdcperf from its sources"


def workerinput(channel: Any, name: SessionName) -> dict[str, object]:
    """Return what to add to xdist's ``workerinput``, of types that execnet can send."""
    return {_CHANNEL: channel, _NAME: tuple(name)}


def context_of(config: pytest.Config) -> WorkerContext | None:
    """Return what this worker was given, None in any other process.

    :raises pytest.UsageError: where the process that hands out the tests does not have this plugin
    """
    given = getattr(config, "workerinput", None)
    if given is None:
        return None
    if _CHANNEL not in given:
        raise pytest.UsageError("pytest-cdcperf is not active where the tests are handed out, only on this worker")
    return WorkerContext(given["workerid"], given["workercount"], given[_CHANNEL], SessionName(*given[_NAME]))


def distributes(config: pytest.Config) -> bool:
    """Whether this is the process that hands out tests to workers."""
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None)) and context_of(config) is None

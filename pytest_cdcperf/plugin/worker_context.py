"""The context of a worker in a session over several processes: its id, its channel, the name of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_cdcperf.plugin.results import SessionName

if TYPE_CHECKING:
    from pytest_cdcperf.cluster.link import Channel


@dataclass(frozen=True)
class WorkerContext:
    """Given to a worker before it starts.

    :param worker: its id, such as "gw0"
    :param workers: how many there are
    :param channel: leads to the process that hands out the tests
    :param name: of the session, the same in all its processes
    """

    worker: str
    workers: int
    channel: Channel
    name: SessionName

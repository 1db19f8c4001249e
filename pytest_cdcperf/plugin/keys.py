"""Keys of what the plugin keeps in pytest's stashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession
    from pytest_cdcperf.results.result import RunResult

# Of a session: config.stash
stdout_key: pytest.StashKey[int | None] = pytest.StashKey()  # the standard output as it is before pytest captures it
workers_key: pytest.StashKey[int] = pytest.StashKey()  # how many there would be, of a session that only plans
session_key: pytest.StashKey[PerfSession] = pytest.StashKey()

# Of a module or a class: collector.stash
mistakes_key: pytest.StashKey[dict[str, None]] = pytest.StashKey()  # what is wrong with its tests, each once

# Of a test: item.stash
results_key: pytest.StashKey[list[RunResult]] = pytest.StashKey()  # of its runs so far

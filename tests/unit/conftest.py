"""A recorder whose scope is open, and hypothesis without a database or a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from pytest_cdcperf.metrics.recorder import Recorder, Scope, recording

settings.register_profile("unit", database=None, deadline=None, max_examples=60)
settings.load_profile("unit")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Whatever the test records goes to it."""
    own = Recorder()
    with recording(Scope(own)):
        yield own

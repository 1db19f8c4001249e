"""Fixtures of unit tests: a recorder whose scope is open, and sample results. Hypothesis has no database here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.redaction import forget_secrets
from tests.unit.sample_results import by_one, by_three, empty, result, unmeasurable  # noqa: F401  # fixtures

settings.register_profile("unit", database=None, deadline=None, max_examples=60)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _secrets_forgotten() -> Iterator[None]:
    yield
    forget_secrets()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Whatever the test records goes to it."""
    own = Recorder()
    with recording(Scope(own)):
        yield own

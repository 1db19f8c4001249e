"""Fixtures that hold for all tests."""

import os

import pytest

# What is tested is not the machine: on a busy one the load generators of the sessions inside are unfit. The tests of
# their fitness say themselves what they expect.
os.environ["CDCPERF_ON_UNFIT"] = "warn"


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Run sessions of pytest inside; with the option without which pytest-asyncio warns in each of them.

    A test that leaves that plugin out deletes the variable: the option is unknown then.
    """
    monkeypatch.setenv("PYTEST_ADDOPTS", "-o asyncio_default_fixture_loop_scope=function")
    return pytester

from __future__ import annotations

import pytest

from pytest_cdcperf.clock import FakeClock
from tests.unit.cdc.fake_sink import Client, Sink


@pytest.fixture
def clock():
    return FakeClock(10**9)


@pytest.fixture
def sink(clock):
    return Sink(clock, read_s=0.25)


@pytest.fixture(params=["sync", "async"])
def client(request, sink):
    return Client(sink, request.param == "async")

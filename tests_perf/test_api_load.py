"""The services that TARGET_SERVICE names: up to TARGET_VUS users (10) in 30 s, for DURATION seconds (60), and down."""

import os

import pytest

from pytest_cdcperf import RampingVUs, Rate, Trend, check, perf, think
from tests_perf.services.targets import targets_of
from tests_perf.timing import timed

API_RESPONSE_TIME = Trend("api_response_time", unit="ms")
ERRORS = Rate("errors")
TARGETS = targets_of(os.environ)


@pytest.mark.api_load
@perf(
    load=RampingVUs(start_vus=1, stages=[("30s", TARGETS.vus), (f"{TARGETS.duration_s}s", TARGETS.vus), ("30s", 0)]),
    error_rate=0.1,
    thresholds={"http_req_duration": "p(95)<500", "http_req_failed": "rate<0.1"},
)
def test_services_are_well(http_client, services, vu):
    """Each service says that it is well, in half a second; all-services are asked in turn."""
    name = list(services)[(vu.id + vu.iteration) % len(services)]
    with timed(API_RESPONSE_TIME, ERRORS):
        health = http_client.get(f"{services[name]}/health", name=name)
        assert check("status is 200", health.status_code == 200)
    check("response time < 500ms", health.duration_ms < 500)
    think(1)

"""The Totalizer: 200 iterations of two requests a second for 5 minutes, and a minute later up to 200 users.

An async test: so many busy users are cheaper as tasks than as threads.
"""

import pytest

from pytest_cdcperf import ConstantArrivalRate, Counter, RampingVUs, Trend, check, perf, think
from tests_perf.timing import timed

HTTP_DURATION = Trend("http_duration", unit="ms", group="HTTP")  # of the results alone
HTTP_ERRORS = Counter("http_errors", group="HTTP")


@pytest.mark.totalizer_http
@perf(
    load={
        "constant_load": ConstantArrivalRate(rate=200, duration="5m", vus=50, max_vus=100),
        "stress_test": RampingVUs(
            start_at="6m", start_vus=10, stages=[("2m", 50), ("3m", 100), ("2m", 200), ("1m", 0)]
        ),
    },
    error_rate=0.01,
    thresholds={
        "http_req_duration": ["p(95)<100", "p(99)<200"],
        "http_req_failed": "rate<0.01",
        "http_errors": "count<10",
    },
)
async def test_the_total_is_served(totalizer):
    """The Totalizer says that it is well, and what the total is."""
    health = await totalizer.aio.get("/v1/healthcheck")
    check("healthcheck status 200", health.status_code == 200)
    with timed(HTTP_DURATION, HTTP_ERRORS):
        results = await totalizer.aio.get("/v1/results")
        assert check("results status 200", results.status_code == 200)
        assert check("has result field", "result" in results.json())
    await think.aio(0.01)

"""The Adder: 100 sums a second for 5 minutes, and a minute later a spike to 500."""

import pytest

from pytest_cdcperf import ConstantArrivalRate, Counter, RampingArrivalRate, Trend, check, perf, think
from tests_perf.timing import timed

GRPC_DURATION = Trend("grpc_duration", unit="ms", group="gRPC")
# the client's own: it counts the calls that end with another status than OK
GRPC_ERRORS = Counter("grpc_errors", group="gRPC")


@pytest.mark.adder_grpc
@perf(
    load={
        "constant_load": ConstantArrivalRate(rate=100, duration="5m", vus=50, max_vus=100),
        "spike_test": RampingArrivalRate(
            start_at="6m", start_rate=10, stages=[("1m", 10), ("1m", 500), ("1m", 10)], vus=100, max_vus=200
        ),
    },
    error_rate=0.01,
    thresholds={"grpc_req_duration": ["p(95)<200", "p(99)<500"], "grpc_errors": "count<10"},
)
def test_the_adder_adds(adder, vu):
    """The Adder answers with the right sum, which is in PostgreSQL by then."""
    x, y = vu.random.randrange(100), vu.random.randrange(100)
    with timed(GRPC_DURATION):
        answer = adder.SumNumbers(x=x, y=y)  # raises where the status is not OK
    if not check("sum is correct", answer.sum == x + y):
        GRPC_ERRORS.add()
    think(0.01)

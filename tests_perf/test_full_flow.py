"""The sum flow from end to end: 50 sums a second for 10 minutes, each waited for in the total."""

import time

import pytest

from pytest_cdcperf import ConstantArrivalRate, HttpClient, Rate, Trend, perf, think
from tests_perf.timing import timed

# at least the 5 s of waiting where the sum did not come
E2E_LATENCY = Trend("e2e_latency", unit="ms", group="change data capture")
# Services that do not number their sums show no more than that the total has grown, by whomever's sum: 0 % here
# says that the latencies are of that kind.
E2E_OWN_SUM = Rate("e2e_own_sum", group="change data capture")


@pytest.mark.full_flow
@pytest.mark.usefixtures("one_flow")
@perf(
    load=ConstantArrivalRate(rate=50, duration="10m", vus=50, max_vus=100),
    error_rate=0.01,
    thresholds={"e2e_latency": ["p(95)<2000", "p(99)<5000"]},
)
def test_a_sum_reaches_the_total(adder, totalizer, vu):
    """A sum that the Adder has written to PostgreSQL is in the Totalizer's total."""
    x, y = vu.random.randint(1, 10), vu.random.randint(1, 10)
    total = totalizer.get("/v1/results").json()["result"]
    with timed(E2E_LATENCY):
        answer, call = adder.SumNumbers.with_call(x=x, y=y)
        assert answer.sum == x + y
        wait_for_sum(totalizer, dict(call.trailing_metadata()), total)
    think(0.1)


def wait_for_sum(totalizer: HttpClient, numbered: dict[str, str], total: int, timeout_s: float = 5.0) -> None:
    """Wait until the Totalizer has applied the row *numbered*; without numbers until the total is above *total*."""
    deadline = time.monotonic() + timeout_s
    while True:
        results = totalizer.get("/v1/results", params=numbered).json()
        if results.get("applied", results["result"] > total):
            break
        assert time.monotonic() < deadline, f"the total does not have the sum within {timeout_s:g} s"
        time.sleep(0.02)
    E2E_OWN_SUM.add("applied" in results)

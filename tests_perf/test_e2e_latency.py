"""The time that each stage takes from PostgreSQL to MongoDB: 10 writes a second, however long each takes."""

import pytest

from pytest_cdcperf import Counter, Rate, Trend, perf

WHOLE = Trend("e2e_cdc_latency_ms", unit="ms", group="change data capture")
WRITE = Trend("e2e_pg_write_ms", unit="ms", group="change data capture")
PROPAGATION = Trend("e2e_cdc_propagation_ms", unit="ms", group="change data capture")
CONFIRMATION = Trend("e2e_mongo_confirm_ms", unit="ms", group="change data capture")
SUCCESS = Rate("e2e_propagation_success", group="change data capture")
ATTEMPTS = Counter("e2e_propagation_attempts", group="change data capture")


@pytest.mark.e2e_latency
@perf(
    error_rate=0.01,
    thresholds={
        "e2e_cdc_latency_ms": ["p(50)<500", "p(95)<2000", "p(99)<5000"],
        "e2e_propagation_success": "rate>0.99",
        "e2e_cdc_propagation_ms": "p(95)<1500",
    },
)
def test_the_parts_of_the_latency(shop, cdc):
    """The write, the way of the row to MongoDB, and the read that confirms it are timed one by one."""
    with shop.new_customer() as customer:
        try:
            with cdc.expect("customers", customer.id, email=customer.email) as arrival:
                shop.insert(customer)
            CONFIRMATION.add(arrival.confirm_ms)
        finally:
            SUCCESS.add(arrival.seen)
            ATTEMPTS.add(arrival.reads)
            if arrival.reads:  # a write that failed has nothing under way
                WRITE.add(arrival.e2e_ms - arrival.propagation_ms)
                PROPAGATION.add(arrival.propagation_ms)
                WHOLE.add(arrival.e2e_ms)

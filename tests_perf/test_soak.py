"""Two hours of 50 users: every 5 minutes it is looked at whether processing time and memory are steady."""

import pytest

from pytest_cdcperf import Drift, Trend, group, perf, think

PROCESSING = Trend("soak_processing_stability", unit="ms", group="change data capture")


@pytest.mark.soak
@perf(
    error_rate=0.01,
    thresholds={
        "cdc_e2e_latency": ["p(95)<3000", "p(99)<6000"],
        "cdc_success_rate": "rate>0.99",
        "pg_write_errors": "count<100",
        "mongo_read_errors": "count<100",
    },
    drift=[
        Drift("soak_processing_stability", per_hour=0.10, every="5m"),
        Drift("soak_memory_indicator", per_hour=0.10, every="5m"),
        Drift("stack_memory_mb", per_hour=0.10, every="5m"),
    ],
)
def test_the_life_of_a_customer(shop, cdc):
    """A customer is created, changed and deleted, and MongoDB follows each step."""
    customer = shop.customer("pending")
    with group("Create"), cdc.expect("customers", customer.id, status="pending", timeout="12s") as created:
        shop.insert(customer)
    with (
        group("Update"),
        cdc.expect("customers", customer.id, status="active", timeout="12s", operation="update") as updated,
    ):
        shop.update_status(customer, "active")
    with group("Delete"), cdc.expect_gone("customers", customer.id, timeout="12s") as deleted:
        shop.delete(customer)
    PROCESSING.add(created.e2e_ms + updated.e2e_ms + deleted.e2e_ms)
    think(1, 3)

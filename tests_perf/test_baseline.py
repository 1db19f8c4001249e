"""The figures that everything else is compared with: 10 users for 5 minutes."""

import pytest

from pytest_cdcperf import group, perf, think


@pytest.mark.baseline
@perf(
    error_rate=0.01,
    thresholds={
        "cdc_e2e_latency": ["p(95)<2000", "p(99)<5000"],
        "pg_write_duration": "p(95)<100",
        "mongo_read_duration": "p(95)<50",
        "cdc_success_rate": "rate>0.99",
        "checks": "rate>0.95",
    },
)
def test_new_customer_reaches_mongo(shop, cdc):
    """A customer written to PostgreSQL appears in MongoDB with the same data."""
    with shop.new_customer() as customer:
        with group("Create Customer"), cdc.expect("customers", customer.id, email=customer.email):
            shop.insert(customer)
    think(0.5)

"""The breaking point of the pipeline, and its recovery: up to 150 users and down again, in 16 minutes."""

import pytest

from pytest_cdcperf import perf, think


@pytest.mark.stress
@perf(
    error_rate=0.05,
    thresholds={
        "cdc_e2e_latency": ["p(95)<5000", "p(99)<10000"],
        "pg_write_duration": "p(95)<200",
        "cdc_success_rate": "rate>0.95",
    },
)
def test_ever_more_new_customers(shop, cdc):
    """Every customer written to PostgreSQL appears in MongoDB; the summary names the point where it breaks."""
    customer = shop.customer()
    with cdc.expect("customers", customer.id, email=customer.email, timeout="20s"):
        shop.insert(customer)
    think(0.1, 0.6)

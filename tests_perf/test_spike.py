"""A burst: 10 users become 500 within a minute. It may be slow, it must recover, and no row may be lost."""

import pytest

from pytest_cdcperf import Recovery, perf, think


@pytest.mark.spike
@perf(
    error_rate=0.10,
    thresholds={
        "cdc_e2e_latency": "p(95)<10000",
        "pg_write_duration": "p(95)<500",
        "cdc_success_rate": "rate>0.90",
    },
    recovery=Recovery("cdc_e2e_latency", tolerance=0.5, within="60s"),
    drain="30s",
)
def test_every_new_customer_arrives_in_the_end(shop, cdc):
    """What was not seen within 30 s is looked up again after the load: by then all of it is there."""
    customer = shop.customer()
    with cdc.expect("customers", customer.id, email=customer.email, timeout="30s"):
        shop.insert(customer)
    think(0.05)

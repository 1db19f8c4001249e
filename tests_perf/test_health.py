"""Runs before any load: where the pipeline is not sound, no load starts."""

import pytest

from pytest_cdcperf import PerVUIterations, check, perf


@pytest.mark.health
@perf(gate=True, load=PerVUIterations(vus=1, iterations=1), thresholds={"checks": "rate==1"})
def test_pipeline_is_sound(pg, mongo, shop, cdc):
    """Both databases answer, and one write arrives in the sink and is gone again."""
    check("PostgreSQL answers", pg.execute("SELECT 1 AS one") == [{"one": 1}])
    check("MongoDB answers", mongo.count("customers") >= 0)
    with shop.new_customer() as customer:
        with cdc.expect("customers", customer.id, email=customer.email, status=customer.status):
            shop.insert(customer)
        with cdc.expect_gone("customers", customer.id):
            shop.delete(customer)

"""A working day: customers come, change, order and go, on one pool that all users share."""

from dataclasses import asdict

import pytest

from pytest_cdcperf import Mix, perf, think
from tests_perf.shop.entities import Customer

SEEDS = 10


@pytest.fixture
def customers(shared, shop, cdc):
    """The pool of the run, over all VUs and workers: ten customers before the load, and never fewer."""
    pool = shared.pool("customers")

    def seeds():
        for _ in range(SEEDS):
            create_customer(shop, cdc, pool)
        yield
        while pool.take():
            pass

    with shared.once("seed customers", seeds):
        yield pool


def create_customer(shop, cdc, customers):
    customer = shop.customer("pending")
    with cdc.expect("customers", customer.id, email=customer.email):
        shop.insert(customer)
    customers.put(asdict(customer))


def update_customer(shop, cdc, customers):
    with customers.lease() as customer:
        if customer is None:
            WORKLOAD.skip()
        status = shop.other_status(customer["status"])
        with cdc.expect("customers", customer["id"], status=status, operation="update"):
            shop.update_status(Customer(**customer), status)
            customer["status"] = status


def create_address(shop, cdc, customers):
    with customers.lease() as customer:
        if customer is None:
            WORKLOAD.skip()
        address = shop.new_address(Customer(**customer))
        with cdc.expect("addresses", address.id, street=address.street, city=address.city):
            shop.insert(address)


def create_order(shop, cdc, customers):
    with customers.lease() as customer:
        if customer is None:
            WORKLOAD.skip()
        order = shop.new_order(Customer(**customer))
        with cdc.expect("orders", order.id, total_amount=order.total_amount):
            shop.insert(order)


def delete_customer(shop, cdc, customers):
    customer = customers.take(leaving=SEEDS)
    if customer is None:
        WORKLOAD.skip()
    with cdc.expect_gone("customers", customer["id"]):
        shop.delete(Customer(**customer))


WORKLOAD = Mix({create_customer: 30, update_customer: 25, create_address: 15, create_order: 20, delete_customer: 10})


@pytest.mark.mixed_workload
@perf(
    error_rate=0.05,
    thresholds={"cdc_success_rate": "rate>0.95", "cdc_e2e_latency": "p(95)<3000", "checks": "rate>0.90"},
)
def test_a_working_day(shop, cdc, customers):
    """Each iteration is one operation, drawn by its share; MongoDB follows it."""
    with WORKLOAD.draw() as operation:
        operation(shop, cdc, customers)
    think(0.1, 0.6)

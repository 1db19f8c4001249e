"""The writes of the scenarios to the source."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

from pytest_cdcperf import VU, Postgres
from tests_perf.shop.entities import (
    CUSTOMER_STATES,
    DOMAIN,
    Address,
    Customer,
    Order,
    random_address,
    random_customer,
    random_order,
)

_TABLES: dict[type, str] = {Customer: "customer", Address: "address", Order: "orders"}
_UPSERTED = {"customer": ("email", "status", "updated_at"), "address": ("street", "city", "updated_at")}


class Shop:
    """Writes to the source, and takes back what was written.

    In a body it draws from the random numbers of the iteration, which come again with ``--perf-replay``. Ids alone are
    new each time: a replay must not meet the rows of the run that failed.
    """

    def __init__(self, pg: Postgres, session_id: str, vu: VU) -> None:
        self._pg = pg
        self._session_id = session_id
        self._vu = vu
        self._of_fixtures = random.Random(session_id)

    @property
    def _random(self) -> random.Random:
        return getattr(self._vu, "random", self._of_fixtures)  # outside a body there is no VU

    def customer(self, status: str = "active") -> Customer:
        """Return a customer that is not written yet."""
        return random_customer(self._session_id, self._random, status)

    @contextmanager
    def new_customer(self, status: str = "active") -> Iterator[Customer]:
        """Lend a customer that is not written yet; it is deleted on leaving."""
        customer = self.customer(status)
        try:
            yield customer
        finally:
            self.delete(customer)

    def new_address(self, customer: Customer) -> Address:
        """Return an address of *customer* that is not written yet."""
        return random_address(customer.id, self._session_id, self._random)

    def new_order(self, customer: Customer) -> Order:
        """Return an order of *customer* that is not written yet."""
        return random_order(customer.id, self._session_id, self._random)

    def insert(self, entity: Customer | Address | Order) -> None:
        """Write *entity*: customers and addresses as upserts, orders as inserts."""
        table = _TABLES[type(entity)]
        if table in _UPSERTED:
            row = {**asdict(entity), "updated_at": datetime.now(UTC)}
            self._pg.upsert(table, row, update=_UPSERTED[table])
        else:
            self._pg.insert(table, asdict(entity))

    def update_status(self, customer: Customer, status: str) -> None:
        """Change the status of *customer*, who must be there."""
        values = {"status": status, "updated_at": datetime.now(UTC)}
        changed = self._pg.update("customer", values, where={"id": customer.id})
        assert changed == 1, f"customer {customer.id}: the update hit {changed} rows instead of one"

    def other_status(self, status: str) -> str:
        """Return a status that differs from *status*."""
        return self._random.choice([other for other in CUSTOMER_STATES if other != status])

    def delete(self, entity: Customer | Address | Order) -> None:
        """Take *entity* back."""
        self._pg.delete(_TABLES[type(entity)], where={"id": entity.id})


def remove_run(pg: Postgres, session_id: str) -> int:
    """Delete every row that run *session_id*, or a part of it, wrote; return how many there were."""
    rows = (
        ("DELETE FROM customer WHERE email LIKE %s", f"%@{session_id}%.{DOMAIN}"),
        ("DELETE FROM address WHERE session_id LIKE %s", f"{session_id}%"),
        ("DELETE FROM orders WHERE session_id LIKE %s", f"{session_id}%"),
    )
    with pg.connection() as connection:
        return sum(connection.execute(query, (pattern,)).rowcount for query, pattern in rows)

"""Customers, addresses and orders, as they are before they are written."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from decimal import Decimal

DOMAIN = "loadtest.example"
CUSTOMER_STATES = ("pending", "active", "suspended")
_CITIES = (("New York", "NY"), ("Los Angeles", "CA"), ("Chicago", "IL"), ("Houston", "TX"))


@dataclass(frozen=True)
class Customer:
    """A customer. The run that made it is in the domain of the e-mail address."""

    email: str
    status: str = "active"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Address:
    """An address of a customer."""

    customer_id: str
    session_id: str
    type: str
    street: str
    city: str
    state: str
    postal_code: str
    country: str = "USA"
    is_default: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Order:
    """An order of a customer."""

    customer_id: str
    session_id: str
    total_amount: Decimal
    status: str = "pending"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


def email_domain(session_id: str) -> str:
    """Return the domain of the e-mail addresses of all customers that run *session_id* makes."""
    return f"{session_id}.{DOMAIN}"


def random_customer(session_id: str, draw: random.Random, status: str = "active") -> Customer:
    """Return a new customer of run *session_id*."""
    return Customer(email=f"customer-{draw.getrandbits(64):016x}@{email_domain(session_id)}", status=status)


def random_address(customer_id: str, session_id: str, draw: random.Random) -> Address:
    """Return a new address of a customer."""
    city, state = draw.choice(_CITIES)
    return Address(
        customer_id=customer_id,
        session_id=session_id,
        type=draw.choice(("billing", "shipping")),
        street=f"{draw.randrange(1, 9999)} Test Street",
        city=city,
        state=state,
        postal_code=f"{draw.randrange(10_000, 100_000)}",
        is_default=draw.random() < 0.2,
    )


def random_order(customer_id: str, session_id: str, draw: random.Random) -> Order:
    """Return a new order of a customer, of 10 to 510."""
    return Order(
        customer_id=customer_id, session_id=session_id, total_amount=Decimal(draw.randrange(1_000, 51_000)) / 100
    )

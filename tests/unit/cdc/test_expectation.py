"""A document meets an expectation or not."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pytest_cdcperf.cdc.expectation import Expectation

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
KEY = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a", "a", True),
        ("5", 5, False),
        (5, "5", True),
        (5, 5.0, True),
        (True, 1, False),
        (True, "True", False),
        (None, None, True),
        (Decimal("19.90"), "19.9", True),
        (Decimal("19.90"), 19.9, True),
        (Decimal("19.90"), 19, False),
        (Decimal("19.90"), "many", False),
        (Decimal("19.90"), None, False),
        (NOON, "2024-05-01T12:00:00Z", True),
        (NOON, "2024-05-01T14:00:00+02:00", True),
        (NOON, "2024-05-01T12:00:01Z", False),
        (NOON, "2024-05-01T12:00:00", False),
        (NOON, "noon", False),
        (NOON, NOON, True),
        (date(2024, 5, 1), "2024-05-01", True),
        (date(2024, 5, 1), "2024-05-01Z", True),
        (date(2024, 5, 1), "2024-05-02", False),
        (KEY, str(KEY), True),
        (KEY, "x", False),
        ([1], [1], True),
        ({"a": 1}, {"a": 2}, False),
    ],
)
def test_a_field_is_the_same_where_json_could_not_hold_its_type(expected, actual, same):
    expectation = Expectation("c", "7", {"f": expected}, False, "create", 1.0)
    assert expectation.is_met_by({"f": actual}) is same
    assert not expectation.is_met_by({})
    assert not expectation.is_met_by(None)


def test_nothing_is_not_its_own_name():
    assert not Expectation("c", "7", {"f": None}, False, "create", 1.0).is_met_by({"f": "None"})

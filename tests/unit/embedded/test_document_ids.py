"""Every ``_id`` inside of nx-27017: told apart by type, in order, and never shown to clients."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.embedded.document_ids import inner_document, inner_filter, inner_id, outer_document, outer_id

numbers = st.integers(-(2**62), 2**62) | st.floats(-1e18, 1e18)
FIVE, TEXT = inner_id(5), inner_id("5")


@given(numbers | st.booleans() | st.text())
def test_an_id_comes_back(value: Any) -> None:
    assert outer_id(inner_id(value)) == value
    assert isinstance(inner_id(value), str)


@given(numbers, numbers)
def test_numbers_keep_their_order(one: float, other: float) -> None:
    assert (inner_id(one) < inner_id(other)) == (one < other)
    assert (inner_id(one) == inner_id(other)) == (one == other)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))), st.text(max_size=3))
def test_texts_keep_their_order(one: str, other: str) -> None:
    assert (inner_id(one) < inner_id(other)) == (one < other)


def test_types_are_kept_apart() -> None:
    ids = [5, "5", True, 1, "True", "1", 0, False, ""]
    assert len({inner_id(value) for value in ids}) == len(ids)
    assert inner_id(5) == inner_id(5.0)


@pytest.mark.parametrize("value", [None, ObjectId(), {"a": 1}, b"x"])
def test_what_else_is_an_id_is_left_alone(value: Any) -> None:
    assert inner_id(value) == outer_id(value) == value


@pytest.mark.parametrize(
    ("query", "inner"),
    [
        ({"_id": 5, "n": 5}, {"_id": FIVE, "n": 5}),
        ({"_id": {"$in": [5, "5"]}}, {"_id": {"$in": [FIVE, TEXT]}}),
        ({"_id": {"$gte": 5, "$exists": True}}, {"_id": {"$gte": FIVE, "$exists": True, "$lt": "\x01o"}}),
        ({"_id": {"$lt": "5"}}, {"_id": {"$lt": TEXT, "$gte": "\x01s"}}),
        ({"_id": {"$gt": 5, "$lte": 5}}, {"_id": {"$gt": FIVE, "$lte": FIVE}}),
        ({"_id": {"$not": {"$eq": 5}}}, {"_id": {"$not": {"$eq": FIVE}}}),
        ({"_id": {"$regex": "^5", "$options": "i"}}, {"_id": {"$regex": f"^{TEXT}", "$options": "i"}}),
        ({"$or": [{"_id": 5}, {"$and": [{"_id": "5"}]}]}, {"$or": [{"_id": FIVE}, {"$and": [{"_id": TEXT}]}]}),
        ({"inner": {"_id": 5}}, {"inner": {"_id": 5}}),
        ({}, {}),
    ],
)
def test_a_filter_is_read_by_type(query: dict[str, Any], inner: dict[str, Any]) -> None:
    assert inner_filter(query) == inner


def test_documents_and_events_are_shown_as_they_were_written() -> None:
    document = {"_id": "5", "inner": {"_id": 5}, "_ids": [5]}
    assert inner_document(document) == {**document, "_id": TEXT}
    assert outer_document(inner_document(document)) == document
    assert inner_document({"$set": {"n": 1}}) == {"$set": {"n": 1}}
    event = {"operationType": "insert", "documentKey": {"_id": TEXT}, "fullDocument": {"_id": TEXT, "n": 1}}
    shown = outer_document(event)
    assert (shown["documentKey"], shown["fullDocument"]) == ({"_id": "5"}, {"_id": "5", "n": 1})

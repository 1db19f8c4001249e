"""The audit against a sink of dictionaries, on a clock that only its pauses move."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_cdcperf.cdc import audit as module
from pytest_cdcperf.cdc.audit import Audit, AuditResult
from pytest_cdcperf.cdc.expectation import Expectation
from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.clock import FakeClock


class Sink:
    """Shows each document from a second on; a look-up while it is away raises."""

    def __init__(self, clock):
        self.clock = clock
        self.documents = {}
        self.asked = []
        self.away_until_s = 0.0

    @property
    def now_s(self):
        return self.clock.now_ns() * 1e-9

    def find_many_unmeasured(self, collection, keys, *, timeout_s):
        self.asked.append((collection, len(keys)))
        if self.now_s < self.away_until_s:
            raise ReadError("away")
        there = {key: self.documents.get((collection, key), (1e9, None)) for key in keys}
        return {key: document for key, (since_s, document) in there.items() if self.now_s >= since_s}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sink(clock):
    return Sink(clock)


@pytest.fixture
def audit(sink, clock):
    return Audit(sink, clock=clock, sleep=clock.advance)


def expected(key, collection="customers", *, gone=False, **fields):
    return Expectation(collection, str(key), fields, gone, "create", 1.0)


def test_without_pending_writes_nothing_is_looked_up(audit, sink):
    paid = expected(1)
    audit.record_write(paid)
    audit.record_arrival(paid)
    assert audit.verify(30) == AuditResult((), ("every write was seen in the sink in time",))
    assert sink.asked == []


def test_late_arrivals_are_found_and_counted(audit, sink, clock):
    sink.documents = {("customers", "1"): (0, {"status": "new"}), ("orders", "2"): (12, {"total": "1.50"})}
    audit.record_write(expected(1, status="new"))
    audit.record_write(expected(2, "orders", total=Decimal("1.5")))
    audit.record_write(expected(3, gone=True))
    assert audit.verify(30) == AuditResult(
        (), ("3 writes were not seen in time; 3 of them had arrived 12.0 s after the load",)
    )
    assert sink.now_s == pytest.approx(12)
    assert sink.asked[:3] == [("customers", 2), ("orders", 1), ("orders", 1)]  # who has arrived is not asked again


def test_what_never_arrives_is_named_with_what_the_sink_had(audit, sink):
    sink.documents = {("customers", "1"): (0, {"status": "old"}), ("customers", "2"): (0, {"_id": "2"})}
    audit.record_write(expected(1, status="new"))
    audit.record_write(expected(2, gone=True))
    audit.record_write(expected(3))
    assert audit.verify(30) == AuditResult(
        (
            "3 of 3 writes that were not seen in time never arrived, 30.0 s after the load: "
            "customers _id='1': the sink had status='old' instead of 'new'; "
            "customers _id='2': the sink still had {'_id': '2'}; "
            "customers _id='3': the sink had no document with this _id",
        ),
        ("3 writes were not seen in time; 0 of them had arrived 30.0 s after the load",),
    )
    assert sink.now_s == pytest.approx(30)


def test_a_document_that_comes_at_the_last_moment_has_arrived(audit, sink):
    sink.documents = {("customers", "1"): (30, {})}
    audit.record_write(expected(1))
    assert audit.verify(30).faults == ()


def test_of_many_a_few_are_named(audit):
    for key in range(8):
        audit.record_write(expected(key))
    (fault,) = audit.verify(0).faults
    assert fault.startswith("8 of 8 writes")
    assert fault.count("_id='") == 5
    assert fault.endswith("; and 3 more")


def test_the_last_write_to_a_key_counts(audit, sink):
    sink.documents = {("customers", "1"): (0, {"status": "second"})}
    audit.record_write(expected(1, status="first"))
    audit.record_write(expected(1, status="second"))
    assert audit.verify(0) == AuditResult(
        (), ("1 writes were not seen in time; 1 of them had arrived 0.0 s after the load",)
    )


def test_keys_are_asked_for_in_parts(audit, sink):
    for key in range(2500):
        audit.record_write(expected(key, gone=True))
    assert audit.verify(0).faults == ()
    assert sink.asked == [("customers", 1000), ("customers", 1000), ("customers", 500)]


def test_a_sink_that_is_away_is_asked_again(audit, sink):
    sink.documents = {("customers", "1"): (0, {})}
    sink.away_until_s = 5
    audit.record_write(expected(1))
    assert audit.verify(30).faults == ()


def test_a_sink_that_stays_away_proves_nothing(audit, sink):
    sink.away_until_s = 99
    audit.record_write(expected(1))
    (fault,) = audit.verify(30).faults
    assert fault.endswith("after the load: customers _id='1': the sink could not be read: away")


def test_it_gives_up_when_it_is_told_to(audit, sink):
    audit.record_write(expected(1))
    assert len(audit.verify(30, lambda: sink.now_s >= 2).faults) == 1
    assert sink.now_s == pytest.approx(2)


def test_another_run_has_no_pending_writes_of_the_one_before(audit):
    audit.record_write(expected(1))
    audit.begin_run()
    assert audit.verify(0).faults == ()


def test_what_does_not_fit_into_its_memory_is_no_proof(audit, monkeypatch):
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    for key in range(3):
        audit.record_write(expected(key, gone=True))
    assert audit.verify(0).faults == ("more than 2 writes were not seen in time: whether the rest arrived is unknown",)

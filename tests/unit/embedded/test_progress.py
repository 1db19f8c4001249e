"""A restarted engine reads the rows that share a position in the log again all together."""

from __future__ import annotations

import pytest

from pytest_cdcperf.embedded.debezium import Progress, _report_lost


class Committer:
    def __init__(self) -> None:
        self.marked: list[str] = []
        self.batches = 0

    def markProcessed(self, record: str) -> None:  # noqa: N802 - Debezium's name
        self.marked.append(record)

    def markBatchFinished(self) -> None:  # noqa: N802 - Debezium's name
        self.batches += 1


@pytest.mark.parametrize(
    ("batches", "marked"),
    [
        ([[("a", 1)]], []),
        ([[("a", 1), ("b", 2)]], ["a"]),
        ([[("a", 1), ("b", 1)], [("c", 1)]], []),
        ([[("a", 1), ("b", 1)], [("c", 2)]], ["b"]),
        ([[("a", 1)], [("message", None)]], ["a", "message"]),
        ([[("message", None), ("a", 1)]], ["message"]),
        ([[], [("a", 1), ("message", None), ("b", 1)]], ["a", "message"]),
    ],
)
def test_a_group_counts_as_processed_when_the_next_one_comes(
    batches: list[list[tuple[str, int | None]]], marked: list[str]
) -> None:
    progress, committer = Progress(), Committer()
    for batch in batches:
        progress.note(batch, committer)
    assert committer.marked == marked
    assert committer.batches == len(batches)


@pytest.mark.parametrize(
    ("message", "table"),
    [
        ("Failed to properly convert data value for 'public.t.a' of type _int4 for row [1]:", "t"),
        ("Failed to properly convert key value for 'public.a.b.id' of type int4", "a.b"),
        ("Unexpected JDBC type", None),
    ],
)
def test_a_value_that_debezium_could_not_convert_is_told_by_its_table(message: str, table: str | None) -> None:
    told: list[tuple[str, str]] = []
    _report_lost(message, lambda name, words: told.append((name, words)))
    assert told == ([] if table is None else [(table, f"{message}: the value would be missing")])

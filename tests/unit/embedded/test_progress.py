"""What a restarted engine reads again: never only a part of the rows that share a position in the log."""

from __future__ import annotations

import pytest

from pytest_cdcperf.embedded.debezium import Progress


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

"""The Totalizer's total: rows in any order, each once."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests_perf.services.total import Total


@pytest.mark.parametrize("order", list(permutations([1, 2, 3, 4])))
def test_whatever_the_order_the_total_is_the_same(order: tuple[int, ...]) -> None:
    total = Total()
    applied: set[int] = set()
    for sequence in order:
        total.apply(sequence, 10**sequence)
        applied.add(sequence)
        assert {n for n in range(7) if total.has(n)} == applied
        assert total.result == sum(10**n for n in applied)
        assert total.sequence == max(n for n in range(5) if set(range(1, n + 1)) <= applied)
    assert (total.result, total.sequence, total.missing) == (11110, 4, [])


def test_a_row_that_is_read_again_counts_once() -> None:
    total = Total()
    for sequence in (1, 3, 3, 1):
        total.apply(sequence, 5)
    assert total.result == 10


def test_a_write_that_failed_holds_nobody_up_but_the_sequence() -> None:
    total = Total()
    for sequence in (1, 3, 4):  # 2 was never committed
        total.apply(sequence, 1)
    assert total.has(4)
    assert not total.has(2)
    assert total.sequence == 1
    assert total.missing == [2]
    assert total.highest == 4

"""Quantiles of Student's t, against a table: Abramowitz and Stegun, 26.10, and R's qt() for what lies between."""

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.student import t_quantile


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 3, 3.18245),
        (0.99, 3, 4.54070),
        (0.975, 4, 2.77645),
        (0.95, 5, 2.01505),
        (0.975, 9, 2.26216),
        (0.99, 9, 2.82144),
        (0.995, 19, 2.86093),
        (0.975, 59, 2.00100),
        (0.975, 599, 1.96393),
        (0.975, 1e9, 1.95996),
    ],
)
def test_it_is_the_tables_value(probability, degrees, expected):
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=2e-5)


def test_between_whole_degrees_it_lies_between_their_values():
    assert t_quantile(0.975, 3) < t_quantile(0.975, 2.5) < t_quantile(0.975, 2)


def test_fewer_than_two_degrees_count_as_one():
    assert t_quantile(0.975, 1.5) == t_quantile(0.975, 1)

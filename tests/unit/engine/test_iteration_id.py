from __future__ import annotations

import pytest

from pytest_cdcperf.engine.iteration_id import IterationId, RandomSource, is_seed
from pytest_cdcperf.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "load", "vu", "iteration"),
    [
        ("8c41f0aa::17:203", "", 17, 203),
        ("my-seed:readers:1:0", "readers", 1, 0),
        ("s:run-1/a: b:c:2:3", "run-1/a: b:c", 2, 3),
        ("s:two\nlines:2:3", "two\nlines", 2, 3),
    ],
)
def test_an_iteration_is_read_as_it_is_written(text, load, vu, iteration):
    found = IterationId.parse(text)
    assert (found.load, found.vu, found.iteration) == (load, vu, iteration)
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["", "8c41f0aa", "8c41f0aa:17:203", ":load:1:2", "s::0:1", "s::1:-1", "s::x:1", "s::1:\u0662", "a b::1:2"]
)
def test_what_is_no_iteration_is_refused_in_a_line(text):
    with pytest.raises(ConfigError) as refused:
        IterationId.parse(text)
    assert str(refused.value) == (
        f"{text!r} is not a valid iteration; allowed: SEED:LOAD:VU:ITERATION, as the result shows it beside a failure, "
        "such as 8c41f0aa::17:203; LOAD is empty where the load has no name"
    )


def test_a_seed_is_a_short_text_that_can_be_a_part_of_an_iteration():
    assert all(map(is_seed, ["8c41f0aa", "7", "réplay!", "x" * 64]))
    assert not any(map(is_seed, ["", "a:b", "a b", "x" * 65, "\x1b[0m", "\ud800", "a\n"]))


def test_a_load_is_named_by_its_run_and_itself():
    names = [RandomSource(run=run).load_name(load) for run in ("", "run-1") for load in ("", "readers")]
    assert names == ["", "readers", "run-1", "run-1/readers"]

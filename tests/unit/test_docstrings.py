"""The examples in the docstrings of the package are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import pytest_cdcperf

PUBLIC = {name: getattr(pytest_cdcperf, name) for name in pytest_cdcperf.__all__}
PACKAGE = Path(__file__).parents[2] / "pytest_cdcperf"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", [name_of(path) for path in MODULES])
def test_the_examples_of_a_module_are_true(name):
    found = doctest.testmod(importlib.import_module(name), extraglobs=PUBLIC, optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
    assert found.attempted > 0

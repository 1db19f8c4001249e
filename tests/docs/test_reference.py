"""The page of all public names: complete, current, and its examples run.

Those that need servers run in tests/services/test_docstring_examples.py.
"""

import doctest
import importlib
import re
import sys
from itertools import chain
from pathlib import Path
from types import UnionType

import pytest

import pytest_cdcperf

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    yield importlib.import_module("reference")
    del sys.modules["reference"]


def test_the_page_is_what_the_docstrings_say(reference):
    assert (DOCS / "reference.md").read_text() == reference.page(), "run: python docs/generate.py"


def test_every_public_name_is_on_the_page_once(reference):
    names = reference.page().partition("## Fixtures")[0]
    entries = [line for line in names.splitlines() if line.startswith("### ")]
    assert sorted(entries) == sorted(f"### {name}" for name in pytest_cdcperf.__all__)


def examples(name):
    """Return the examples in the docstrings of a public name and of its members."""
    value = getattr(pytest_cdcperf, name)
    module = sys.modules[value.__module__]
    return [found for found in doctest.DocTestFinder().find(value, name, module=module) if found.examples]


@pytest.mark.parametrize("name", pytest_cdcperf.__all__)
def test_the_examples_of_a_public_name_run(name):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    for example in examples(name):
        example.globs |= {public: getattr(pytest_cdcperf, public) for public in pytest_cdcperf.__all__}
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", pytest_cdcperf.__all__)
def test_a_public_name_has_a_docstring_of_its_own(name):
    value = getattr(pytest_cdcperf, name)
    assert value.__doc__
    assert not (isinstance(value, type) and value.__doc__ is value.__mro__[1].__doc__)


def test_all_that_users_name_shows_an_example_that_runs(reference):
    shown = {name: list(reference.code_blocks(value)) for name, value in reference.documented()}
    arguments = ",".join(re.findall(r"def \w+\((.*)\)", "\n".join(chain(*shown.values()))))
    used = set(re.split(r",\s*", arguments))  # the fixtures among them, since the examples run as tests

    def is_shown(name, value):
        if isinstance(value, UnionType):
            return all(is_shown(part.__name__, part) for part in value.__args__)
        return shown[name] or name in used or (name in pytest_cdcperf.__all__ and examples(name))

    def is_error(value):
        return isinstance(value, type) and issubclass(value, Exception)

    assert [name for name, value in reference.documented() if not (is_error(value) or is_shown(name, value))] == []

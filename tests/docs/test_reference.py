"""The page of all public names: complete, current, and its examples run."""

import doctest
import importlib
import sys
from enum import Enum
from pathlib import Path

import pytest

import pytest_cdcperf

DOCS = Path(__file__).parents[2] / "docs"

# Names whose docstring has no example that runs without a server. A name that gets one is to leave the list.
WITHOUT_EXAMPLE = frozenset(
    (  # noqa: SIM905  # not a line for each
        "Arrival AsyncCdc AsyncGrpcClient AsyncGrpcReplies AsyncHttpClient AsyncMongo AsyncPostgres Cdc Event "
        "GrpcReplies GrpcService HttpHeaders HttpResponse LoadRunner Mongo PerVUSession Pool Postgres Shared"
    ).split()
)


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


def test_public_names_show_an_example():
    def needs_one(name):
        value = getattr(pytest_cdcperf, name)
        return not (isinstance(value, type) and issubclass(value, Exception | Enum))

    missing = {name for name in pytest_cdcperf.__all__ if needs_one(name) and not examples(name)}
    assert missing - WITHOUT_EXAMPLE == set()

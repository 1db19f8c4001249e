"""The names that users import from ``pytest_cdcperf``, as Python and as type checkers see them."""

import ast
import importlib
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pytest_cdcperf
import tests_perf
from pytest_cdcperf.plugin import fixtures

GOOD = """
from pytest_cdcperf import ConstantVUs, HttpClient, Postgres, RunResult, perf

@perf(load=ConstantVUs(vus=5, duration="10s"), p95=200, p99_9="2s", tags={"team": "shop"})
def test_it(pg: Postgres, http_client: HttpClient) -> None:
    pg.insert("customer", {"name": "Ada"})

def figure(result: RunResult) -> float:
    return result["response_time"].quantile(0.95)
"""
MISSPELT_IMPORT = "from pytest_cdcperf import ConstantVU\n"
MISSPELT_ATTRIBUTE = "import pytest_cdcperf\nprint(pytest_cdcperf.ConstantVU)\n"
MISSPELT_KEY = "from pytest_cdcperf import perf\n@perf(vuss=5)\ndef test_it() -> None: ...\n"
WRONG_VALUE = "from pytest_cdcperf import perf\n@perf(vus='5')\ndef test_it() -> None: ...\n"
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--cache-dir", ".mypy_cache"],
    "pyright": ["-m", "basedpyright", "--level", "error", "--pythonpath", sys.executable],
}


def homes_of_the_typed_imports():
    """Return the module of each name that type checkers see."""
    tree = ast.parse(Path(pytest_cdcperf.__file__).read_text())
    (block,) = (part for part in tree.body if isinstance(part, ast.If))
    assert all(alias.asname == alias.name for part in block.body for alias in part.names)  # which makes it public
    return {alias.name: part.module for part in block.body for alias in part.names}


def test_type_checkers_see_the_names_that_python_finds():
    assert homes_of_the_typed_imports() == {
        name: f"pytest_cdcperf.{module}" for name, module in pytest_cdcperf._HOMES.items()
    }
    assert sorted(pytest_cdcperf._HOMES) == pytest_cdcperf.__all__


@pytest.mark.parametrize("name", pytest_cdcperf.__all__)
def test_a_public_name_is_imported_from_the_module_that_defines_it(name):
    value = getattr(pytest_cdcperf, name)
    assert value is getattr(importlib.import_module(f"pytest_cdcperf.{pytest_cdcperf._HOMES[name]}"), name)
    assert name in dir(pytest_cdcperf)


def test_a_name_that_is_not_public_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pytest_cdcperf.nothing


def imported(module):
    """Return what *module* imports from the package, as (module, name)."""
    for part in ast.walk(ast.parse(module.read_text())):
        if isinstance(part, ast.ImportFrom):
            yield from ((part.module, alias.name) for alias in part.names)
        elif isinstance(part, ast.Import):
            yield from ((alias.name, "") for alias in part.names)


def test_scenarios_and_their_services_need_public_names_only():
    scenarios = Path(tests_perf.__file__).parent
    inside = {
        f"{path.relative_to(scenarios)}: {module} {name}"
        for path in scenarios.rglob("*.py")
        for module, name in imported(path)
        if (module or "").split(".")[0] == "pytest_cdcperf"
        and not (module == "pytest_cdcperf" and name in ("", *pytest_cdcperf.__all__))
    }
    assert inside == set()


def test_every_type_that_a_fixture_returns_is_public():
    returned = {
        name: inspect.get_annotations(definition._get_wrapped_function())["return"]
        for name, definition in vars(fixtures).items()
        if hasattr(definition, "_get_wrapped_function") and not name.startswith("_")
    }
    assert {"pg", "load", "vu"} <= returned.keys()
    assert {name: kind for name, kind in returned.items() if kind not in (*pytest_cdcperf.__all__, "str")} == {}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_finds_misspelt_names_and_keys(checker, tmp_path):
    if find_spec(CHECKERS[checker][1]) is None:
        pytest.skip(f"needs {CHECKERS[checker][1]}, of the dependency group types")
    faults = {
        "misspelt_import": MISSPELT_IMPORT,
        "misspelt_attribute": MISSPELT_ATTRIBUTE,
        "misspelt_key": MISSPELT_KEY,
        "wrong_value": WRONG_VALUE,
    }
    modules = {"good": GOOD, **faults}
    for name, source in modules.items():
        (tmp_path / f"{name}.py").write_text(source)
    command = [sys.executable, *CHECKERS[checker], *(f"{name}.py" for name in modules)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    refused = {name for name in modules if any(f"{name}.py:" in line and "error" in line for line in said.splitlines())}
    assert refused == faults.keys(), said

"""The examples in public docstrings that need servers, in one project that runs them."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.grpc_server import PROTOS, Server, serving
from tests.services.harness import ROOT, Session
from tests.services.http_server import HttpServer, http_server

HEAD = "import pytest\nfrom pytest_cdcperf import *\n\n"
SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, status text);
CREATE TABLE orders (id text PRIMARY KEY, status text);
CREATE TABLE order_lines (order_id text, position int, PRIMARY KEY (order_id, position));
"""
PYPROJECT = """
[tool.cdcperf.embedded]
schema = "schema.sql"
"""
CONFTEST = """
@pytest.fixture(scope="session", autouse=True)
def customers(pg, cdc):
    for number, status in {7: "active", 8: "new", 9: "new"}.items():
        with cdc.expect("customers", number, status=status):
            pg.insert("customers", {"id": number, "status": status})

"""
CLEANING = """
def test_cleaning(pytestconfig, pg, perf_session_id):
    pg.insert("orders", {"id": f"{perf_session_id}-2", "status": "new"})
    (removed,) = pytestconfig.hook.pytest_cdcperf_clean(session_id=perf_session_id, pg=pg)
    assert removed >= 1
    assert pytestconfig.hook.pytest_cdcperf_clean(session_id=perf_session_id, pg=pg) == [0]
"""


@pytest.fixture
def shop() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture
def lab() -> Iterator[Server]:
    with serving(reflection=True) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: HttpServer, lab: Server) -> Path:
    """A project with each example as a file of its own; those of hooks are in its conftest.py."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    reference = importlib.import_module("reference")
    monkeypatch.delitem(sys.modules, "reference")
    examples = {code: name for name, value in reference.documented() for code in reference.code_blocks(value)}
    hooks = [code for code in examples if "def pytest_" in code]
    (tmp_path / "conftest.py").write_text(HEAD + CONFTEST + "\n\n".join(hooks))
    for number, (code, name) in enumerate(examples.items()):
        if code not in hooks:
            placed = code.replace("http://shop.example", shop.url).replace("lab.example:50051", lab.address)
            (tmp_path / f"test_{number:02}_{name}.py").write_text(HEAD + placed)
    (tmp_path / "test_cleaning.py").write_text(CLEANING)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "schema.sql").write_text(SCHEMA)
    shutil.copytree(PROTOS, tmp_path / "protos")
    generated = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", "lab.proto", "number.proto"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *generated], check=True)
    return tmp_path


def test_they_run(project: Path, run: Callable[..., Session]) -> None:
    session = run("--perf-run", "--perf-duration=300ms", "-s")
    written = sum(len(re.findall(r"def test_", path.read_text())) for path in project.glob("test_*.py"))
    assert session.code == 0
    assert f"{written} passed" in session.output
    assert "skipped" not in session.output
    assert "RunStarted(facts=" in session.output
    assert re.search(r"^PASSED test_\d+_Postgres.py::test_order$", (project / "verdicts.txt").read_text(), re.MULTILINE)

"""Imports inside functions. Circles, also those under TYPE_CHECKING and in functions, are import-linter's to find."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest_cdcperf

_PACKAGE = Path(pytest_cdcperf.__file__).parent
_WITH_REASON = re.compile(r"# noqa: PLC0415  # \w+")


def late_imports(file: Path) -> Iterator[str]:
    """Yield the lines inside of functions that import from this package."""
    lines = file.read_text().splitlines()
    functions = [
        n for n in ast.walk(ast.parse("\n".join(lines))) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE.name):
            yield f"{file.relative_to(_PACKAGE)}:{node.lineno}: {lines[node.lineno - 1].strip()}"


def test_a_late_import_outside_the_plugin_says_what_it_saves():
    """In plugin/ the reason is always the same: a session without perf tests does not pay for them."""
    files = [file for file in _PACKAGE.rglob("*.py") if file.relative_to(_PACKAGE).parts[0] != "plugin"]
    assert [line for file in files for line in late_imports(file) if not _WITH_REASON.search(line)] == []


def test_late_imports_are_found():
    assert list(late_imports(_PACKAGE / "engine" / "run.py"))

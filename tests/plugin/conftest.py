"""Sessions of pytest inside the tests."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401
import pytest

import pytest_cdcperf

# pytester forgets what an inner session imports first: the next one would get second copies of our modules, and
# spend most of its time on hypothesis, whose plugin loads it.
for module in pkgutil.walk_packages(pytest_cdcperf.__path__, "pytest_cdcperf."):
    if "embedded" not in module.name:
        importlib.import_module(module.name)


@pytest.fixture
def write(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Write a test module that has the usual imports."""

    def write(source: str, name: str = "test_it") -> Path:
        head = "import asyncio, time, pytest\nfrom pytest_cdcperf import *\n"
        return pytester.makepyfile(**{name: head + source})

    return write


@pytest.fixture
def result_of(pytester: pytest.Pytester) -> Callable[[str], dict[str, Any]]:
    """Read the JSON file of one test of the last run."""

    def read(stem: str) -> dict[str, Any]:
        path = pytester.path / "perf-results" / "latest" / f"{stem}.json"
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded

    return read

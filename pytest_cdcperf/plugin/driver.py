"""Tells the tests that drive the load themselves, through our fixture ``load``."""

from __future__ import annotations

import pytest


def drives_load(item: pytest.Function) -> bool:
    """Whether *item* takes the fixture ``load``, and it is ours rather than the project's own of that name."""
    definitions = item._fixtureinfo.name2fixturedefs.get("load", ())
    return bool(definitions) and definitions[-1].func.__module__ == "pytest_cdcperf.plugin.fixtures"

"""Tells the tests that run under load, and those that drive it themselves, through our fixture ``load``.

Asked in every session, so this imports nothing that only perf tests need.
"""

from __future__ import annotations

import pytest


def runs_under_load(item: pytest.Item) -> bool:
    """Whether *item* is a perf test that runs under load in this session."""
    return bool(getattr(item, "runs_under_load", False))


def uses_load_fixture(item: pytest.Function) -> bool:
    """Whether *item* takes the fixture ``load``, and it is ours rather than the project's own of that name."""
    definitions = item._fixtureinfo.name2fixturedefs.get("load", ())
    return bool(definitions) and definitions[-1].func.__module__ == "pytest_cdcperf.plugin.fixtures"

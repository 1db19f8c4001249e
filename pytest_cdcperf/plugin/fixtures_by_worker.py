"""Finds the fixtures of a project that each worker sets up for itself, though there should be one of them in all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cdcperf.plugin.item import PerfFunction


def set_up_by_each(item: PerfFunction) -> Iterator[str]:
    """Yield the fixtures of *item* that outlive a test, tear something down, and do not ask for ``shared``."""
    info = item._fixtureinfo
    for name in info.names_closure:
        definitions = info.name2fixturedefs.get(name, ())
        if definitions and _holds_something(definitions[-1], item) and not _asks_for_shared(name, item):
            yield name


def _holds_something(fixture: pytest.FixtureDef[object], item: PerfFunction) -> bool:
    maker = inspect.unwrap(fixture.func)
    file = inspect.getsourcefile(maker) or ""
    is_own = Path(file).is_relative_to(item.config.rootpath) and "site-packages" not in Path(file).parts
    tears_down = inspect.isgeneratorfunction(maker) or inspect.isasyncgenfunction(maker)
    return fixture.scope != "function" and is_own and tears_down


def _asks_for_shared(name: str, item: PerfFunction) -> bool:
    known, asked = {name}, [name]
    while asked:
        for made in item._fixtureinfo.name2fixturedefs.get(asked.pop(), ()):
            asked += {*made.argnames} - known
            known |= {*made.argnames}
    return "shared" in known

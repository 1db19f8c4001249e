"""ARCHITECTURE.md names every module of plugin/, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest_cdcperf.plugin

PACKAGE = Path(pytest_cdcperf.plugin.__file__).parent
PAGE = Path(__file__).parents[3] / "ARCHITECTURE.md"


def test_the_map_has_every_module():
    section = PAGE.read_text(encoding="utf-8").partition("## A map of `plugin/`")[2].partition("\n\n")[0]
    names = re.findall(r"`([\w/]+)`", "".join(row.partition(" | ")[0] for row in section.splitlines()))
    modules = [path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")]
    assert sorted(names) == sorted(set(modules) - {"xdist/__init__"})

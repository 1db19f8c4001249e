"""Read what a JUnit file says of runs."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

_FIGURE = re.compile(r"[^:]+::([^.]+)\.(.+)", re.DOTALL)


def figures_by_test(path: Path) -> dict[str, dict[str, str]]:
    """Return the figures in the suite's properties, by the name of the test and that of the figure."""
    found: dict[str, dict[str, str]] = {}
    for element in ET.parse(path).iterfind("testsuite/properties/property"):
        match = _FIGURE.fullmatch(element.attrib["name"])
        if match is not None:
            found.setdefault(match[1], {})[match[2]] = element.attrib["value"]
    return found

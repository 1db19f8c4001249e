"""Names the file of the page and the section of a test in it, for links: loaded without what makes the page."""

from __future__ import annotations

import re

from pytest_cdcperf.printable import short_name

PAGE = "report.html"
"""The name of the page in the directory of a session."""


def anchor_of(test: str) -> str:
    """Return the id of the section of *test*, from its node id.

    >>> anchor_of("tests/test_shop.py::test_order[a b]")
    'tests-test_shop-py-test_order-a-b'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", short_name(test)).strip("-") or "run"

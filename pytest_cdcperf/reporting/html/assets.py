"""Styles and scripts that go into the page, with the hashes by which its policy allows them."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def asset(*names: str) -> str:
    """Return the text of files beside this one, one after the other, without indentation: that is 2 kB of each page.

    None of them has a text that goes over several lines, in which blanks would count.
    """
    texts = ((files(__package__) / name).read_text(encoding="utf-8") for name in names)
    return "\n".join(line.strip() for text in texts for line in text.splitlines() if line.strip())


STYLES = ("vendor/uPlot.min.css", "style.css")
SCRIPTS = ("vendor/uPlot.iife.min.js", "script.js")


def policy() -> str:
    """Return the content security policy: nothing is loaded, and nothing runs but our script."""
    allowed = f"script-src {_source(*SCRIPTS)}; style-src {_source(*STYLES)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _source(*names: str) -> str:
    digest = hashlib.sha256(asset(*names).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

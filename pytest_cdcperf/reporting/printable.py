"""Text of users' in a form that every output can hold: files, terminals, and the channel of pytest-xdist."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return *text* with what UTF-8 has no form for, lone surrogates, escaped: ``\ud800``."""
    return text.encode(errors="backslashreplace").decode()

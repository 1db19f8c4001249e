"""Text of users' and servers' in a form that every output can hold: terminals, XML, HTML, JSON, CI logs.

Reporters show nothing that did not come through here, and here it loses its secrets too.
"""

from __future__ import annotations

import hashlib
import re

from pytest_cdcperf.redaction import redact

LONGEST_LINE = 2_000
LONGEST_NAME = 200
LONGEST_TEXT = 8_000
_MARGIN = 20  # what is cut through at first is then in the part that is left out

# What makes a terminal, a parser or a reader see something else: controls (C0, C1), line separators, what changes the
# direction of writing, and what XML and UTF-8 have no form for.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
)
_COLOUR = r"\x1b\[[\d;]*m"
_COLOURS = re.compile(_COLOUR)
_UNPRINTABLE = re.compile(f"[{_UNSEEN}]")
_UNPRINTABLE_IN_LINE = re.compile(f"[\t\n{_UNSEEN}]")
_UNPRINTABLE_BUT_COLOURS = re.compile(f"(?!{_COLOUR})[{_UNSEEN}]")
_COMMAND = re.compile(r"^([ \t]*)(?=::)|(?<!\\)(?=##\[)", re.MULTILINE)  # GitHub's runner and Azure's obey such lines
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    r"""Return *text*, of any number of lines, without secrets and harmless: ``\x1b`` for an escape, and so on.

    Beyond *longest* characters its middle is cut out, and how much that is stands there.
    """
    return _harmless(text.replace("\r\n", "\n"), _UNPRINTABLE, longest)


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    r"""Return *text* as :func:`printable` does, on one line: ``\n`` for a line break."""
    return _harmless(text, _UNPRINTABLE_IN_LINE, longest)


def no_command(line: str) -> str:
    r"""Return *line* so that no CI's runner takes it for a command: of a text that was harmless on one line.

    >>> no_command("  ::error::owned")
    '  \\::error::owned'
    """
    return _COMMAND.sub(r"\1\\", line) if line.lstrip().startswith("::") else line


def short_name(text: str) -> str:
    """Return the name of a metric, a check or a test as :func:`one_line` does, with 200 characters at the most.

    Of those that are longer a few characters of a hash distinguish them.
    """
    left_out = len(text) - LONGEST_NAME
    if left_out <= 0:
        return one_line(text)
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:6]
    return f"{one_line(text[: 2 * LONGEST_NAME])[:LONGEST_NAME]}... [{left_out:,} more characters, {digest}]"


def printable_report(text: str) -> str:
    """Return a text that pytest made of a test, of any length, as :func:`printable` does; pytest's colours stay."""
    bare = _COLOURS.sub("", text) if "\x1b" in text else text
    redacted = redact(bare)  # a colour in the middle of a secret would hide it from us
    return _COMMAND.sub(r"\1\\", _UNPRINTABLE_BUT_COLOURS.sub(_escaped, text if redacted == bare else redacted))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _harmless(text: str, unprintable: re.Pattern[str], longest: int) -> str:
    length, most = len(text), longest * _MARGIN
    if length > most:  # or a server's answer of 100 MB would be searched for secrets
        text = text[: most // 2] + text[-most // 2 :]
    text = unprintable.sub(_escaped, redact(text))
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}... [{max(length, len(text)) - longest:,} characters left out] ...{text[-half:]}"
    return _COMMAND.sub(r"\1\\", text)

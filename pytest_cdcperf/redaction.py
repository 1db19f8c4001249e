"""Text without the secrets in it: every text that leaves the process because of us goes through :func:`redact`.

Two things say what a secret is:

- the values that this process was given as one: passwords of servers, tokens in headers and metadata. Whoever is
  given one tells :func:`hide`;
- the places where secrets stand: the password in a URL or a DSN, ``token=`` in a query, ``Authorization:``,
  ``'api_key': '...'``, a private key in PEM.

A value that is short or that everybody uses is hidden in such places only: a password "a" or "postgres" that was
hidden wherever it occurs would make nonsense of every text. The rule:

- fewer than 6 characters, or one of the defaults that everybody uses ("postgres", "password", "secret", ...):
  in its places only;
- 6 or 7 characters: wherever it stands as a word of its own;
- 8 and more: wherever it occurs, percent-encoded and escaped as in source code too, and next to an ellipsis its
  beginning or its end, of 4 characters and more: pytest shortens long values in their middle.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
_SHORTEST, _SHORTEST_ANYWHERE, _SHORTEST_PIECE = 6, 8, 4
_LONGEST_PIECE = 400  # pytest shows 240 characters of a value
_MOST_KNOWN = 500  # tokens that are new in each call push out the oldest
_DEFAULTS = frozenset(
    {
        *("postgres", "postgresql", "password", "passwd", "secret", "changeme", "default", "example", "mongodb"),
        *("mongo", "admin", "administrator", "root", "debezium", "localhost", "string", "user", "username", "token"),
        *("bearer", "authorization", "trust", "public", "private", "testing", "pytest", "cdcperf"),
    }
)

_NAMES = (
    *("authorization", "cookie", "token", "secret", "password", "passwd", "passphrase", "pwd", "api_key", "api-key"),
    *("apikey", "access_key", "access-key", "accesskey", "private_key", "private-key", "privatekey", "credential"),
    "credentials",
)
_STEMS = ("authorization", "cookie", "token", "secret", "passw", "passphrase", "pwd", "key", "credential")
_SECRET = f"(?:{'|'.join(sorted(_NAMES, key=len, reverse=True))})"
_QUOTED = (  # the last: quoted inside of what is quoted
    r"""[bru]{0,2}(?:'(?:[^'\\\n]|\\+[^\\\n])*(?:'|$)|"(?:[^"\\\n]|\\+[^\\\n])*(?:"|$)"""
    r"""|\\+['"][^'"\\\n]*(?:\\*['"]|$))"""
)
_NO_PORT = r"(?!\d{1,5}(?![\w@])|[{%$]|\*\*\*)"  # after host: stands a port, or what a template puts there
_HEADER = r"(?:^|[\s,;{(\[])"


class _Place(NamedTuple):
    """A place at which secrets stand: a part of every text that has one there, in lower case, and the pattern."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _place(hints: tuple[str, ...], pattern: str, flags: int = re.IGNORECASE | re.MULTILINE) -> _Place:
    return _Place(hints, re.compile(pattern, flags))


_PLACES = (
    _place(("private key-----",), r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[\s\S]*?(-----END|\Z)"),
    # //user:password@host, whose password may hold nearly everything; without its end where it was cut off
    _place(("@",), rf"(//[^\s/@:\['\"]*:){_NO_PORT}[^\s'\"<>]{{1,256}}(@)", flags=0),
    _place(("//",), rf"(//[^\s/@:\['\"]*:){_NO_PORT}(?:[^@]{{1,256}}?(?=@)|[^\s'\"<>]+)()", flags=0),
    _place(("@",), r"((?:https?|ftps?|wss?|grpcs?)://)(?!\*\*\*@)[^\s/@'\"<>]{1,256}(@)"),
    _place(
        ("=",),
        rf"([?&#;](?:[\w.-]{{0,40}}?{_SECRET}|key|sig|signature|auth|jwt|code|session(?:id)?)=)"
        r"(?!\*\*\*)[^\s&#'\"<>]+()",
    ),
    # name=value, but not the name=name of a call in a line of code
    _place(
        ("=",),
        rf"({_SECRET}=)(?!\*\*\*)(?=[^\s,;&'\"()\[\]{{}}]{{0,256}}[\d~+/=-])[^\s,;&'\"()\[\]{{}}]{{4,}}()",
    ),
    _place(("authmechanismproperties=",), r"(authMechanismProperties=)(?!\*\*\*)[^\s&'\"]+()"),
    _place(("aws_session_token",), r"(AWS_SESSION_TOKEN['\"]?:\s*)(?!\*\*\*)['\"]?[^\s&,'\"]+()"),
    # password=..., as in a DSN
    _place(("password",), rf"(password\s*=\s*)(?!\*\*\*|None\b)(?:{_QUOTED}|[^\s'\"]\S*)()"),
    # name = 'value', 'name': 'value', ('name', 'value')
    _place(_STEMS, rf"({_SECRET}\\*['\"]?\s*[:=](?:\s|['\"]\n\s*['\"])*){_QUOTED}()"),
    _place(_STEMS, rf"(\(\s*b?['\"][\w.-]{{0,40}}?{_SECRET}['\"],\s*){_QUOTED}()"),
    # headers as they are sent
    _place(
        ("authorization:",),
        rf"({_HEADER}(?:proxy-)?authorization:[ \t]*)(?!\*\*\*)[^\s'\",]+(?:[ \t]+[^\s'\",;)]+)?()",
    ),
    _place(("cookie:",), rf"({_HEADER}(?:set-)?cookie:[ \t]*+)(?!\*\*\*)[^\n'\"]+()"),
    _place(("bearer",), r"(\bbearer[ \t]+)(?-i:(?=\S{0,19}[\dA-Z._~+/=-]|\S{20}))[\w.~+/=-]{4,}()"),
    _place(("basic",), r"(\bbasic[ \t]+)(?-i:(?=\S{0,60}[\dA-Z=]))[\w+/=-]{8,}()"),
)
_IS_SECRET = re.compile(rf"{_SECRET}$|^x-.*-key$", re.IGNORECASE)
_ELLIPSIS = "..."
_GAP = (  # a blank or a line break, as repr(), pytest and pprint show it too
    r"""(?:\\[nrt]|['"]\n\s*[bru]?['"]|\s(?:E(?=\s))?)+"""
)


class _Form(NamedTuple):
    """One way to write a secret: a part of it that is in every text which holds it, and the pattern."""

    text: str
    part: str
    pattern: re.Pattern[str]


class _Known:
    """The values that are hidden wherever they occur, the last so many of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[_Form, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, value: str | bytes) -> bool:
        return value in self._values

    def add(self, value: str) -> None:
        with self._lock:
            self._values[value] = ()  # its forms are made when a text is to be shown
            if len(self._values) > _MOST_KNOWN:
                del self._values[next(iter(self._values))]

    def values(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._values)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

    def replace(self, text: str) -> str:
        forms = self._forms()
        for form in forms:
            if form.part in text:
                text = form.pattern.sub(MASK, text)
        return _without_pieces(text, forms) if _ELLIPSIS in text else text

    def _forms(self) -> list[_Form]:
        with self._lock:
            for value, forms in self._values.items():
                if not forms:
                    self._values[value] = tuple(map(_form, sorted(_spellings(value), key=len, reverse=True)))
            return [form for forms in self._values.values() for form in forms]


_known = _Known()


def hide(value: str | bytes | None) -> None:
    """Show *value* in no text of this session from now on. Short and common values are not hidden.

    >>> hide("correct-horse-battery")
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not value or value in _known:
        return
    text = value.strip()
    if len(text) >= _SHORTEST and text.lower() not in _DEFAULTS:
        _known.add(value)


def hide_named(headers: object) -> None:
    """Hide the values of those *headers*, or metadata, whose names say that they hold a secret.

    They may be of any type: what cannot be sent is shown in an error.
    """
    if not isinstance(headers, (dict, Iterable)):  # dict first: isinstance() is quick then
        return
    for pair in headers.items() if isinstance(headers, (dict, Mapping)) else headers:
        try:
            name, value = pair
        except (TypeError, ValueError):
            continue
        if isinstance(name, str) and is_secret(name) and isinstance(value, str | bytes) and value not in _known:
            _hide_header(value if isinstance(value, str) else value.decode("latin-1"))


def hide_url(url: str) -> None:
    """Hide the password in *url*, and what else in it is secret by its name."""
    # Not urllib's urlsplit(): it leaves out line breaks, which drivers take for a part of a password.
    scheme, _, rest = url.rpartition("//") if "://" not in url else url.partition("://")
    parts = (rest.partition("/")[0], rest.partition("?")[0])
    userinfo = next((part.rpartition("@")[0] for part in parts if "@" in part), "")
    user, colon, password = userinfo.partition(":")
    secrets = [password] if colon else [user] if scheme.lower() in {"http", "https"} else []
    for pair in re.split("[?&;#]", rest)[1:]:
        name, _, value = pair.partition("=")
        if is_secret(name):
            secrets.append(value)
        if name.lower() == "authmechanismproperties":
            secrets += [held for key, _, held in (held.partition(":") for held in value.split(",")) if is_secret(key)]
    for secret in secrets:
        hide(secret)
        hide(unquote(secret))


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether what bears *name*, such as a header, is a secret."""
    return _IS_SECRET.search(name) is not None


def redact(text: str) -> str:
    """Return *text* with every secret in it replaced by ``***``."""
    text = redact_known(text)
    lowered = text.lower()
    for hints, pattern in _PLACES:
        if any(hint in lowered for hint in hints):
            text = pattern.sub(rf"\g<1>{MASK}\g<2>", text)
    return text


def redact_known(text: str) -> str:
    """Return *text* with the values replaced that this process was given as secrets, and nothing else."""
    return _known.replace(text) if _known else text


def known_secrets() -> tuple[str, ...]:
    """Return the values that are hidden wherever they occur, for a process that shows what this one tells it."""
    return _known.values()


def forget_secrets() -> None:
    """Let go of all values, at the end of who was given them."""
    _known.clear()


def _hide_header(value: str) -> None:
    _, blank, credentials = value.partition(" ")
    hide(credentials if blank else value)
    if blank:
        hide(value)
    if value[:6].lower() == "basic ":
        try:
            hide(base64.b64decode(credentials).decode("utf-8", errors="replace").partition(":")[2])
        except (binascii.Error, ValueError):
            return


def _spellings(value: str) -> set[str]:
    """Return how *value* may stand in a text: as it is, in a URL, in source code, in a DSN."""
    in_dsn = value.replace("\\", "\\\\").replace("'", "\\'")
    plain = {value, value.strip(), in_dsn, quote(value, safe=""), quote_plus(value), quote(value)}
    in_code = {write(form)[1:-1] for form in plain for write in (repr, json.dumps)}
    return plain | in_code | {form.replace("'", "\\'") for form in (value, in_dsn)}


def _form(spelling: str) -> _Form:
    words = spelling.split()
    pattern = _GAP.join(map(re.escape, words))
    if len(spelling) < _SHORTEST_ANYWHERE:
        pattern = rf"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])){pattern}(?![A-Za-z0-9])"
    return _Form(spelling, max(words, key=len), re.compile(pattern))


def _without_pieces(text: str, forms: Iterable[_Form]) -> str:
    """Return *text* without the beginnings and the ends of *forms* that an ellipsis has truncated."""
    pieces = text.split(_ELLIPSIS)
    for form in (form.text for form in forms if len(form.text) >= _SHORTEST_ANYWHERE):
        for place in range(len(pieces) - 1):
            left, right = pieces[place], pieces[place + 1]
            if left[-_SHORTEST_PIECE:] in form and (cut := _overlap(form, left[-_LONGEST_PIECE:])):
                pieces[place] = left[:-cut] + MASK
            if right[:_SHORTEST_PIECE] in form and (cut := _overlap(right[:_LONGEST_PIECE], form)):
                pieces[place + 1] = MASK + right[cut:]
    return _ELLIPSIS.join(pieces)


def _overlap(begins: str, ends: str) -> int:
    """Return how much of the beginning of *begins* is the end of *ends*."""
    most = min(len(begins), len(ends))
    return next((n for n in range(most, _SHORTEST_PIECE - 1, -1) if ends.endswith(begins[:n])), 0)

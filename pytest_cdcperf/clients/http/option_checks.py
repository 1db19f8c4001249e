"""Checks of the options of calls and clients. A fault names the type of a value, not the value: it may be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pytest_cdcperf.errors import UnitError
from pytest_cdcperf.units import duration_s

_NOT_IN_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # RFC 9110, 5.5


class Kind(NamedTuple):
    """The types that a value may have, and what a message calls them."""

    types: tuple[type, ...]
    words: str

    def fault(self, name: str, value: object) -> str:
        """Say what is wrong with *value* of the option *name*, "" where nothing is.

        >>> TEXT.fault("name", 5)
        'name= is of type int; allowed: text'
        """
        return "" if isinstance(value, self.types) else f"{name}= is of type {type(value).__name__}; {self.allowed}"

    @property
    def allowed(self) -> str:
        """The allowed values, for a message."""
        return f"allowed: {self.words}"


TEXT = Kind((str,), "text")
SWITCH = Kind((bool,), "True or False")
HEADERS = Kind((dict, Mapping), "a mapping of names to text")  # dict first: isinstance() is quick then
CALL_OPTIONS: Mapping[str, Kind] = {
    "path": Kind((dict, Mapping), "a mapping of the URL's fields to values"),
    "params": Kind((dict, Mapping, Iterable), "a mapping, or pairs of name and value"),
    "headers": HEADERS,
    "json": Kind((object,), "what JSON has a form for"),
    "data": Kind((dict, Mapping, str, bytes, bytearray, memoryview), "a mapping (a form), text or bytes"),
    "timeout": Kind((object,), "seconds, or a duration as text"),
    "name": TEXT,
    "tags": Kind((dict, Mapping), "a mapping of names to text"),
    "allow_redirects": SWITCH,
    "discard_body": SWITCH,
}


def call_faults(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the *options* of a call.

    >>> call_faults({"name": 5, "allow_redirects": True})
    ['name= is of type int; allowed: text']
    """
    faults = []
    for name, value in options.items():
        if name not in CALL_OPTIONS:
            faults.append(f"no option {name!r}; allowed: {', '.join(CALL_OPTIONS)}")
        elif value is not None and (fault := CALL_OPTIONS[name].fault(name, value)):
            faults.append(fault)
    if not faults and (headers := options.get("headers")):
        faults += header_faults(headers)
    if "timeout" in options:
        faults += timeout_faults(options["timeout"])
    return faults


def header_faults(headers: Mapping[Any, Any]) -> list[str]:
    r"""Return what is wrong with *headers*, one fault each.

    >>> header_faults({"A": "1", "B": "two\nlines"})
    ["the header 'B' has a line break or the like in its value; allowed: one line"]
    """
    faults = []
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            types = f"{type(name).__name__} and {type(value).__name__}"
            faults.append(f"the header {name!r} is of types {types}; allowed: names and values that are text")
        elif _NOT_IN_A_HEADER.search(value):
            faults.append(f"the header {name!r} has a line break or the like in its value; allowed: one line")
    return faults


def timeout_faults(timeout: Any) -> list[str]:
    """Return what is wrong with a *timeout*: seconds, or a duration as text."""
    try:
        duration_s(timeout, above_zero=True)
    except UnitError as error:
        return [f"timeout={error}"]
    return []

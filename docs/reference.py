"""Write the page of all public names from their docstrings: ``python docs/generate.py``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from itertools import groupby, repeat
from pathlib import Path
from types import UnionType
from typing import Any, get_overloads

from _pytest.fixtures import FixtureFunctionDefinition

import pytest_cdcperf
from pytest_cdcperf.plugin import fixtures, hookspecs

PAGE = Path(__file__).parent / "reference.md"
_WIDTH = 100

# The sections of the page: their titles, and the packages and modules whose names they hold.
SECTIONS = {
    "Tests": ("plugin",),
    "Inside a body": ("engine",),
    "Loads": ("load",),
    "Metrics": ("metrics",),
    "Limits and verdict": ("judging",),
    "PostgreSQL, MongoDB, HTTP and gRPC": ("clients", "servers"),
    "Arrivals": ("cdc",),
    "Shared by all workers": ("cluster",),
    "Results": ("results",),
    "Events": ("events",),
    "Secrets": ("redaction",),
    "Errors": ("errors",),
}
_FROM_FIXTURES = ("cdc", "clients", "cluster", "engine.current_vu", "engine.vu", "plugin.load_fixture")
_INTRODUCTION = """# Reference

Every name that `from pytest_cdcperf import ...` finds, then the fixtures and the hooks. Written by
`python docs/generate.py` from the docstrings.
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for title, packages in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [entry(name, value) for name, value in named(packages)]
    parts.append("## Fixtures\n")
    parts += [f"- `{name}`: `{kind}`. {_summary(function)}" for name, kind, function in fixture_functions()]
    parts.append("\n## Hooks\n")
    parts += [entry(name, hook) for name, hook in hooks()]
    return "\n".join(parts).rstrip() + "\n"


def fixture_functions() -> Iterator[tuple[str, str, Any]]:
    """Yield the public fixtures: the name of each, the type that it returns, and its function."""
    for name, fixture in vars(fixtures).items():
        if isinstance(fixture, FixtureFunctionDefinition) and not name.startswith("_"):
            function = fixture._get_wrapped_function()  # noqa: SLF001  # pytest has no public way
            yield name, function.__annotations__["return"], function


def hooks() -> Iterator[tuple[str, Any]]:
    """Yield the hooks by name."""
    yield from ((name, hook) for name, hook in vars(hookspecs).items() if name.startswith("pytest_cdcperf_"))


def documented() -> Iterator[tuple[str, Any]]:
    """Yield all that has a docstring for users, by name: public names, fixtures and hooks."""
    yield from ((name, getattr(pytest_cdcperf, name)) for name in pytest_cdcperf.__all__)
    yield from ((name, function) for name, _, function in fixture_functions())
    yield from hooks()


def code_blocks(value: Any) -> Iterator[str]:
    """Yield the code behind each "::" in the docstrings of *value* and of its members."""
    members = [getattr(value, name, None) for name in dir(value) if not name.startswith("_")]
    for part in [value, *members] if isinstance(value, type) else [value]:
        if str(getattr(part, "__module__", "")).startswith("pytest_cdcperf."):
            yield from (text for is_code, text in _blocks(inspect.getdoc(part) or "") if is_code)


def named(packages: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the public names of *packages* with what they name, errors in the order of their tree."""
    for name in pytest_cdcperf.__all__:
        value = getattr(pytest_cdcperf, name)
        is_error = isinstance(value, type) and issubclass(value, Exception)
        if (is_error and "errors" in packages) or (not is_error and _package_of(name) in packages):
            yield name, value


def entry(name: str, value: Any) -> str:
    """Return what the page says of *value*."""
    lines = [f"### {name}\n"]
    if signature := signature_of(name, value):
        lines.append(f"```python\n{signature}\n```\n")
    if isinstance(value, UnionType):
        lines.append(f"One of {', '.join(f'`{part.__name__}`' for part in value.__args__)}.\n")
    else:
        lines.append(markdown(inspect.getdoc(value) or ""))
    members = list(members_of(value))
    lines += [f"- {member}" for member in members]
    return "\n".join([*lines, ""] if members else lines)


def signature_of(name: str, value: Any) -> str:
    """Return the call of *value* as it is written, "" where users do not call it."""
    if not callable(value) or (isinstance(value, type) and not _is_called_by_users(name, value)):
        return ""
    overloads = get_overloads(value) if inspect.isfunction(value) else []
    parameters = list(inspect.signature(overloads[-1] if overloads else value).parameters.values())
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    words: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        words.append(_written(parameter))
    flat = f"{name}({', '.join(words)})"
    return flat if len(flat) <= _WIDTH else f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"


def members_of(value: Any) -> Iterator[str]:
    """Yield a line for each public method, property and member of a class."""
    if not isinstance(value, type) or issubclass(value, Exception):
        return
    if issubclass(value, Enum):
        yield from (f"`{member.name}`: {member.value!r}" for member in value)
        return
    for owner in (kind for kind in value.__mro__ if kind.__module__.startswith("pytest_cdcperf.")):
        for name, member in vars(owner).items():
            if name.startswith("_") or getattr(value, name, None) is not getattr(owner, name, None):
                continue
            if inspect.isfunction(member):
                call = " ".join(signature_of(name, member).split()).replace("( ", "(").replace(", )", ")")
                yield f"`{call}`: {_summary(member)}"
            elif isinstance(member, property):
                yield f"`{name}`: {_summary(member)}"


def markdown(docstring: str) -> str:
    """Return *docstring* with its parameters as a list and its examples as blocks of Python."""
    parts = []
    for is_code, block in _blocks(docstring):
        if is_code or block.startswith(">>>"):
            parts.append(f"```python\n{block}\n```\n")
        elif block == "::":
            continue
        elif block.startswith(":"):
            parts += [f"- {_field(field)}" for field in re.split(r"\n(?=:)", block)] + [""]
        else:
            parts.append(f"{_inline(re.sub(':+$', ':', block))}\n")
    return "\n".join(parts)


def _blocks(docstring: str) -> Iterator[tuple[bool, str]]:
    """Yield the paragraphs of *docstring*, and the code behind each "::" as one: (whether it is code, text)."""
    for is_code, group in groupby(re.split(r"\n{2,}", docstring), lambda block: block.startswith("    ")):
        if is_code:
            yield True, textwrap.dedent("\n\n".join(group))
        else:
            yield from zip(repeat(False), group, strict=False)


def _package_of(name: str) -> str:
    return str(pytest_cdcperf._HOMES[name]).partition(".")[0]  # noqa: SLF001


def _is_called_by_users(name: str, kind: type) -> bool:
    if issubclass(kind, Exception | Enum) or getattr(kind, "_is_protocol", False):
        return False
    return not str(pytest_cdcperf._HOMES[name]).startswith(_FROM_FIXTURES)  # noqa: SLF001


def _written(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    default = "..." if parameter.default is ... or "object at 0x" in repr(parameter.default) else parameter.default
    default = default if default == "..." else repr(default)
    return f"{parameter.name}{kind} = {default}" if kind else f"{parameter.name}={default}"


def _summary(member: Any) -> str:
    return _inline((inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " "))


def _field(field: str) -> str:
    """Return one ``:param name: text`` as "`name`: text"."""
    text = " ".join(textwrap.dedent(field).split())
    kind, _, rest = text[1:].partition(":")
    word, _, name = kind.partition(" ")
    return f"{'' if word == 'param' else f'{word} '}`{name}`:{_inline(rest)}"


def _inline(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    return re.sub(r"(?<![\w*`])\*(\w+)\*(?![\w*`])", r"`\1`", text)

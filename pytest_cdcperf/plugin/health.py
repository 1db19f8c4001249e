"""Collects the files that ``health`` names: their gates run before any load, also where only other tests were named."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest


class HealthFiles:
    """Adds *paths* to what is collected, and finds what of them the command line did not ask for.

    :param paths: files or directories
    """

    def __init__(self, config: pytest.Config, paths: Sequence[str]) -> None:
        pyargs = bool(config.getoption("pyargs", False))
        self._named = [_named(argument, config.invocation_params.dir, pyargs) for argument in config.args]
        self._paths = [Path(path).resolve() for path in paths]
        whole = [path for path, name in self._named if not name]
        config.args += [str(path) for path in self._paths if not any(path.is_relative_to(known) for known in whole)]

    def unasked(self, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Return those of *items* that were collected for the sake of the gates alone."""
        seen: set[str] = set()
        return [item for item in items if self._has(item) and (not self._is_asked(item) or _repeated(item, seen))]

    def _has(self, item: pytest.Item) -> bool:
        return any(item.path.resolve().is_relative_to(path) for path in self._paths)

    def _is_asked(self, item: pytest.Item) -> bool:
        file, name = item.path.resolve(), item.nodeid.partition("::")[2]
        return any(
            file.is_relative_to(path)
            and (not wanted or name == wanted or name.startswith((f"{wanted}::", f"{wanted}[")))
            for path, wanted in self._named
        )


def _repeated(item: pytest.Item, seen: set[str]) -> bool:
    known = item.nodeid in seen
    seen.add(item.nodeid)
    return known


def _named(argument: str, start: Path, pyargs: bool) -> tuple[Path, str]:
    """Return the path that an argument of the command line names, and what of that file: "" for all of it."""
    base, bracket, parameters = argument.partition("[")
    place, _, name = base.partition("::")
    path = (_module_path(place) if pyargs else None) or start / place
    return path.resolve(), name + bracket + parameters


def _module_path(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):  # it is a path, or pytest says itself that there is no such module
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path

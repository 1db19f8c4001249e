"""Classes whose mistakes are told in one line, at the line of the user's that made them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from pytest_cdcperf.errors import ConfigError, shown

_Class = TypeVar("_Class")


def checked(cls: type[_Class]) -> type[_Class]:
    """Make the dataclass *cls* refuse keywords that it does not have, or lacks, as it refuses its values.

    Its own frames are not part of the error's traceback: what is left ends at the line that wrote the mistake.
    """
    made: Callable[..., None] = cls.__init__
    signature = inspect.signature(made)
    parameters = list(signature.parameters.values())[1:]

    @wraps(made)
    def init(self: _Class, *values: Any, **keys: Any) -> None:
        __tracebackhide__ = True
        try:
            signature.bind(self, *values, **keys)
        except TypeError:
            raise ConfigError(*(f"{cls.__name__}: {fault}" for fault in _faults(parameters, values, keys))) from None
        try:
            made(self, *values, **keys)
        except ConfigError as error:
            raise error.with_traceback(None) from None

    cls.__init__ = init  # type: ignore[assignment]
    return cls


def _faults(parameters: Sequence[inspect.Parameter], values: Sequence[Any], keys: Mapping[str, Any]) -> list[str]:
    names = [parameter.name for parameter in parameters]
    placed = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    given = {*placed[: len(values)], *keys}
    missing = [p.name for p in parameters if p.default is inspect.Parameter.empty and p.name not in given]
    allowed = ", ".join(names)
    return [
        *(f"{shown(value)} has no name; allowed: {allowed}" for value in values[len(placed) :]),
        *(f"{name} is stated twice; allowed: once" for name in placed[: len(values)] if name in keys),
        *(f"unknown key {key}={shown(value)}; allowed: {allowed}" for key, value in keys.items() if key not in names),
        *([f"needs {', '.join(missing)}"] if missing else []),
    ]

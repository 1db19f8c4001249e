"""Checks of the values that users write: each returns what is wrong with a value, and "" where nothing is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeGuard, TypeVar

from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.units import duration_s

_Class = TypeVar("_Class")


def is_number(value: object) -> TypeGuard[float]:
    """Whether *value* is a number. True and False, which Python counts among them, are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether *value* is an int, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)


def number_fault(value: object, *, above: float | None = None, at_least: float | None = None) -> str:
    """Say what is wrong with a value that must be a number.

    >>> number_fault(True, above=0)
    'True; allowed: a number above 0'
    """
    if is_number(value) and (above is None or value > above) and (at_least is None or value >= at_least):
        return ""
    bound = f" above {above:g}" if above is not None else f" of at least {at_least:g}" if at_least is not None else ""
    return f"{shown(value)}; allowed: a number{bound}"


def whole_number_fault(value: object, *, at_least: int | None = None, at_most: int | None = None) -> str:
    """Say what is wrong with a value that must be a whole number.

    >>> whole_number_fault(0, at_least=1)
    '0; allowed: a whole number of at least 1'
    """
    if is_whole_number(value) and (at_least is None or value >= at_least):
        return f"{shown(value)}; allowed: at most {at_most:,}" if at_most is not None and value > at_most else ""
    bound = f" of at least {at_least}" if at_least is not None else ""
    return f"{shown(value)}; allowed: a whole number{bound}"


def share_fault(value: object, words: str = "a share of 0 to 1", *, at_most: float = 1) -> str:
    """Say what is wrong with a value that must be a share, of 0 to 1 unless *at_most* says otherwise.

    >>> share_fault("1%")
    "'1%'; allowed: a share of 0 to 1"
    """
    return "" if is_number(value) and 0 <= value <= at_most else f"{shown(value)}; allowed: {words}"


def duration_fault(value: object, *, above_zero: bool = False) -> str:
    """Say what is wrong with a value that must be a duration: a number of seconds, or text such as "5m".

    >>> duration_fault("5m"), duration_fault(0, above_zero=True)
    ('', '0; allowed: a duration above zero')
    """
    try:
        duration_s(value, above_zero=above_zero)
    except UnitError as error:
        return str(error)
    return ""


def read_durations(owner: object, *names: str, above_zero: bool = False) -> list[str]:
    """Replace the durations in the fields *names* of *owner*, a frozen dataclass, by their seconds.

    Return what is wrong with those that are not durations, each with its key before it.
    """
    faults = []
    for name in names:
        try:
            object.__setattr__(owner, name, duration_s(getattr(owner, name), above_zero=above_zero))
        except UnitError as error:
            faults.append(f"{name}={error}")
    return faults


def text_mapping_fault(value: object) -> str:
    """Say what is wrong with a value that must be a mapping of text to text.

    >>> text_mapping_fault({"a": 1})
    "{'a': 1}; allowed: a mapping of text to text"
    """
    if isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair):
        return ""
    return f"{shown(value)}; allowed: a mapping of text to text"


def switch_fault(value: object) -> str:
    """Say what is wrong with a value that must be True or False.

    >>> switch_fault("no")
    "'no'; allowed: True or False"
    """
    return "" if isinstance(value, bool) else f"{shown(value)}; allowed: True or False"


def choice_fault(value: object, allowed: Iterable[str]) -> str:
    """Say what is wrong with a value that must be one of the texts *allowed*.

    >>> choice_fault("middle", ("begin", "end"))
    "'middle'; allowed: begin, end"
    """
    choices = list(allowed)
    return "" if isinstance(value, str) and value in choices else f"{shown(value)}; allowed: {', '.join(choices)}"


def by_key(**faults: str) -> list[str]:
    """Return those of *faults* that say something, each with its key before it.

    >>> by_key(vus=whole_number_fault(0, at_least=1), gate=switch_fault(True))
    ['vus=0; allowed: a whole number of at least 1']
    """
    return [f"{key}={fault}" for key, fault in faults.items() if fault]


def checked(cls: type[_Class]) -> type[_Class]:
    """Make the dataclass *cls* refuse keywords that it does not have, or lacks, as it refuses its values.

    The traceback of such an error ends at the user's line that wrote the mistake: none of our frames are in it.
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
            faults = _argument_faults(parameters, values, keys)
            raise ConfigError(*(f"{cls.__name__}: {fault}" for fault in faults)) from None
        try:
            made(self, *values, **keys)
        except ConfigError as error:
            raise error.with_traceback(None) from None

    cls.__init__ = init  # type: ignore[assignment]
    return cls


def _argument_faults(
    parameters: Sequence[inspect.Parameter], values: Sequence[Any], keys: Mapping[str, Any]
) -> list[str]:
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

"""A body that does one of several things, each in its planned share of the iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Generic, NoReturn, TypeVar

from pytest_cdcperf.checks import is_number
from pytest_cdcperf.engine.body import group
from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.metrics.groups import EXECUTION
from pytest_cdcperf.metrics.metric import Counter
from pytest_cdcperf.metrics.snapshot import CounterState, Snapshot, State

OPERATIONS = Counter("operations", group=EXECUTION)
OPERATIONS_SKIPPED = Counter("operations_skipped", group=EXECUTION)

_MOST_WEIGHT = 1e9
_ALLOWED = "allowed: functions with weights above 0, at most 1e9"

Operation = TypeVar("Operation", bound=Callable[..., Any])


class Mix(Generic[Operation]):
    """Functions with their shares, by weight: ``Mix({create: 70, delete: 30})``.

    The result's notes show the realised shares beside the planned.

    >>> def create(): ...
    >>> def delete(): ...
    >>> orders = Mix({create: 70, delete: 30})
    >>> def test_orders():
    ...     with orders.draw() as operation:
    ...         operation()

    :raises ConfigError: when a weight is not a number above 0
    """

    def __init__(self, weights: Mapping[Operation, float]) -> None:
        if not isinstance(weights, Mapping):
            raise ConfigError(
                f"Mix: {shown(weights)} is not a mapping; {_ALLOWED}, such as Mix({{create: 70, delete: 30}})"
            )
        wrong = [f"{_name(op)}: {shown(weight)}" for op, weight in weights.items() if not _is_weight(weight)]
        if wrong or not weights:
            raise ConfigError(f"Mix: {', '.join(wrong) or 'no operation'}; {_ALLOWED}")
        self._operations = list(weights)
        self._until = list(accumulate(weights.values()))
        self._tags = {
            op: {"operation": _name(op), "planned": f"{weight / self._until[-1] * 100:.4g}%"}
            for op, weight in weights.items()
        }

    @contextmanager
    def draw(self) -> Iterator[Operation]:
        """Lend the operation of this iteration, drawn by the VU's own random numbers, in a group of its name."""
        operation: Operation = CurrentVU().random.choices(self._operations, cum_weights=self._until)[0]
        tags = self._tags[operation]
        OPERATIONS.add(1, tags)
        with group(tags["operation"]):
            try:
                yield operation
            except _NothingToDo:
                OPERATIONS_SKIPPED.add(1, tags)

    def skip(self) -> NoReturn:
        """End the operation that was drawn, which found nothing to work on."""
        raise _NothingToDo


class _NothingToDo(Exception):  # noqa: N818  # no error
    pass


def shares(series: Snapshot) -> str:
    """Return the realised shares of a run's mix beside the planned ones, "" where it had none."""
    drawn = {name: _count(state) for name, state in series.by_tag(OPERATIONS.name, "operation")}
    skipped = {name: _count(state) for name, state in series.by_tag(OPERATIONS_SKIPPED.name, "operation")}
    planned = {tags["operation"]: tags["planned"] for tags in _tags(series)}
    done = sum(drawn.values()) - sum(skipped.values())
    return ", ".join(
        f"{name} {(count - skipped.get(name, 0)) / done:.1%} (planned {planned[name]}"
        + (f", {skipped[name]:.0f} skipped)" if name in skipped else ")")
        for name, count in drawn.items()
        if done
    )


def _tags(series: Snapshot) -> Iterator[dict[str, str]]:
    return (dict(key.tags) for key in series.series if key.name == OPERATIONS.name)


def _count(state: State) -> float:
    return state.total if isinstance(state, CounterState) else 0.0


def _name(operation: Callable[..., Any]) -> str:
    return getattr(operation, "__name__", str(operation))


def _is_weight(weight: object) -> bool:
    return is_number(weight) and 0 < weight <= _MOST_WEIGHT

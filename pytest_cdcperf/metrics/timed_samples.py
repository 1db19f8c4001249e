"""Samples with their times, for outputs that want every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.metric import Metric, Tags


@dataclass(frozen=True)
class TimedSamples:
    """Samples of one series: each of *values* with its time in *times_ns*, nanoseconds of the wall clock."""

    metric: Metric
    tags: Tags
    values: Sequence[Any]
    times_ns: Sequence[int]


Tap = Callable[[Sequence[TimedSamples]], None]  # takes what was recorded since the last call


class TimedList(list[Any]):
    """A list that notes when each value was appended."""

    __slots__ = ("_times_ns",)

    def __init__(self) -> None:
        super().__init__()
        self._times_ns: list[int] = []

    def append(self, value: Any) -> None:
        """Append *value*. Its time comes first, so that no value is ever without one."""
        self._times_ns.append(time.time_ns())
        super().append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Append *values*, all with the time of now."""
        taken = list(values)
        self._times_ns.extend([time.time_ns()] * len(taken))
        super().extend(taken)

    def take_times(self, count: int) -> list[int]:
        """Return the times of the first *count* values, which the caller has taken."""
        times_ns = self._times_ns[:count]
        del self._times_ns[:count]
        return times_ns

"""A value that changes piecewise linearly over time: the shape of a ramp, computed in closed form."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Segment:
    """A straight piece: from *start_value* to *end_value* in *length_s* seconds from *start_s* on."""

    start_s: float
    length_s: float
    start_value: float
    end_value: float

    @property
    def end_s(self) -> float:
        """The time at which it ends."""
        return self.start_s + self.length_s

    @property
    def area(self) -> float:
        """The integral of the value over the piece."""
        return (self.start_value + self.end_value) / 2.0 * self.length_s

    @property
    def slope(self) -> float:
        """The change of the value per second."""
        return (self.end_value - self.start_value) / self.length_s

    def value(self, at_s: float) -> float:
        """Return the value at a time within the piece."""
        return self.start_value + self.slope * (at_s - self.start_s)

    def time_of(self, value: float) -> float:
        """Return when the piece, which must not be level, has *value*."""
        return self.start_s + (value - self.start_value) / self.slope

    def time_of_area(self, area: float) -> float:
        """Return when the integral from the start of the piece reaches *area*.

        The root of ``slope/2 t^2 + start_value t - area``, in the form that does not cancel.
        """
        if area <= 0.0:
            return self.start_s
        root = math.sqrt(max(0.0, self.start_value**2 + 2.0 * self.slope * area))
        return self.start_s + 2.0 * area / (self.start_value + root)


@dataclass(frozen=True)
class Ramp:
    """Straight pieces one after the other, from time 0 on."""

    segments: tuple[Segment, ...]

    @classmethod
    def through(cls, start_value: float, stages: Sequence[tuple[float, float]]) -> Ramp:
        """Return the ramp that goes from *start_value* through (length in seconds, target) *stages*.

        A stage of no length is a step to its target.
        """
        segments: list[Segment] = []
        at_s, value = 0.0, start_value
        for length_s, target in stages:
            if length_s > 0:
                segments.append(Segment(at_s, length_s, value, target))
            at_s, value = at_s + length_s, target
        return cls(tuple(segments))

    @property
    def length_s(self) -> float:
        """Its duration."""
        return self.segments[-1].end_s

    @cached_property
    def _areas_before(self) -> list[float]:
        return list(accumulate((segment.area for segment in self.segments), initial=0.0))

    @property
    def area(self) -> float:
        """The integral of the value over all of it."""
        return self._areas_before[-1]

    @property
    def peak(self) -> float:
        """The highest value that it has."""
        return max(max(segment.start_value, segment.end_value) for segment in self.segments)

    def value(self, at_s: float) -> float:
        """Return the value at a time, the last one beyond the end."""
        for segment in self.segments:
            if at_s < segment.end_s:
                return segment.value(at_s)
        return self.segments[-1].end_value

    def pieces(self, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        """Yield the first and the last value of each straight piece between two times."""
        for segment in self.segments:
            first_s, last_s = max(begin_s, segment.start_s), min(end_s, segment.end_s)
            if first_s < last_s:
                yield segment.value(first_s), segment.value(last_s)

    def time_of_area(self, area: float) -> float:
        """Return when the integral from the start reaches *area*, which is at most all of it."""
        place = min(bisect_right(self._areas_before, area) - 1, len(self.segments) - 1)
        return self.segments[place].time_of_area(area - self._areas_before[place])

    def spans_at_least(self, level: int) -> list[tuple[float, float]]:
        """Return the spans of time in which unit number *level*, from 1 on, is there.

        Going up it comes when the value reaches *level*; going down it leaves when the value has come
        down to ``level - 1``. These are k6's steps of a ramp of VUs.
        """
        spans: list[tuple[float, float]] = []
        since: float | None = None
        for segment in self.segments:
            if since is None and segment.start_value >= level:
                since = segment.start_s
            elif since is not None and segment.start_value <= level - 1:  # a step down
                spans.append((since, segment.start_s))
                since = None
            if since is None and segment.start_value < level <= segment.end_value:
                since = segment.time_of(level)
            elif since is not None and segment.end_value <= level - 1 < segment.start_value:
                spans.append((since, segment.time_of(level - 1)))
                since = None
        if since is not None:
            spans.append((since, self.length_s))
        return spans

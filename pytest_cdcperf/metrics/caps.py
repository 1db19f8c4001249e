"""Caps on the series that a run keeps: what is beyond them is merged or left out, and a note says so."""

from __future__ import annotations

from pytest_cdcperf.metrics.calls import always_apart
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.metrics.snapshot import SeriesKey

MAX_METRICS = 300  # with samples, of one run
MAX_SERIES_PER_METRIC = 200
MAX_SERIES = 1500  # of all metrics together, but for the first few of each
MAX_GROUPS = 200

OVERFLOW: Tags = (("overflow", "true"),)
_FIRST_FEW = 5  # no metric loses its scenarios to the URLs of another
_REMEDY = "give calls a name= without ids, or use fewer tags"


def _lumped(key: SeriesKey) -> Tags:
    """Return the tags that the samples of *key* have together with those of others: failed calls stay apart."""
    return tuple(sorted((*OVERFLOW, *(pair for pair in key.tags if pair in always_apart(key.name)))))


class Caps:
    """The series of a run that are kept apart. Not thread-safe."""

    def __init__(self) -> None:
        self._per_metric: dict[str, int] = {}
        self._known: dict[SeriesKey, SeriesKey] = {}
        self._overflowing: set[str] = set()
        self._crowded: set[str] = set()
        self._groups: set[Tags] = set()
        self._too_many_groups = False
        self._first_left_out = ""

    def series(self, key: SeriesKey) -> SeriesKey | None:
        """Return the series that samples of *key* are kept in, None where there are metrics enough."""
        known = self._known.get(key)
        if known is not None:
            return known
        count = self._per_metric.get(key.name, 0)
        if key.name not in self._per_metric and len(self._per_metric) >= MAX_METRICS:
            self.leave_out(key.name)
            return None
        lumped = SeriesKey(key.name, key.kind, _lumped(key))
        if key != lumped:
            if count >= MAX_SERIES_PER_METRIC:
                self._overflowing.add(key.name)
                return lumped
            if count >= _FIRST_FEW and len(self._known) >= MAX_SERIES:
                self._crowded.add(key.name)
                return lumped
        self._per_metric[key.name] = count + (key != lumped)
        self._known[key] = key
        return key

    def group(self, tags: Tags) -> Tags:
        """Return the tags that samples of a group carry: *tags*, or those of all further groups."""
        if tags in self._groups or len(self._groups) < MAX_GROUPS:
            self._groups.add(tags)
            return tags
        self._too_many_groups = True
        return tuple(sorted({**{name: value for name, value in tags if name != "group"}, **dict(OVERFLOW)}.items()))

    def leave_out(self, metric: str) -> None:
        """Note that samples of *metric* are not kept."""
        self._first_left_out = self._first_left_out or metric

    def notes(self) -> list[str]:
        """Which caps were reached, and what to do, one line each."""
        notes = [
            f"{name}: more than {MAX_SERIES_PER_METRIC} sets of tags; further ones are lumped together: {_REMEDY}"
            for name in sorted(self._overflowing)
        ]
        if self._crowded:
            names = ", ".join(sorted(self._crowded))
            notes.append(
                f"more than {MAX_SERIES} sets of tags in all; further ones of {names} are lumped together: {_REMEDY}"
            )
        if self._too_many_groups:
            notes.append(f"more than {MAX_GROUPS} groups; further ones are lumped together: name groups without ids")
        if self._first_left_out:
            notes.append(
                f"more than {MAX_METRICS} metrics; samples of further ones are not kept, "
                f"{self._first_left_out!r} the first of them: use one metric with tags"
            )
        return notes

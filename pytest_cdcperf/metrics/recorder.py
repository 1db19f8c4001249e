"""The recorder takes the samples of a run while it is under way.

Recording is one ``list.append``, which is atomic: no lock, no sample lost. One thread drains the lists
once a second and folds what it finds into histograms and sums; so a sample costs a few tens of
nanoseconds where it is taken, and memory does not grow with the length of the run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.caps import Caps
from pytest_cdcperf.metrics.metric import Append, Kind, Metric, Tags, is_defined
from pytest_cdcperf.metrics.snapshot import BY_TIME, SeriesKey, Snapshot, new_state
from pytest_cdcperf.metrics.timed_samples import Tap, TimedList, TimedSamples

_MOST_KEPT = 10_000  # lookups of a recorder in one phase: beyond, they are made again each time
_MOST_NOTES = 20

_NOWHERE: deque[float] = deque(maxlen=0)


class Recorder:
    """All series of one run in one worker.

    :param elapsed_s: the seconds since the common start of all workers, for the readings of gauges
    :param tap: given every sample with its time, each time the lists are drained; without it no time is noted
    """

    def __init__(self, elapsed_s: Callable[[], float] = time.perf_counter, tap: Tap | None = None) -> None:
        self._elapsed_s = elapsed_s
        self._tap = tap
        self._new_list: Callable[[], list[Any]] = list if tap is None else TimedList
        self._pending: dict[SeriesKey, tuple[Metric, list[Any]]] = {}
        self._caps = Caps()
        self._lock = threading.Lock()
        self._left_out: dict[str, int] = {}
        self._said: dict[str, None] = {}
        self._lookups: dict[tuple[Tags, int], Lookups] = {}
        self.kept: dict[int, int] = {}  # in all lookups of a phase together

    def pending(self, metric: Metric, tags: Tags = (), phase: int = BY_TIME) -> list[Any] | deque[Any]:
        """Return the list that samples of *metric* with *tags* are appended to. It is never replaced.

        Samples are numbers; of a gauge they are pairs of a time, in seconds since the start, and a number.
        """
        with self._lock:
            if not is_defined(metric):
                self._caps.leave_out(metric.name)
                return _NOWHERE
            key = self._caps.series(SeriesKey(metric.name, metric.kind, tags))
            return (
                _NOWHERE
                if key is None
                else self._pending.setdefault(key.in_phase(phase), (metric, self._new_list()))[1]
            )

    def append_to(self, metric: Metric, tags: Tags = (), phase: int = BY_TIME) -> Append:
        """Return what records a sample of *metric* with *tags*."""
        append = self.pending(metric, tags, phase).append
        if metric.kind is not Kind.GAUGE:
            return append
        elapsed_s = self._elapsed_s
        return lambda value: append((elapsed_s(), value))

    def lookups(self, tags: Tags, phase: int = BY_TIME) -> Lookups:
        """Return what all scopes with *tags* have looked up in *phase*."""
        known = self._lookups.get((tags, phase))
        return self._lookups.setdefault((tags, phase), Lookups(self, tags, phase)) if known is None else known

    def group(self, tags: Tags) -> Tags:
        """Return the tags that samples of a group carry: *tags*, or those of all further groups."""
        with self._lock:
            return self._caps.group(tags)

    def drain(self) -> Snapshot:
        """Return what was recorded since the last call."""
        snapshot = Snapshot()
        tapped: list[TimedSamples] = []
        with self._lock:
            for key, (metric, pending) in self._pending.items():
                # Appends go on meanwhile: only what was there at this moment is taken.
                values = pending[:]
                del pending[: len(values)]
                if values and isinstance(pending, TimedList):
                    tapped.append(TimedSamples(metric, key.tags, values, pending.take_times(len(values))))
                if values:
                    state = snapshot.series[key] = new_state(key.kind, metric.merging)
                    if left_out := state.record(values):
                        self._left_out[metric.name] = self._left_out.get(metric.name, 0) + left_out
        if self._tap is not None:
            self._tap(tapped)
        return snapshot

    def note(self, line: str) -> None:
        """Say *line* beside the figures, once however often it is given."""
        with self._lock:
            if len(self._said) < _MOST_NOTES:
                self._said[line] = None

    def notes(self) -> list[str]:
        """The notes, with those on samples that were left out or lumped together, one line each."""
        with self._lock:
            return [
                *self._said,
                *(
                    f"{name}: {count} values were no finite numbers and are left out"
                    for name, count in self._left_out.items()
                ),
                *self._caps.notes(),
            ]


class Lookups:
    """The series looked up for one set of tags and one phase of a recorder: shared by all scopes that have these."""

    __slots__ = ("_phase", "_recorder", "appends", "found", "tags")

    def __init__(self, recorder: Recorder, tags: Tags, phase: int = BY_TIME) -> None:
        self._recorder = recorder
        self._phase = phase
        self.tags = tags
        self.appends = _Appends(self)
        self.found: dict[Hashable, Any] = {}

    def sink(self, metric: Metric, tags: Tags) -> Append:
        """Return the append for samples of *metric* with *tags* beside the scope's own."""
        append: Append | None = self.found.get((metric, tags))
        return self._resolve(metric, tags) if append is None else append

    def _resolve(self, metric: Metric, tags: Tags) -> Append:
        merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items())) if tags else self.tags
        append = self._recorder.append_to(metric, merged, self._phase)
        if is_defined(metric):  # others are made again with each iteration
            self.keep((metric, tags), append)
        return append

    def keep(self, key: Hashable, value: Any) -> None:
        """Keep *value* in *found* while there is room: else it is made again each time."""
        kept = self._recorder.kept.get(self._phase, 0)
        if kept < _MOST_KEPT:
            self._recorder.kept[self._phase] = kept + 1  # of several threads now and then one is not counted
            self.found[key] = value


class _Appends(dict[Metric, Append]):
    """The append of each metric's list without further tags, found once."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def __missing__(self, metric: Metric) -> Append:
        append = self._lookups.sink(metric, ())
        if (metric, ()) in self._lookups.found:
            self[metric] = append
        return append

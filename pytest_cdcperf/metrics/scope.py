"""The destination of a virtual user's samples: a recorder, with the tags and the phase that they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.metrics.caps import OVERFLOW
from pytest_cdcperf.metrics.metric import Append, Metric, Tags, current_sink
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.snapshot import BY_TIME


class Scope:
    """A recorder with the tags and the phase of every sample taken in it. Each VU has its own.

    *appends* and *sink* give the append for samples of a metric, without and with tags beside the scope's own.
    """

    __slots__ = ("_children", "_phase", "appends", "lookups", "recorder", "sink", "tags")

    def __init__(self, recorder: Recorder, tags: Tags = (), phase: int = BY_TIME) -> None:
        self.tags = tags
        self._children: dict[Tags, Scope] = {}
        self.divert(recorder, phase)

    def tagged(self, metric: Metric, tags: Mapping[str, str]) -> Append:
        """Return the append for samples of *metric* with *tags* as users write them.

        :raises ConfigError: for tags that are not a mapping
        """
        try:
            pairs = tags.items()
        except AttributeError:
            words = "allowed: a mapping, such as {'table': 'orders'}"
            raise ConfigError(f"{shown(metric)}: the tags {shown(tags)} are not a mapping; {words}") from None
        return self.sink(metric, tuple(sorted((str(name), str(value)) for name, value in pairs)))

    def divert(self, recorder: Recorder, phase: int = BY_TIME) -> None:
        """Send samples to *recorder* from now on, as those of *phase*."""
        self.recorder = recorder
        self._phase = phase
        self.lookups = recorder.lookups(self.tags, phase)
        self.appends = self.lookups.appends
        self.sink = self.lookups.sink
        for child in list(self._children.values()):
            child.divert(recorder, phase)

    def child(self, tags: Tags) -> Scope:
        """Return the scope of a group: its samples carry *tags* as well."""
        known = self._children.get(tags)
        if known is None:
            merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items()))
            kept = self.recorder.group(merged)
            if kept != merged:
                tags = OVERFLOW  # one scope for all further groups: their names are not kept
            known = self._children.get(tags) or self._children.setdefault(tags, Scope(self.recorder, kept, self._phase))
        return known


def current_scope() -> Scope | None:
    """Return the scope that samples taken here go to, None outside an iteration."""
    return cast("Scope | None", current_sink.get(None))


@contextmanager
def recording(scope: Scope) -> Iterator[Scope]:
    """Send samples taken inside the block to *scope*."""
    token = current_sink.set(scope)
    try:
        yield scope
    finally:
        current_sink.reset(token)

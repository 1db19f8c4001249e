"""Messages for a metric or a tag that a run has not recorded: they name those that it has."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from pytest_cdcperf.judging.threshold import Threshold, kinds_of
from pytest_cdcperf.metrics.metric import ALIASES
from pytest_cdcperf.metrics.snapshot import SeriesKey, Snapshot

_MOST = 8
_MOST_ALIKE = 3
_LONGEST = 100


def alike(name: str, names: Collection[str]) -> list[str]:
    """Return those of *names* that *name* may be a misspelling of, the likeliest first."""
    return get_close_matches(name[:_LONGEST], [other for other in names if len(other) <= _LONGEST], _MOST_ALIKE)


def names_for(name: str, names: Collection[str]) -> str:
    """Return *names* in words, those like *name* first, and no more than eight of them."""
    close = alike(name, names)
    ordered = [*close, *sorted(other for other in names if other not in close)]
    listed = ", ".join(other[:_LONGEST] for other in ordered[:_MOST]) or "none"
    return listed + (f" and {len(ordered) - _MOST} more" if len(ordered) > _MOST else "")


def absence(threshold: Threshold, run: Snapshot) -> str:
    """Return why *run*, by all its tags, has no sample that *threshold* could be judged by."""
    name = ALIASES.get(threshold.metric, threshold.metric)
    keys: list[SeriesKey] = [key for key in run.series if key.name == name]
    if not keys:
        kinds = kinds_of(threshold.aggregate)
        fitting = {key.name for key in run.series if key.kind in kinds}
        return f"the run recorded no {threshold.metric}; it has {names_for(name, fitting)}"
    wanted = dict(threshold.tags)
    if not any(key.carries(wanted) for key in keys):
        tags = {f"{tag}:{value}" for key in keys for tag, value in key.tags}
        asked = ",".join(f"{tag}:{value}" for tag, value in threshold.tags)
        return f"the run recorded {threshold.metric} with the tags {names_for(asked, tags)}"
    return f"it has samples, but none{threshold.scope}" if threshold.scope else ""

"""Messages for a metric or a tag that a run has not recorded: they name those that it has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from pytest_cdcperf.judging.threshold import Threshold, kinds_of
from pytest_cdcperf.metrics.groups import EXECUTION
from pytest_cdcperf.metrics.metric import ALIASES, group_of
from pytest_cdcperf.metrics.snapshot import SeriesKey, Snapshot

_MOST = 8
_MOST_ALIKE = 3
_LONGEST = 100


def alike(name: str, names: Collection[str]) -> list[str]:
    """Return those of *names* that *name* may be a misspelling of, the likeliest first."""
    return get_close_matches(name[:_LONGEST], [other for other in names if len(other) <= _LONGEST], _MOST_ALIKE)


def names_for(name: str, names: Collection[str]) -> str:
    """Return *names* in words, no more than eight: those like *name* first, metrics that every run has last."""
    close = alike(name, names)
    others = (other for other in names if other not in close)
    ordered = [*close, *sorted(others, key=lambda other: (group_of(other) == EXECUTION, other))]
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
    if not any(key.carries(dict(threshold.tags)) for key in keys):
        return _tags_instead(threshold, keys)
    return f"it has samples, but none{threshold.scope}" if threshold.scope else ""


def _tags_instead(threshold: Threshold, keys: Sequence[SeriesKey]) -> str:
    """Return which tags, or which values of one of them, the series *keys* have in place of those asked for."""
    present: dict[str, set[str]] = {}
    for key in keys:
        for tag, value in key.tags:
            present.setdefault(tag, set()).add(value)
    if unknown := next((tag for tag, _ in threshold.tags if tag not in present), ""):
        has = f"; its tags are {names_for(unknown, present)}" if present else ", nor with any other"
        return f"the run recorded no {threshold.metric} with a tag {unknown}{has}"
    has = f"the run recorded no {threshold.selector}; "
    # First the values that no sample has, then those without which there are samples: what these have instead.
    for tag, value in sorted(threshold.tags, key=lambda pair: pair[1] in present[pair[0]]):
        others = [pair for pair in threshold.tags if pair[0] != tag]
        values = {dict(key.tags).get(tag, "") for key in keys if key.carries(dict(others))} - {""}
        if values:
            given = f"with {','.join(map(':'.join, others))} " if others else ""
            return f"{has}{given}it has {names_for(f'{tag}:{value}', {f'{tag}:{other}' for other in values})}"
    return f"{has}its tags are {names_for('', {f'{tag}:{value}' for tag in present for value in present[tag]})}"

"""Limits from a file, one file an environment: profiles to metrics to limits.

``{"baseline": {"cdc_e2e_latency": {"p95": 2000}, "cdc_success_rate": {"rate": 0.99}}}``, as JSON or TOML:
``pNN`` is an upper bound in milliseconds; ``rate`` is a lower bound, an upper one for metrics named
``*_failed``, ``*_errors`` or ``errors``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pytest_cdcperf.checks import is_number
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.judging.parser import bound, percentile_of_key
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.load.builtin_profiles import canonical
from pytest_cdcperf.text_file import read_text

_UPPER = ("avg", "med", "max", "count")
_LOWER = ("rate", "min", "value")
_BAD_WHEN_HIGH = re.compile(r".*_failed|.*_errors|errors")
ALLOWED = "pNN, avg, med, max, count, rate, min, value"


def read_thresholds(path: Path, profiles: Collection[str]) -> dict[str, tuple[Threshold, ...]]:
    """Return the limits of each profile in the file at *path*.

    :raises ConfigError: with every fault at once
    """
    table = _read(path)
    faults: list[str] = []
    found: dict[str, tuple[Threshold, ...]] = {}
    for profile, metrics in table.items():
        if canonical(profile) not in profiles:
            faults.append(f"unknown profile {shown(profile)}; allowed: {', '.join(sorted(profiles))}")
        elif not isinstance(metrics, Mapping):
            faults.append(f"{profile}={shown(metrics)}; allowed: a table of metrics")
        else:
            limits = [
                _threshold(profile, metric, key, value, faults)
                for metric, bounds in metrics.items()
                for key, value in _bounds(profile, metric, bounds, faults).items()
            ]
            if canonical(profile) in found:
                faults.append(f"{shown(profile)} and another name are the same profile; allowed: one of them")
            found[canonical(profile)] = tuple(limit for limit in limits if limit is not None)
    if faults:
        raise ConfigError(*faults)
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = read_text(path)
        table = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except RecursionError:
        raise ConfigError("is nested too deeply; allowed: a table of profiles, of metrics, of limits") from None
    except ValueError as error:  # both decoders' errors are
        raise ConfigError(f"is not a {'TOML' if path.suffix == '.toml' else 'JSON'} file: {error}") from None
    if not isinstance(table, Mapping):
        raise ConfigError("is not a table of profiles")
    return table


def _bounds(profile: str, metric: str, bounds: object, faults: list[str]) -> Mapping[str, object]:
    if isinstance(bounds, Mapping) and bounds:
        return bounds
    faults.append(f"{profile}.{metric}={shown(bounds)}; allowed: a table with {ALLOWED}")
    return {}


def _threshold(profile: str, metric: str, key: str, value: object, faults: list[str]) -> Threshold | None:
    where = f"{profile}.{metric}.{key}={shown(value)}"
    if not is_number(value):
        faults.append(f"{where}; allowed: a number")
        return None
    aggregate = percentile_of_key(key) or key
    if aggregate != key or key in _UPPER or (key == "rate" and _BAD_WHEN_HIGH.fullmatch(metric)):
        operator = "<"
    elif key in _LOWER:
        operator = ">"
    else:
        faults.append(f"{where}; allowed keys: {ALLOWED}")
        return None
    try:
        return bound(metric, aggregate, operator, value)
    except ConfigError as error:
        faults += [f"{where}: {fault}" for fault in error.faults]
        return None

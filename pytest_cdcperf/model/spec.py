"""What the marker says, and what becomes of it once every layer of configuration is in place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_cdcperf.errors import ConfigError, UnitError
from pytest_cdcperf.metrics.builtin import RESPONSE_TIME
from pytest_cdcperf.metrics.threshold import Threshold, merge_thresholds, parse_threshold, parse_thresholds
from pytest_cdcperf.model.load import Load, load_from_keys
from pytest_cdcperf.units import limit_ms

_PERCENTILE_KEY = re.compile(r"p(\d{1,2}|100)(?:_(\d+))?")
_PLAIN_KEYS = ("avg", "med", "max")
_LOAD_KEYS = ("vus", "duration", "iterations", "graceful_stop")
_OTHER_KEYS = ("load", "thresholds", "error_rate", "tags", "gate")
MARKER_KEYS = ("pNN (p95, p99, p99_9)", *_PLAIN_KEYS, *_LOAD_KEYS, *_OTHER_KEYS)


@dataclass(frozen=True)
class MarkerSpec:
    """The keys of one test's ``@perf``, checked, before profile and command line are known."""

    load: Load | None = None
    load_keys: Mapping[str, object] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    error_rate: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    gate: bool = False

    @property
    def states_a_load(self) -> bool:
        """Whether the test says itself what load it wants."""
        return self.load is not None or bool(self.load_keys)

    def load_over(self, profile: Load) -> Load:
        """Return the load of the test: the marker's own, or *profile* with the marker's keys over it.

        :raises ConfigError: for a key that the executor does not have
        """
        return load_from_keys(self.load or profile, self.load_keys)


@dataclass(frozen=True)
class PerfSpec:
    """All that a run of one test is judged by and made of."""

    load: Load
    profile: str | None
    thresholds: tuple[Threshold, ...]
    error_rate: float
    tags: Mapping[str, str]
    shortened: bool = False


def parse_marker(keys: Mapping[str, object]) -> MarkerSpec:
    """Return the spec that the keyword arguments of one or several merged ``@perf`` marks make.

    :raises ConfigError: with every fault at once, each naming key, value and what is allowed
    """
    faults: list[str] = []
    bounds: list[Threshold] = []
    stated: tuple[Threshold, ...] = ()
    for key, value in keys.items():
        try:
            if (aggregate := _aggregate_of(key)) is not None:
                bounds.append(_bound(key, aggregate, value))
            elif key == "thresholds":
                stated = _stated_thresholds(value)
            elif key not in _LOAD_KEYS and key not in _OTHER_KEYS:
                faults.append(f"unknown key {key}={value!r}; allowed: {', '.join(MARKER_KEYS)}")
            elif fault := _value_fault(key, value):
                faults.append(f"{key}={value!r}; allowed: {fault}")
        except ConfigError as error:
            faults += error.faults
    load_keys = {key: keys[key] for key in _LOAD_KEYS if key in keys}
    if keys.get("load") is not None and load_keys:
        faults.append(f"load= and {', '.join(load_keys)} both state the load; allowed: one of them")
    if faults:
        raise ConfigError(*faults)
    return MarkerSpec(
        load=keys.get("load"),  # type: ignore[arg-type]  # _value_fault has looked at each
        load_keys=load_keys,
        thresholds=merge_thresholds(stated, bounds),
        error_rate=float(keys.get("error_rate", 0.0)),  # type: ignore[arg-type]
        tags=dict(keys.get("tags", {})),  # type: ignore[call-overload]
        gate=bool(keys.get("gate", False)),
    )


def _aggregate_of(key: str) -> str | None:
    if key in _PLAIN_KEYS:
        return key
    match = _PERCENTILE_KEY.fullmatch(key)
    if match is None:
        return None
    return f"p({match[1]}.{match[2]})" if match[2] else f"p({match[1]})"


def _bound(key: str, aggregate: str, value: object) -> Threshold:
    try:
        limit = limit_ms(value)
    except UnitError as error:
        raise ConfigError(f"{key}={error}") from None
    return parse_threshold(RESPONSE_TIME.name, f"{aggregate}<{limit!r}")


def _stated_thresholds(value: object) -> tuple[Threshold, ...]:
    if not isinstance(value, Mapping) or not all(_is_expressions(v) for v in value.values()):
        raise ConfigError(
            f"thresholds={value!r}; allowed: {{'metric': 'p(95)<100'}} or {{'metric': ['p(95)<100', ...]}}"
        )
    try:
        return parse_thresholds(value)
    except ConfigError as error:
        raise ConfigError(*(f"thresholds: {fault}" for fault in error.faults)) from None


def _is_expressions(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, Iterable) and all(isinstance(part, str) for part in value)


def _value_fault(key: str, value: object) -> str:
    match key:
        case "load" if not isinstance(value, Load):
            return "an executor, such as ConstantVUs(vus=10, duration='5m')"
        case "error_rate" if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            return "the tolerated share of failed iterations, 0 to 1"
        case "tags" if not isinstance(value, Mapping) or not all(
            isinstance(part, str) for pair in value.items() for part in pair
        ):
            return "a mapping of text to text"
        case "gate" if not isinstance(value, bool):
            return "True or False"
        case _:
            return ""

"""The keys of a marker as checked values, and the spec of a run that they make with profile and command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_cdcperf.checks import duration_fault, share_fault, switch_fault, text_mapping_fault
from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.judging.parser import bound, parse_thresholds, percentile_of_key
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.rules.rule import RunRule
from pytest_cdcperf.judging.threshold import Threshold, merge_thresholds
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations
from pytest_cdcperf.load.executors import load_from_keys
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.metrics.builtin import RESPONSE_TIME
from pytest_cdcperf.units import duration_s, limit_ms

_PLAIN_KEYS = ("avg", "med", "max")
_LOAD_KEYS = ("vus", "duration", "iterations", "graceful_stop")
_OTHER_KEYS = ("load", "thresholds", "error_rate", "recovery", "drift", "drain", "tags", "gate")
MARKER_KEYS = ("pNN (p95, p99, p99_9)", *_PLAIN_KEYS, *_LOAD_KEYS, *_OTHER_KEYS)

Loads = Mapping[str, Load]
_RULES: Mapping[str, type[RunRule]] = {"recovery": Recovery, "drift": Drift}
_ANY_PROFILE = ConstantVUs(duration="5m")


@dataclass(frozen=True)
class MarkerSpec:
    """The keys of one test's ``@perf``, checked, before profile and command line are known."""

    loads: Loads | None = None
    load_keys: Mapping[str, object] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    run_rules: tuple[RunRule, ...] = ()
    error_rate: float = 0.0
    drain_s: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    gate: bool = False

    @property
    def states_a_load(self) -> bool:
        """Whether the test says itself what load it wants."""
        return self.loads is not None or bool(self.load_keys)

    def loads_over(self, profile: Load) -> Loads:
        """Return the loads of the test: the marker's own, or *profile* with the marker's keys over it.

        :raises ConfigError: for a key that the executor does not have
        """
        if self.loads is not None:
            return self.loads
        counted = "iterations" in self.load_keys and not profile.counts_iterations
        return {"": load_from_keys(PerVUIterations() if counted else profile, self.load_keys)}


@dataclass(frozen=True)
class PerfSpec:
    """All that a run of one test is judged by and made of."""

    loads: Loads
    profile: str | None
    thresholds: tuple[Threshold, ...]
    run_rules: tuple[RunRule, ...]
    error_rate: float
    tags: Mapping[str, str]
    drain_s: float = 0.0
    shortened: bool = False
    notes: tuple[str, ...] = ()

    @property
    def planned_s(self) -> float:
        """The seconds from the start to the planned end of the last load."""
        return max(load.planned_s for load in self.loads.values())

    @property
    def latest_s(self) -> float:
        """The seconds from the start to the latest end: graceful stop and drain included."""
        return max(load.last_s for load in self.loads.values()) + self.drain_s

    @property
    def asked_rate(self) -> float | None:
        """The planned starts a second, the mean until the planned end; None unless all loads start by the clock."""
        ramps = [load.ramp for load in self.loads.values() if isinstance(load, OpenLoad)]
        return sum(ramp.area for ramp in ramps) / self.planned_s if len(ramps) == len(self.loads) else None

    @property
    def load_in_words(self) -> str:
        """The loads, each with its name where it has one."""
        return loads_in_words(self.loads)

    @property
    def counts_iterations(self) -> bool:
        """Whether it ends by count, so that its planned length is only an upper bound."""
        return all(load.counts_iterations for load in self.loads.values())


def loads_in_words(loads: Loads) -> str:
    """Return *loads* in words, each with its name where it has one."""
    return "; ".join(f"{name}: {load.describe()}" if name else load.describe() for name, load in loads.items())


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
                stated = thresholds_of(value)
            elif key == "positional":
                faults.append(f"{shown(value)} has no name; allowed: {', '.join(MARKER_KEYS)}")
            elif key not in _LOAD_KEYS and key not in _OTHER_KEYS:
                faults.append(f"unknown key {key}={shown(value)}; allowed: {', '.join(MARKER_KEYS)}")
            elif fault := _value_fault(key, value):
                faults.append(f"{key}={fault}")
            elif key in _RULES:
                faults += [f"{key}: {fault}" for rule in _rules(value, _RULES[key]) if (fault := rule.fault)]
        except ConfigError as error:
            faults += error.faults
    load_keys = {key: keys[key] for key in _LOAD_KEYS if key in keys}
    if keys.get("load") is not None and load_keys:
        faults.append(f"load= and {', '.join(load_keys)} both state the load; allowed: one of them")
    else:
        faults += _load_key_faults(load_keys)
    if faults:
        raise ConfigError(*faults)
    return MarkerSpec(
        loads=_loads(keys.get("load")),
        load_keys=load_keys,
        thresholds=merge_thresholds(stated, bounds),
        run_rules=tuple(rule for key, kind in _RULES.items() for rule in _rules(keys.get(key), kind)),
        error_rate=float(keys.get("error_rate", 0.0)),  # type: ignore[arg-type]  # _value_fault has looked at each
        drain_s=duration_s(keys.get("drain", "0s")),
        tags=dict(keys.get("tags", {})),  # type: ignore[call-overload]
        gate=bool(keys.get("gate", False)),
    )


def thresholds_of(value: object) -> tuple[Threshold, ...]:
    """Return the thresholds that a user wrote as a mapping of metrics.

    :raises ConfigError: with every fault at once
    """
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"thresholds={shown(value)}; allowed: {{'metric': 'p(95)<100'}} or {{'metric': ['p(95)<100', ...]}}"
        )
    try:
        return parse_thresholds(value)
    except ConfigError as error:
        raise ConfigError(*(f"thresholds: {fault}" for fault in error.faults)) from None


def _aggregate_of(key: str) -> str | None:
    return key if key in _PLAIN_KEYS else percentile_of_key(key)


def _bound(key: str, aggregate: str, value: object) -> Threshold:
    try:
        limit = limit_ms(value)
    except UnitError as error:
        raise ConfigError(f"{key}={error}") from None
    try:
        return bound(RESPONSE_TIME.name, aggregate, "<", limit)
    except ConfigError as error:
        raise ConfigError(*(f"{key}={shown(value)}: {fault}" for fault in error.faults)) from None


def _load_key_faults(keys: Mapping[str, object]) -> list[str]:
    try:
        MarkerSpec(load_keys={k: v for k, v in keys.items() if "iterations" not in keys or k != "duration"}).loads_over(
            _ANY_PROFILE
        )
    except ConfigError as error:
        return list(error.faults)
    both = "iterations" in keys and "duration" in keys
    return ["iterations and duration both say when it ends; allowed: one of them"] if both else []


def _loads(value: object) -> Loads | None:
    if value is None:
        return None
    return value if isinstance(value, Mapping) else {"": value}  # type: ignore[dict-item]


def _rules(value: object, kind: type[RunRule]) -> list[RunRule]:
    if value is None or value is False:
        return []
    if value is True:
        return [kind()]
    return [value] if isinstance(value, kind) else list(value)  # type: ignore[call-overload]


def _value_fault(key: str, value: object) -> str:
    match key:
        case "load":
            return _load_fault(value)
        case "recovery" | "drift":
            kind = _RULES[key]
            allowed = f"True, or {kind.__name__}(metric, ...), or a list of them"
            return "" if _is_rule(value, kind) else f"{shown(value)}; allowed: {allowed}"
        case "error_rate":
            return share_fault(value, "the tolerated share of failed iterations, 0 to 1")
        case "drain":
            return duration_fault(value)
        case "tags":
            return text_mapping_fault(value)
        case "gate":
            return switch_fault(value)
        case _:
            return ""


def _load_fault(value: object) -> str:
    if value is None or isinstance(value, Load):
        return ""
    if not isinstance(value, Mapping) or not value:
        single = "an executor, such as ConstantVUs(vus=10, duration='5m')"
        return f"{shown(value)}; allowed: {single}, or a mapping of scenario names to executors"
    if not all(isinstance(name, str) and name and isinstance(load, Load) for name, load in value.items()):
        return f"{shown(value)}; allowed: a mapping of scenario names to executors"
    return ""


def _is_rule(value: object, kind: type) -> bool:
    return isinstance(value, bool | kind) or (isinstance(value, list) and all(isinstance(part, kind) for part in value))

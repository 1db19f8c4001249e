"""All executors by their names, and how configuration changes their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate

EXECUTORS: Mapping[str, type[Load]] = {
    "constant-vus": ConstantVUs,
    "ramping-vus": RampingVUs,
    "per-vu-iterations": PerVUIterations,
    "shared-iterations": SharedIterations,
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
}


def load_from_keys(load: Load, keys: Mapping[str, object]) -> Load:
    """Return *load* with the fields that *keys* name replaced.

    :raises ConfigError: for a field that the executor does not have, or a value it refuses
    """
    check_keys(type(load), keys)
    return replace(load, **keys)  # type: ignore[arg-type]  # __post_init__ checks the values


def check_keys(executor: type[Load], keys: Iterable[str]) -> None:
    """Refuse keys that *executor* does not have.

    :raises ConfigError: for all of them at once
    """
    known = sorted(f.name for f in fields(executor))
    faults = [
        f"{key} is no field of {executor.__name__}; allowed: {', '.join(known)}" for key in keys if key not in known
    ]
    if faults:
        raise ConfigError(*faults)

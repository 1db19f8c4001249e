"""All executors by their names, and how configuration changes their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
    return replace(load, **keys)  # type: ignore[arg-type]  # the executor checks keys and values

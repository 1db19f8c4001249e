"""The options --perf-vus, --perf-rate and --perf-duration, applied to the loads of a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.checks import by_key, duration_fault
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.base import Load, vus_fault
from pytest_cdcperf.load.open import rate_fault
from pytest_cdcperf.units import LONGEST_S, duration_s

Loads = Mapping[str, Load]

_COUNTED = "a load counts its iterations; change vus and iterations in the test"
_CLOSED = "the VUs of a closed loop start as they can; change --perf-vus"


@dataclass(frozen=True)
class Overrides:
    """``--perf-vus``, ``--perf-rate`` and ``--perf-duration``, checked.

    :raises ConfigError: with every fault at once
    """

    vus: Any = None
    duration: Any = None
    rate: Any = None

    def __post_init__(self) -> None:
        faults = by_key(
            vus="" if self.vus is None else vus_fault(self.vus),
            rate="" if self.rate is None else rate_fault(self.rate, per_s=LONGEST_S),  # each load knows its unit
            duration="" if self.duration is None else duration_fault(self.duration, above_zero=True),
        )
        if faults:
            raise ConfigError(*(f"--perf-{fault}" for fault in faults))

    @property
    def options(self) -> dict[str, str]:
        """Those that were given, as they are written: "--perf-vus=5", by their names."""
        given = {"vus": self.vus, "rate": self.rate, "duration": self.duration}
        return {name: f"--perf-{name}={value}" for name, value in given.items() if value is not None}

    def apply(self, loads: Loads) -> dict[str, Load]:
        """Return *loads* as the command line wants them.

        The duration is that of the whole: stages and starts of all loads scale alike. VUs and rate scale a
        ramp to that peak. Loads that count iterations keep their count.
        """
        scale = self._time_scale(loads)
        applied = {name: load if scale == 1 else load.stretched(scale) for name, load in loads.items()}
        if self.vus is not None:
            applied = {name: load.with_vus(self.vus) for name, load in applied.items()}
        if self.rate is not None:
            applied = {name: load.with_rate(self.rate) for name, load in applied.items()}
        return applied

    def without_effect(self, loads: Loads) -> tuple[str, ...]:
        """Return a line for each of them that *loads* have nothing for, with what would change these.

        One that asks for what a load states anyway has its effect.
        """
        reason = _COUNTED if _all_count(loads) else _CLOSED
        return tuple(f"{option} changes nothing where {reason}" for option in self._acting(loads, act=False))

    def with_effect(self, loads: Loads) -> tuple[str, ...]:
        """Return those that *loads* have something for, as they are written."""
        return self._acting(loads, act=True)

    def _acting(self, loads: Loads, *, act: bool) -> tuple[str, ...]:
        timed = not _all_count(loads)
        acts = {"vus": timed, "rate": any(load.peak_rate for load in loads.values()), "duration": timed}
        return tuple(option for name, option in self.options.items() if acts[name] is act)

    def _time_scale(self, loads: Loads) -> float:
        timed = [load.planned_s for load in loads.values() if not load.counts_iterations]
        return duration_s(self.duration) / max(timed) if self.duration is not None and timed else 1.0


def _all_count(loads: Loads) -> bool:
    return all(load.counts_iterations for load in loads.values())


def are_smaller(applied: Loads, stated: Loads) -> bool:
    """Whether any of *applied* is shorter, or has fewer VUs or starts a second, than its load of *stated*."""
    return any(
        applied[name].planned_s < load.planned_s
        or applied[name].most_vus < load.most_vus
        or applied[name].peak_rate < load.peak_rate
        for name, load in stated.items()
    )

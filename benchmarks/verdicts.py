"""Recovery, drift and the breaking point on simulated runs whose truth is known: how often each verdict is right.

``python -m benchmarks verdicts --runs 1000 --seed 7``. The rules are the product's own functions, on histograms at the
schema that a run's history has. Each cell is of fresh runs; without ``--seed`` a new one is drawn, and printed.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.latencies import System, drawn_histograms, histograms
from pytest_cdcperf.judging.rules.breaking_point import Counts, find_break
from pytest_cdcperf.judging.rules.drift import judge_drift, trend_checkpoints
from pytest_cdcperf.judging.rules.readings import TrendWindow
from pytest_cdcperf.judging.rules.recovery import judge_recovery
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.metrics.histogram import Histogram

EXPONENTIAL = System("exponential")
LOGNORMAL = System("lognormal, sigma 1", "lognormal")
HALF_LOAD = System("M/M/1 at 50 %", utilisation=0.5)
HIGH_LOAD = System("M/M/1 at 80 %", utilisation=0.8)
WANDERING = System("level wanders 10 %, 20 s", wanders=0.10, memory_s=20.0)
STRONGLY = System("level wanders 30 %, 20 s", wanders=0.30, memory_s=20.0)
WANDERING_LONG = System("level wanders 5 %, 10 min", wanders=0.05, memory_s=600.0)
PROMISED = (EXPONENTIAL, LOGNORMAL, HALF_LOAD)
PROMISED_FROM = 20.0  # samples a second

BEFORE_S, RAMPS_S, AFTER_S = 60, 90, 120  # the spike profile's holds
WITHIN_S, TOLERANCE = 60.0, 0.5
SOAK_S, PER_HOUR = 7200, 0.10
RISES = (0.0, PER_HOUR / 2, PER_HOUR, 2 * PER_HOUR)
DRAWN_FROM = 1000  # samples a window, from which on they are drawn by the bucket
RAMP_S, BREAKS_AT_S = 120, 72.0

Factor = Callable[[np.ndarray], np.ndarray]


ASKED = {
    "recovery: unharmed, or back within 40 s, FAILED": ("<=", 2.0),
    "recovery: doubled, PASSED": ("<=", 5.0),
    "recovery: unharmed, not judged": ("<=", 10.0),
    "drift: level, or at half the limit, FAILED": ("<=", 2.0),
    "drift: level, PASSED": (">=", 95.0),
    "drift: at twice the limit, FAILED": (">=", 95.0),
    "drift: at twice the limit, PASSED": ("<=", 5.0),
    "breaking point: named at 90 % of the limit": ("<=", 0.0),
    "breaking point: sudden, named within 10 % of the VUs": (">=", 90.0),
}


@dataclass
class Acceptance:
    """The acceptance numbers, each with the figures of the cells that it holds for."""

    seen: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def note(self, what: str, percent: float, system: System, rate: float) -> None:
        """Take a cell's figure, where its system and rate are among those that something is promised for."""
        if system not in PROMISED or rate < PROMISED_FROM:
            return
        self.seen.setdefault(what, []).append((percent, f"{system.name}, {rate:g}/s"))

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing asked, with the worst that was seen."""
        for what, (compare, limit) in ASKED.items():
            percent, where = max(self.seen[what]) if compare == "<=" else min(self.seen[what])
            met = percent <= limit if compare == "<=" else percent >= limit
            yield f"  {'met    ' if met else 'NOT MET'} {what}: {percent:.1f} %, asked {compare} {limit:g} % ({where})"


@dataclass
class Simulation:
    """A number of runs a cell, each rule's from its own part of the *seed*."""

    runs: int
    seed: int
    acceptance: Acceptance = field(default_factory=Acceptance)
    draw: np.random.Generator = field(default_factory=np.random.default_rng)

    def recovery(self) -> None:
        """Print how recovery is judged: after a hold of 60 s, in one of 120 s, in each of four truths."""
        self.draw = np.random.default_rng([self.seed, 1])
        print(f"\nRecovery: holds of {BEFORE_S} and {AFTER_S} s, tolerance {TOLERANCE:.0%}, within {WITHIN_S:g} s; %")
        print(f"  {'':28}{'':>8}  {'back at once':>19} {'back after 40 s':>19} {'doubled':>19} {'back after 70 s':>19}")
        print(f"  {'latencies':28}{'rate':>8}" + f"  {'FAIL':>6}{'pass':>6}{'n.j.':>6} " * 4)
        truths: dict[str, Factor] = {
            "unharmed": np.ones_like,
            "back after 40 s": lambda at: np.where(at < 40, 3.0, 1.0),
            "doubled": lambda at: np.full_like(at, 2.0),
            "back after 70 s": lambda at: np.where(at < 70, 3.0, 1.0),
        }
        for system in (EXPONENTIAL, LOGNORMAL, HALF_LOAD, STRONGLY, HIGH_LOAD):
            for rate in (1.0, 5.0, 20.0, 200.0):
                seen = self._recovered(system, rate, truths)
                print(
                    f"  {system.name:28}{rate:>6g}/s  " + " ".join(_row(found) for found in seen.values()), flush=True
                )
                failed = max(seen["unharmed"][Outcome.FAILED], seen["back after 40 s"][Outcome.FAILED])
                self._note("recovery: unharmed, or back within 40 s, FAILED", failed, system, rate)
                self._note("recovery: doubled, PASSED", seen["doubled"][Outcome.PASSED], system, rate)
                self._note("recovery: unharmed, not judged", seen["unharmed"][Outcome.NOT_JUDGED], system, rate)

    def _recovered(self, system: System, rate: float, truths: Mapping[str, Factor]) -> dict[str, dict[Outcome, float]]:
        seen: dict[str, Counter[Outcome]] = {truth: Counter() for truth in truths}
        levels = system.levels(self.draw, self.runs, BEFORE_S + RAMPS_S + AFTER_S, 1.0)
        down_s = BEFORE_S + RAMPS_S
        for level in levels:
            at, latencies = self._arrivals(system, rate, BEFORE_S, level, 1.0)
            before = _windows(histograms(at, latencies, BEFORE_S, 1.0), 1.0)
            at, latencies = self._arrivals(system, rate, AFTER_S, level[down_s:], 1.0)
            for truth, factor in truths.items():
                after = _windows(histograms(at, latencies + np.log2(factor(at)), AFTER_S, 1.0), 1.0, down_s)
                seen[truth][judge_recovery(before, after, down_s, TOLERANCE, WITHIN_S).outcome] += 1
        return {truth: _percent(found, self.runs) for truth, found in seen.items()}

    def _arrivals(
        self, system: System, rate: float, seconds: float, level: np.ndarray, step_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return when samples came, and the logarithms of their latencies."""
        at, latencies = system.arrivals(self.draw, rate * seconds)
        at /= rate
        return at, np.log2(latencies * level[(at / step_s).astype(np.int64)])

    def drift(self) -> None:
        """Print how a soak of two hours is judged: level, at half the limit, at it, at twice, and with a late step."""
        self.draw = np.random.default_rng([self.seed, 2])
        print(
            f"\nDrift: {SOAK_S / 3600:g} h, limit {PER_HOUR:.0%} an hour; % (held: the interval holds the true slope)"
        )
        print(
            f"  {'':36}  "
            + "".join(f"{of:>19}  " for of in ("level", "half the limit", "at the limit", "twice"))
            + "late step"
        )
        head = f"{'FAIL':>7}{'pass':>6}{'inc.':>6}  "
        print(f"  {'latencies':28}{'rate':>8}  " + head * 4 + f"{'pass':>8} {'held':>6}")
        for system in (EXPONENTIAL, LOGNORMAL, HALF_LOAD, WANDERING_LONG, HIGH_LOAD):
            for rate in (1.0, 5.0, 20.0, 200.0):
                # A queue at 200/s has 1.4 million samples in two hours, one after the other: a tenth of the runs.
                runs = max(1, self.runs // 10) if system.utilisation and rate > 20 else self.runs
                self._drift_row(system, rate, runs)

    def _drift_row(self, system: System, rate: float, runs: int) -> None:
        seen: dict[float, Counter[Outcome]] = {rise: Counter() for rise in RISES}
        stepped: Counter[Outcome] = Counter()
        held: list[bool] = []
        for level in system.levels(self.draw, runs, SOAK_S, 60.0):
            soaked = self._soaks(system, rate, level)
            for rise in RISES:
                found = judge_drift(
                    trend_checkpoints(soaked(lambda at, rise=rise: (1 + rise) ** (at / 3600))), PER_HOUR
                )
                seen[rise][found.outcome] += 1
                if found.rise is not None:
                    held.append(found.rise.low <= rise <= found.rise.high)
            late_step = soaked(lambda at: np.where(at > SOAK_S * 0.9, 1.5, 1.0))
            stepped[judge_drift(trend_checkpoints(late_step), PER_HOUR).outcome] += 1
        level_, half, at_limit, twice = (_percent(found, runs) for found in seen.values())
        row = "  ".join(map(_row, (level_, half, at_limit, twice)))
        of = f"  ({runs} runs)" if runs != self.runs else ""
        share_held = 100.0 * sum(held) / len(held) if held else math.nan
        late = _percent(stepped, runs)[Outcome.PASSED]
        print(f"  {system.name:28}{rate:>6g}/s  {row} {late:>9.1f} {share_held:>6.1f}{of}", flush=True)
        failed = max(level_[Outcome.FAILED], half[Outcome.FAILED])
        self._note("drift: level, or at half the limit, FAILED", failed, system, rate)
        self._note("drift: level, PASSED", level_[Outcome.PASSED], system, rate)
        self._note("drift: at twice the limit, FAILED", twice[Outcome.FAILED], system, rate)
        self._note("drift: at twice the limit, PASSED", twice[Outcome.PASSED], system, rate)

    def _soaks(self, system: System, rate: float, level: np.ndarray) -> Callable[[Factor], list[TrendWindow]]:
        """Return what makes the minutes of one soak, by how its level changes over time."""
        minutes = SOAK_S // 60
        if not system.utilisation and rate * 60 >= DRAWN_FROM:
            middles = np.arange(minutes) * 60.0 + 30.0
            return lambda factor: _windows(
                drawn_histograms(system, self.draw, rate * 60, level[:minutes] * factor(middles)), 60.0
            )
        at, latencies = self._arrivals(system, rate, SOAK_S, level, 60.0)
        return lambda factor: _windows(histograms(at, latencies + np.log2(factor(at)), minutes, 60.0), 60.0)

    def breaking_point(self) -> None:
        """Print how a ramp of two minutes is judged: below the limit, and with a sudden or a gradual break at 60 %."""
        self.draw = np.random.default_rng([self.seed, 3])
        print(f"\nBreaking point: p(95) on a ramp of {RAMP_S} s from 0 to the rate; % of runs")
        print(f"  {'':28}{'':>8}  {'at 90 % of limit':>17}  {'sudden, at 60 %':>24}  {'gradual, at 60 %':>24}")
        head = f"{'within':>10}{'early':>7}{'missed':>7}"
        print(f"  {'latencies':28}{'rate':>8}  {'named':>8}{'maybe':>9}  {head}  {head}")
        truths: tuple[Factor, ...] = (
            lambda at: np.full_like(at, 0.9),
            lambda at: np.where(at < BREAKS_AT_S, 0.5, 2.0),
            lambda at: (at / BREAKS_AT_S) ** 2,
        )
        for system in (EXPONENTIAL, LOGNORMAL, HALF_LOAD, WANDERING, STRONGLY, HIGH_LOAD):
            for rate in (5.0, 20.0, 50.0, 200.0):
                below, sudden, gradual = (self._ramped(system, rate, factor) for factor in truths)
                row = f"{below['named']:>8.1f}{below['maybe']:>9.1f}"
                for found in (sudden, gradual):
                    row += f"  {found['within']:>10.1f}{found['early']:>7.1f}{found['missed']:>7.1f}"
                print(f"  {system.name:28}{rate:>6g}/s  {row}", flush=True)
                self._note("breaking point: named at 90 % of the limit", below["named"], system, rate)
                self._note("breaking point: sudden, named within 10 % of the VUs", sudden["within"], system, rate)

    def _ramped(self, system: System, rate: float, factor: Factor) -> dict[str, float]:
        seen: Counter[str] = Counter()
        limit_ms = system.p95_ms  # so that a factor is a share of the limit
        for level in system.levels(self.draw, self.runs, RAMP_S, 1.0):
            at, latencies = system.arrivals(self.draw, rate * RAMP_S / 2)
            at = np.sqrt(2.0 * RAMP_S * at / rate)
            above = latencies * level[at.astype(np.int64)] * factor(at) > limit_ms
            seconds = np.minimum(at.astype(np.int64), RAMP_S - 1)
            samples, crossing = (np.bincount(part, minlength=RAMP_S).tolist() for part in (seconds, seconds[above]))
            ramp = [Counts(s, s + 1.0, samples[s], crossing[s]) for s in range(RAMP_S)]
            found = find_break(ramp, 0.05)
            if found is None or not found.certain:
                seen["maybe"] += found is not None
                seen["missed"] += 1
                continue
            off_s = found.at.start_s + 0.5 - BREAKS_AT_S
            seen["named"] += 1
            seen["within"] += abs(off_s) <= BREAKS_AT_S * 0.1
            seen["early"] += off_s < -BREAKS_AT_S * 0.1
        return {key: 100.0 * seen[key] / self.runs for key in ("named", "maybe", "within", "early", "missed")}

    def _note(self, what: str, percent: float, system: System, rate: float) -> None:
        self.acceptance.note(what, percent, system, rate)


def _windows(made: Sequence[Histogram], width_s: float, begin_s: float = 0.0) -> list[TrendWindow]:
    return [TrendWindow(begin_s + n * width_s, begin_s + (n + 1) * width_s, one) for n, one in enumerate(made)]


def _percent(seen: Counter[Outcome], runs: int) -> dict[Outcome, float]:
    return {outcome: 100.0 * seen[outcome] / runs for outcome in Outcome}


def _row(seen: dict[Outcome, float]) -> str:
    undecided = seen[Outcome.NOT_JUDGED] + seen[Outcome.INCONCLUSIVE]
    return f"{seen[Outcome.FAILED]:>7.1f}{seen[Outcome.PASSED]:>6.1f}{undecided:>6.1f}"


def main(runs: int = 1000, seed: int | None = None) -> None:
    """Print a table for each rule, and whether what is asked of them is met."""
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    simulation = Simulation(runs, seed)
    begin = time.process_time()
    print(f"{runs} runs a cell, --seed {seed}")
    simulation.recovery()
    simulation.drift()
    simulation.breaking_point()
    promised = ", ".join(system.name for system in PROMISED)
    print(f"\nFrom {PROMISED_FROM:g} samples a second, {promised}:")
    for line in simulation.acceptance.lines():
        print(line)
    print(f"{time.process_time() - begin:.0f} s of CPU")

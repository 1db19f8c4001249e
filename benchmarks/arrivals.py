"""Planned and actual starts, and how late they are, for every executor; k6's counts beside ours."""

from __future__ import annotations

import time

from benchmarks import peer
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ClosedLoad, ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, OpenLoad, RampingArrivalRate
from pytest_cdcperf.load.share import WHOLE
from pytest_cdcperf.metrics.builtin import GENERATOR_LAG, ITERATIONS
from pytest_cdcperf.metrics.timeline import Timeline

PAUSE_S = 0.01
LOADS: dict[str, tuple[Load, dict[str, object]]] = {
    "constant-arrival-rate": (
        ConstantArrivalRate(rate=1000, duration="30s", vus=50),
        {"rate": 1000, "timeUnit": "1s", "duration": "30s", "preAllocatedVUs": 50},
    ),
    "ramping-arrival-rate": (
        RampingArrivalRate(start_rate=100, stages=[("15s", 1000), ("15s", 100)], vus=50),
        {
            "startRate": 100,
            "timeUnit": "1s",
            "stages": [{"duration": "15s", "target": 1000}, {"duration": "15s", "target": 100}],
            "preAllocatedVUs": 50,
        },
    ),
    "constant-vus": (ConstantVUs(vus=10, duration="30s"), {"vus": 10, "duration": "30s"}),
    "ramping-vus": (
        RampingVUs(stages=[("15s", 20), ("15s", 0)]),
        {"startVUs": 0, "stages": [{"duration": "15s", "target": 20}, {"duration": "15s", "target": 0}]},
    ),
    "per-vu-iterations": (PerVUIterations(vus=10, iterations=1000), {"vus": 10, "iterations": 1000}),
    "shared-iterations": (SharedIterations(vus=10, iterations=10_000), {"vus": 10, "iterations": 10_000}),
}


def pause() -> None:
    """Wait as a quick server would make it."""
    time.sleep(PAUSE_S)


async def pause_async() -> None:
    """Wait as a quick server would make it, awaited."""
    import asyncio  # noqa: PLC0415

    await asyncio.sleep(PAUSE_S)


def ours(load: Load, body: Body) -> tuple[int, float | None]:
    """Return the starts of a run, and the p99 of their lag in milliseconds where there is a schedule."""
    timeline = Timeline()
    Run({"": load}, body, session_id="benchmark", on_window=timeline.add).execute()
    lag = timeline.total.trend(GENERATOR_LAG.name)
    return int(timeline.total.count(ITERATIONS.name)), lag.quantile(0.99) if lag.count else None


def planned(load: Load) -> str:
    """Return the starts that the plan has, "-" where it depends on the body."""
    match load:
        case OpenLoad():
            return f"{load.ramp.area:.0f}"
        case ClosedLoad() if load.counts_iterations:
            return str(load.planned_iterations(WHOLE))
        case _:
            return "-"


def main() -> None:
    """Print a line for each executor and runtime."""
    with_peer = peer.available()
    for name, (load, k6_options) in LOADS.items():
        line = f"{name:<22} planned {planned(load):>6}"
        for runtime, body in (("threads", Body(pause)), ("tasks", Body(pause_async, is_async=True))):
            count, lag = ours(load, body)
            line += f", {runtime} {count}" + (f" (lag p99 {lag:.2f} ms)" if lag is not None else "")
        if with_peer:
            scenario = {"executor": name, **k6_options}
            k6 = peer.run({"scenarios": {"it": scenario}}, f"sleep({PAUSE_S})", "import { sleep } from 'k6';")
            line += f", k6 {k6.value('iterations', 'count'):.0f}"
        print(line, flush=True)

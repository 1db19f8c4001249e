"""Situations of a generator: a load whose service time is known, and a disturbance beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.fitness import beside, bodies
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, RampingVUs
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.stages import Stage

SECONDS = 4
CPUS = os.cpu_count() or 1
Rate = Callable[[float], float]  # the true iterations a second, by the true mean of an iteration in seconds


WHOLE = tuple((aggregate, {}) for aggregate in ("p(95)", "p(99)", "avg", "max"))
PHASES = tuple(("p(95)", {"phase": phase}) for phase in ("ramp-up", "hold"))
OVER = (("p(95)", {"over": "2s"}), ("max", {"over": "1s"}))


@dataclass(frozen=True)
class Situation:
    """A load with *body*, on *workers* processes, with *going_on* beside it.

    *figures* are the aggregates of response_time that are judged, with where. *rate* is the true rate of iterations, to
    be judged where the load *is_level*.
    """

    name: str
    body: bodies.Making
    load: Load
    going_on: beside.GoingOn = beside.nothing
    workers: int = 1
    figures: tuple[tuple[str, Mapping[str, str]], ...] = WHOLE
    rate: Rate | None = None
    is_level: bool = True


def _closed(vus: float, think_s: float = 0.0) -> Rate:
    return lambda mean_s: vus / (mean_s + think_s)


def _vus(name: str, vus: int, body: bodies.Making, *, think_s: float = 0.0, **more: object) -> Situation:
    load = ConstantVUs(vus=vus, duration=f"{SECONDS}s")
    return Situation(name, body, load, rate=_closed(vus, think_s), **more)  # type: ignore[arg-type]


def _open(
    name: str, rate: float, body: bodies.Making, *, vus: int = 50, arrivals: str = "uniform", **more: object
) -> Situation:
    load = ConstantArrivalRate(rate=rate, duration=f"{SECONDS}s", vus=vus, max_vus=max(vus, 200), arrivals=arrivals)
    return Situation(name, body, load, rate=lambda _mean_s: rate, **more)  # type: ignore[arg-type]


def _ramp(name: str, vus: int, body: bodies.Making, **more: object) -> Situation:
    load = RampingVUs(stages=[Stage("2s", vus), Stage("3s", vus), Stage("500ms", 0)])
    rate = _closed(vus * (1.0 + 3.0 + 0.25) / 5.5)
    return Situation(name, body, load, figures=(*WHOLE, *PHASES), rate=rate, is_level=False, **more)  # type: ignore[arg-type]


sleeping, spinning = bodies.sleeping, bodies.spinning

SITUATIONS = (
    # Fit: nothing beside, and little of its own.
    _vus("closed, 10 VUs, 20 ms", 10, sleeping(20)),
    _vus("closed, 50 VUs, 50 ms", 50, sleeping(50)),
    _vus("closed, 1 VU, 5 ms", 1, sleeping(5)),
    _vus("closed, thinks", 20, sleeping(30, think_s=0.1), think_s=0.1),
    _vus("closed, a server's own time", 10, bodies.calling(20)),
    _open("open, 100/s, 20 ms", 100, sleeping(20)),
    _open("open, 200/s, 5 ms", 200, sleeping(5)),
    _open("open, Poisson, 50/s", 50, sleeping(30), arrivals="poisson"),
    _open("open, one in twenty 200 ms", 100, sleeping(20, tail_ms=200)),
    _open("open, a server's own time", 100, bodies.calling(20)),
    _vus("async, closed, 20 VUs", 20, bodies.awaiting(20)),
    _open("async, open, 200/s", 200, bodies.awaiting(10)),
    _vus("a worker a CPU", 10, sleeping(20), workers=CPUS),
    _vus("two workers a CPU, light", 8, sleeping(50), workers=2 * CPUS),
    _ramp("ramp", 20, sleeping(20)),
    _open("over= windows", 100, sleeping(20), figures=OVER),
    # Something beside.
    _vus("1 busy process, closed", 10, sleeping(20), going_on=beside.busy(1)),
    _open("1 busy process, open", 100, sleeping(20), going_on=beside.busy(1)),
    _vus("1 busy process, async", 20, bodies.awaiting(20), going_on=beside.busy(1)),
    _vus("imports beside", 10, sleeping(20), going_on=beside.importing),
    _vus("2 busy processes at nice 19", 10, sleeping(20), going_on=beside.busy(2, nice=19)),
    _vus("2 busy processes, closed", 10, sleeping(20), going_on=beside.busy(2)),
    _vus("4 busy processes, closed", 10, sleeping(20), going_on=beside.busy(4)),
    _open("4 busy processes, open", 100, sleeping(20), going_on=beside.busy(4)),
    _vus("6 busy processes, a server's own time", 10, bodies.calling(20), going_on=beside.busy(6)),
    _vus("6 busy processes, async", 20, bodies.awaiting(20), going_on=beside.busy(6)),
    _open(
        "4 busy processes for 1 s, over=",
        100,
        sleeping(20),
        going_on=beside.busy(4, from_s=1.5, to_s=2.5),
        figures=OVER,
    ),
    _ramp("4 busy processes in the ramp only", 20, sleeping(20), going_on=beside.busy(4, to_s=2.0)),
    # CPU of its own.
    _vus("own CPU, a third", 7, spinning(20, 1)),
    _vus("own CPU, two thirds", 14, spinning(20, 1)),
    _vus("own CPU, full", 20, spinning(20, 4)),
    _open("own CPU, full, open", 200, spinning(20, 6)),
    Situation(
        "own CPU, a peak in an open ramp",
        spinning(20, 4),
        RampingArrivalRate(
            start_rate=20, stages=[Stage("2s", 20), Stage("1s", 300), Stage("2s", 300)], vus=50, max_vus=400
        ),
        figures=(*WHOLE, *PHASES),
    ),
    _ramp("own CPU, a ramp to full", 30, spinning(20, 4)),
    _vus("own CPU on two workers a CPU", 32, spinning(20, 4), workers=2 * CPUS),
    _vus("own CPU, async", 20, bodies.awaiting_and_spinning(20, 4)),
    _open("starts, 4,000/s", 4000, sleeping(1), vus=100),
    # Stops of its own and of the system's.
    _vus("garbage collections of 1.5 million objects", 10, bodies.collecting(20)),
    _vus("event loop blocked for 50 ms by each", 10, bodies.blocking(20, 50)),
    _open("event loop blocked, open", 10, bodies.blocking(20, 80)),
    _vus("stopped for 0.3 s", 10, sleeping(20), going_on=beside.stopping(0.3, every_s=10)),
    _vus("stopped for 1 s", 10, sleeping(20), going_on=beside.stopping(1.0, every_s=10)),
    _open("stopped for 0.3 s, open, over=", 100, sleeping(20), going_on=beside.stopping(0.3, every_s=10), figures=OVER),
    _open("stopped for 0.25 s of each second", 100, sleeping(20), going_on=beside.stopping(0.25, every_s=1.0)),
)

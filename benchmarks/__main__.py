"""Print every benchmark, or those named: ``python -m benchmarks iterations stall``."""

from __future__ import annotations

import os
import sys

from benchmarks import (
    arrivals,
    coverage,
    crowds,
    grpc,
    http,
    iterations,
    memory,
    postgres,
    recording,
    scaling,
    stall,
    startup,
)

BENCHMARKS = {
    "iterations": iterations.main,
    "arrivals": arrivals.main,
    "crowds": crowds.main,
    "stall": stall.main,
    "recording": recording.main,
    "memory": memory.main,
    "startup": startup.main,
    "postgres": postgres.main,
    "grpc": grpc.main,
    "http": http.main,
    "scaling": scaling.main,
    "coverage": coverage.main,
}


def main(names: list[str]) -> None:
    """Run the benchmarks of *names*, all without any."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for name in names or list(BENCHMARKS):
        print(f"== {name}")
        BENCHMARKS[name]()
        if cores is not None:
            os.sched_setaffinity(0, cores)  # some take one core for themselves


if __name__ == "__main__":
    main(sys.argv[1:])

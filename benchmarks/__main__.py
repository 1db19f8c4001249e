"""Print every benchmark, or those named: ``python -m benchmarks iterations stall``.

``verdicts`` simulates: ``--runs`` is the number of runs a cell, ``--seed`` repeats what was printed with it.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

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
    verdicts,
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


def main() -> None:
    """Run the benchmarks that the command line names, all without any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join([*BENCHMARKS, 'verdicts'])}; all without"
    )
    parser.add_argument("--runs", type=int, default=1000, help="verdicts: simulated runs a cell (default: 1000)")
    parser.add_argument("--seed", type=int, help="verdicts: the seed to repeat")
    asked = parser.parse_args()
    known = {**BENCHMARKS, "verdicts": partial(verdicts.main, asked.runs, asked.seed)}
    if unknown := set(asked.names) - set(known):
        parser.error(f"{', '.join(sorted(unknown))}: not a benchmark; allowed: {', '.join(known)}")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for name in asked.names or list(known):
        print(f"== {name}")
        known[name]()
        if cores is not None:
            os.sched_setaffinity(0, cores)  # some take one core for themselves


if __name__ == "__main__":
    main()

"""Print every benchmark, or those named: ``python -m benchmarks iterations stall``; fitness takes options."""

from __future__ import annotations

import os
import sys
from importlib import import_module

BENCHMARKS = (
    *("iterations", "arrivals", "crowds", "stall", "recording", "memory", "startup"),
    *("postgres", "grpc", "http", "scaling", "coverage", "fitness"),
)


def main(arguments: list[str]) -> None:
    """Run the benchmarks that are named in *arguments*, all without any, with the options in it."""
    names = [argument for argument in arguments if not argument.startswith("--")]
    options = [argument for argument in arguments if argument.startswith("--")]
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for name in names or BENCHMARKS:
        print(f"== {name}")
        import_module(f"benchmarks.{name}").main(*options)  # one may need what another does not
        if cores is not None:
            os.sched_setaffinity(0, cores)  # some take one core for themselves


if __name__ == "__main__":
    main(sys.argv[1:])

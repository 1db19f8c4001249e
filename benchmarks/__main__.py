"""Print every benchmark, or those named: ``python -m benchmarks iterations stall``.

``coverage`` and ``verdicts`` simulate: ``--runs`` is the number of runs a cell, ``--seed`` repeats what was printed
with it. The options of ``fitness`` and ``scenarios`` are told there.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module

BENCHMARKS = (
    *("iterations", "arrivals", "crowds", "stall", "recording", "memory", "startup"),
    *("postgres", "grpc", "http", "sinks", "scaling", "coverage", "verdicts", "fitness", "scenarios"),
)
OPTIONS = {
    "coverage": ("runs", "seed"),
    "verdicts": ("runs", "seed"),
    "fitness": ("runs", "only", "cost", "baseline"),
    "scenarios": ("seconds", "only"),
}


def main() -> None:
    """Run the benchmarks that the command line names, all without any, each with the options that it has."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", argument_default=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without")
    parser.add_argument("--runs", type=int, help="of coverage and verdicts: a cell; fitness --baseline: of each")
    parser.add_argument("--seed", type=int, help="coverage, verdicts: the seed to repeat")
    parser.add_argument("--only", metavar="TEXT", help="fitness, scenarios: those whose name has it")
    parser.add_argument("--seconds", type=int, help="scenarios: how long each is run")
    parser.add_argument("--cost", action="store_true", help="fitness: what the beats cost")
    parser.add_argument("--baseline", action="store_true", help="fitness: the scenario baseline beside busy processes")
    asked = vars(parser.parse_args())
    names = asked.pop("names")
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"{', '.join(sorted(unknown))}: not a benchmark; allowed: {', '.join(BENCHMARKS)}")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for name in names or BENCHMARKS:
        print(f"== {name}")
        options = {option: asked[option] for option in OPTIONS.get(name, ()) if option in asked}
        import_module(f"benchmarks.{name}").main(**options)  # one may need what another does not
        if cores is not None:
            os.sched_setaffinity(0, cores)  # some take one core for themselves


if __name__ == "__main__":
    main()

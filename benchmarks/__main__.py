"""Print every benchmark, or those named: ``python -m benchmarks iterations recording memory startup postgres``."""

from __future__ import annotations

import sys

from benchmarks import iterations, memory, postgres, recording, startup

BENCHMARKS = {
    "iterations": iterations.main,
    "recording": recording.main,
    "memory": memory.main,
    "startup": startup.main,
    "postgres": postgres.main,
}


def main(names: list[str]) -> None:
    """Run the benchmarks of *names*, all without any."""
    for name in names or list(BENCHMARKS):
        print(f"== {name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

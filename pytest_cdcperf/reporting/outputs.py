"""The kinds of ``--perf-out=KIND=TARGET``, and what a user wrote of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.events import Listener
from pytest_cdcperf.reporting.benchmark_output import BenchmarkOutput
from pytest_cdcperf.reporting.csv_output import CsvOutput
from pytest_cdcperf.reporting.ndjson_output import NdjsonOutput

# Each makes the listener that writes to a file, and raises OSError where that cannot be written.
KINDS: Mapping[str, Callable[[Path], Listener]] = {
    "csv": CsvOutput,
    "ndjson": NdjsonOutput,
    "benchmark": BenchmarkOutput,
}


@dataclass(frozen=True)
class Output:
    """One output: the *kind* as :data:`KINDS` names it, and the file."""

    kind: str
    path: Path

    def open(self) -> Listener:
        """Return the listener that writes it.

        :raises ConfigError: when its file cannot be written
        """
        try:
            return KINDS[self.kind](self.path)
        except OSError as error:
            raise ConfigError(f"{self.kind}={self.path}: cannot be written: {error.strerror}") from None


def parse_outputs(texts: Sequence[str], directory: Path) -> tuple[Output, ...]:
    """Return the outputs that *texts* of the form ``KIND=FILE`` name, relative to *directory*.

    :raises ConfigError: with every fault at once
    """
    faults: list[str] = []
    outputs: dict[Path, Output] = {}
    for text in texts:
        kind, _, target = text.partition("=")
        path = directory / target
        if kind not in KINDS:
            faults.append(f"{shown(kind)} is not a valid kind of output; allowed: {', '.join(KINDS)}")
        elif not target or "\0" in target:
            faults.append(f"{shown(text)} names no file; allowed: {kind}=FILE")
        elif path.resolve() in outputs:
            faults.append(f"{shown(text)}: another output is written to this file; allowed: a file for each")
        else:
            outputs[path.resolve()] = Output(kind, path)
    if faults:
        raise ConfigError(*faults)
    return tuple(outputs.values())

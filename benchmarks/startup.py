"""The time that the plugin adds to a pytest session that has no perf test."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 9


def session_ms(directory: Path, *options: str) -> float:
    """Return the milliseconds of one session in *directory*."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1e3


def main() -> None:
    """Print the medians with and without the plugin, taken in turns."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_plain.py").write_text("def test_plain():\n    pass\n")
        pairs = [(session_ms(directory), session_ms(directory, "-p", "no:cdcperf")) for _ in range(ROUNDS)]
    with_plugin, without = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"session with the plugin {with_plugin:.0f} ms, without {without:.0f} ms: {with_plugin - without:+.0f} ms")

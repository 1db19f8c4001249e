"""``--perf-out``: the files that runs are written to beside the results."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_cdcperf.cluster.messages import NoticeOnce
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.events import Listener
from pytest_cdcperf.metrics.timed_samples import Tap, TimedSamples
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.reporting.ndjson_output import SampleFile
from pytest_cdcperf.reporting.outputs import Output

SAMPLES = "ndjson"  # the kind that is written where samples are taken, in each process


class Outputs:
    """Makes the listeners of *outputs*, before the first run of the session. Registered as a plugin."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs

    def pytest_cdcperf_listeners(self) -> list[Listener]:
        """Open all files: one that cannot be written ends the session."""
        faults: list[str] = []
        listeners: list[Listener] = []
        for output in self._outputs:
            try:
                listeners.append(output.open())
            except ConfigError as error:
                faults += (f"--perf-out: {fault}" for fault in error.faults)
        if faults:
            raise pytest.UsageError("\n".join(faults))
        return listeners


def samples_to_files(session: PerfSession, test: str) -> Tap | None:
    """Return what writes the samples of a run of *test* in this process, None where no output wants them."""
    worker = {} if session.context is None else {"worker": session.context.worker}
    files = [
        SampleFile(
            output.path, {"test": test, **worker}, lambda line: session.link.send(NoticeOnce("--perf-out", line))
        )
        for output in session.settings.outputs
        if output.kind == SAMPLES
    ]
    if not files:
        return None

    def tap(samples: Sequence[TimedSamples]) -> None:
        for file in files:
            file.take(samples)

    return tap

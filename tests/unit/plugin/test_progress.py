"""The live line, and a stream whose reader is gone."""

import os
import struct
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_cdcperf.events import Live, Notice, RunFinished, RunStarted, WindowMerged
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.plugin.progress import LastingStream, Progress
from pytest_cdcperf.results.result import RunFacts, RunResult

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and /dev/full are POSIX")


def test_writing_to_a_pipe_without_a_reader_goes_on_for_every_writer():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        stream = LastingStream(pipe)
        assert stream.write("lost\n") == 5
        stream.flush()
        assert os.write(writing, b"lost as well") == 12
        assert (stream.isatty(), stream.fileno()) == (False, writing)


def test_what_a_full_disk_does_not_take_is_lost_and_what_it_takes_later_is_not(tmp_path):
    disk = tmp_path / "disk"
    with Path("/dev/full").open("w") as full, disk.open("w") as roomy:
        stream = LastingStream(full)
        stream.write("lost\n")
        stream.flush()
        os.dup2(roomy.fileno(), full.fileno())
        stream.write("kept\n")
        stream.flush()
    assert disk.read_text().endswith("kept\n")


FACTS = RunFacts("1f2e3d4c", "test_it.py::test_it", "2 VUs for 95s", planned_s=95.0)
FINISHED = RunFinished(RunResult(FACTS, 95.0, Verdict.PASSED))


def merged(second, failed=0):
    live = Live(second, 95.0, 2, int(10 * second), 10.0, 12.5, failed)
    return WindowMerged(FACTS, Window(second - 1, second, Snapshot()), live)


def run(progress):
    progress.handle(RunStarted(FACTS, datetime.now(UTC), ("main",)))
    for second in range(1, 96):
        progress.handle(merged(float(second)))
        if second == 50:
            progress.handle(Notice("waiting for gw1"))
    progress.handle(FINISHED)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns: the end that is written to, and a function that returns what was written."""
    termios, fcntl = pytest.importorskip("termios"), pytest.importorskip("fcntl")
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    reading, writing = os.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(reading, False)
    written = bytearray()

    def seen():
        with suppress(BlockingIOError):
            while data := os.read(reading, 65536):
                written.extend(data)
        return written.decode()

    yield writing, seen
    os.close(reading)
    os.close(writing)


def test_without_a_terminal_progress_is_a_line_every_half_a_minute(tmp_path):
    with (tmp_path / "log").open("w") as log:
        run(Progress(log.fileno()))
    assert (tmp_path / "log").read_text().splitlines() == [
        "",
        "test_it.py::test_it: 2 VUs for 95s",
        "test_it  30s/1m35s  2 VUs  300 iterations  10/s  p95 12.5 ms  0 failed",
        "",
        "waiting for gw1",
        "test_it  1m/1m35s  2 VUs  600 iterations  10/s  p95 12.5 ms  0 failed",
        "test_it  1m30s/1m35s  2 VUs  900 iterations  10/s  p95 12.5 ms  0 failed",
    ]


def test_on_a_terminal_the_line_is_drawn_again_and_cleared_in_the_end(terminal):
    descriptor, seen = terminal
    progress = Progress(descriptor)
    for second in (1.0, 2.0):
        progress.handle(merged(second, failed=3))
    assert seen().count("\r\x1b[K") == 2
    assert seen().endswith("\x1b[31m3 failed\x1b[0m")
    progress.handle(FINISHED)
    assert seen().endswith("3 failed\x1b[0m\r\x1b[K")


@pytest.mark.parametrize(("color", "environment"), [("no", {}), ("auto", {"NO_COLOR": "1"})])
def test_a_terminal_without_colours_has_the_line_all_the_same(terminal, monkeypatch, color, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    descriptor, seen = terminal
    Progress(descriptor, color=color).handle(merged(60.0))
    assert seen().endswith("0 failed")
    assert "\x1b[3" not in seen()


def test_what_the_encoding_of_a_terminal_cannot_show_is_replaced(terminal):
    descriptor, seen = terminal
    Progress(descriptor, encoding="ascii", color="no").handle(merged(60.0))
    assert "  #############.......  1m/1m35s" in seen()

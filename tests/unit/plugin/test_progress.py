"""A stream whose reader is gone."""

import os
import sys
from pathlib import Path

import pytest

from pytest_cdcperf.plugin.progress import LastingStream

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

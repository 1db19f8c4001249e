"""Projects of tests that are run over several workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.distributed.harness import Project

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # process groups, kill -9 and SIGSTOP are POSIX


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)

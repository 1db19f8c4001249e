"""The data directory of a stack: its owner, its permissions and its removal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cdcperf.embedded import directory as directory_part
from pytest_cdcperf.embedded.directory import LOCK, remove_directory, stack_directory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no modes, and other locks")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of the machine."""
    monkeypatch.setattr(directory_part, "_places", lambda: [tmp_path])
    return tmp_path


def left_behind(path: Path) -> Path:
    """Make what a stack leaves whose processes were all killed at once."""
    (path / "postgres" / "base").mkdir(parents=True)
    (path / "postgres" / "base" / "1").write_text("rows")
    (path / "offsets").write_text("offsets")
    (path / LOCK).touch()
    return path


def test_it_is_private_and_removed_in_the_end() -> None:
    with stack_directory() as directory:
        mode = stat.S_IMODE(directory.stat().st_mode)
        assert mode & 0o007 == 0
        assert mode & 0o070 in (0, 0o010)  # PostgreSQL's user, where that is another, may enter and not look around
        left_behind(directory / "deep")
    assert not directory.exists()


def test_what_a_killed_stack_left_is_removed(place: Path) -> None:
    left = left_behind(place / "cdcperf-killed")
    half_removed = place / "cdcperf-half"
    half_removed.mkdir()
    (half_removed / LOCK).touch()
    with stack_directory() as directory:
        assert not left.exists()
        assert not half_removed.exists()
        assert directory.exists()


def test_two_at_once_leave_each_other_alone() -> None:
    with stack_directory() as first:
        (first / "row").touch()
        with stack_directory() as second:
            assert (first / "row").exists()
        assert not second.exists()
        assert (first / "row").exists()


def test_what_is_not_surely_a_dead_stacks_is_left_alone(place: Path) -> None:
    elsewhere = left_behind(place / "elsewhere")
    (place / "cdcperf-link").symlink_to(elsewhere)
    (place / "cdcperf-mine").mkdir()  # without a lock: somebody's, or a stack's that is just being made
    (place / "cdcperf-file").touch()
    before = sorted(place.rglob("*"))
    with stack_directory():
        pass
    assert sorted(place.rglob("*")) == before


def test_a_lock_elsewhere_is_not_followed(place: Path) -> None:
    mine = left_behind(place / "cdcperf-mine")
    (mine / LOCK).unlink()
    (mine / LOCK).symlink_to(place / "other.lock")
    (place / "other.lock").touch()
    with stack_directory():
        assert (mine / "offsets").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_is_left_alone(place: Path) -> None:
    others = left_behind(place / "cdcperf-others")
    os.chown(others, 12345, 12345)
    with stack_directory():
        assert (others / "offsets").exists()


def test_the_lock_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = left_behind(tmp_path / "cdcperf-killed")
    monkeypatch.setattr(directory_part, "_REMOVAL_TIMEOUT_S", 0.01)
    monkeypatch.setattr(directory_part.shutil, "rmtree", lambda *_, **__: None)  # as if killed in between
    remove_directory(left)
    assert (left / LOCK).exists()

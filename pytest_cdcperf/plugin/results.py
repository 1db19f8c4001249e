"""Makes the directory of a session's files: ``perf-results/<timestamp>-<id>/``."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_cdcperf.errors import ConfigError

REMEDY = "set RESULTS_DIR to a directory that can"


class SessionName(NamedTuple):
    """The name of a session, which no other has: the same in all its processes."""

    session_id: str
    started: str

    @classmethod
    def new(cls) -> SessionName:
        """Return the name of a session that starts now."""
        return cls(secrets.token_hex(4), time.strftime("%Y%m%d-%H%M%S"))


def is_session_id(text: str) -> bool:
    """Whether *text* can be the id of a session."""
    return re.fullmatch("[0-9a-f]{8}", text) is not None


class ResultsDirectory:
    """One directory for all that a session leaves behind, made when the first thing is written."""

    def __init__(self, parent: Path, run: SessionName) -> None:
        self._parent = parent
        self._pointed_at = False
        self.planned = parent / f"{run.started}-{run.session_id}"

    def check(self) -> None:
        """Make sure that results can be written, before anything is measured.

        :raises pytest.UsageError: when they cannot
        """
        try:
            self._make_parent()
            if not os.access(self._parent, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise pytest.UsageError(
                f"results directory {self._parent}: cannot be written: {error.strerror or error}; {REMEDY}"
            ) from None

    @property
    def path(self) -> Path:
        """The directory, which exists once it is asked for.

        :raises ConfigError: when it cannot be made
        """
        try:
            self._make_parent()  # again each time: somebody may have removed it
            self.planned.mkdir(exist_ok=True)
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"{self.planned}: cannot be written: {why}; {REMEDY}") from None
        if not self._pointed_at:
            self._point_latest_at(self.planned)
            self._pointed_at = True
        return self.planned

    def _make_parent(self) -> None:
        """Make the directory that holds those of all sessions; git ignores what is in one that we have made."""
        if not self._parent.is_dir():
            self._parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # as with "latest": a convenience
                (self._parent / ".gitignore").write_text("# Made by pytest-cdcperf.\n*\n", encoding="utf-8")

    def _point_latest_at(self, path: Path) -> None:
        latest, fresh = self._parent / "latest", self._parent / f".latest-{path.name}"
        if latest.exists() and not latest.is_symlink():
            return  # not ours: a copy of results, or a file of the user's
        with suppress(OSError):  # it is a convenience, and must cost no result
            try:
                fresh.symlink_to(path.name, target_is_directory=True)
            except OSError:  # Windows without the right to make links
                (self._parent / "latest.txt").write_text(f"{path.name}\n", encoding="utf-8")
                return
            try:
                fresh.replace(latest)
            finally:
                fresh.unlink(missing_ok=True)

"""Where a run's files go: ``perf-results/<timestamp>-<id>/``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest


class ResultsDirectory:
    """One directory for all that a session leaves behind, made when the first thing is written."""

    def __init__(self, parent: Path, run_id: str) -> None:
        self._parent = parent
        self._name = f"{time.strftime('%Y%m%d-%H%M%S')}-{run_id}"
        self._path: Path | None = None

    def check(self) -> None:
        """Make sure that results can be written, before anything is measured.

        :raises pytest.UsageError: when they cannot
        """
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            if not os.access(self._parent, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise pytest.UsageError(
                f"results directory {self._parent}: cannot be written: {error.strerror or error}; "
                "set RESULTS_DIR to a directory that can"
            ) from None

    @property
    def path(self) -> Path:
        """The directory, which exists from the first time it is asked for."""
        if self._path is None:
            self._path = self._parent / self._name
            self._path.mkdir(parents=True, exist_ok=True)
            self._point_latest_at(self._path)
        return self._path

    @property
    def used(self) -> bool:
        """Whether anything was written."""
        return self._path is not None

    def _point_latest_at(self, path: Path) -> None:
        latest, fresh = self._parent / "latest", self._parent / f".latest-{self._name}"
        try:
            fresh.symlink_to(path.name, target_is_directory=True)
            fresh.replace(latest)
        except OSError:  # Windows without the right to make links
            (self._parent / "latest.txt").write_text(f"{path.name}\n", encoding="utf-8")

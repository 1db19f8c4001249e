"""Results on disk: those of one session's directory, and the sessions of a directory of results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.results.json import read_document, read_result
from pytest_cdcperf.results.result import RunResult

PARENT = "perf-results"
"""The directory of results, where none is named."""
_SESSION = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-([0-9a-f]{8})")
_SUFFIXES = (".json", ".json.gz")


@dataclass(frozen=True)
class Saved:
    """The results that were found at a path, in the order in which their runs started.

    *faults* says of each file that holds none why that is so.
    """

    results: tuple[RunResult, ...]
    faults: tuple[str, ...] = ()


def read_saved(path: Path) -> Saved:
    """Return the result in the file *path*, or all that are in the directory *path*.

    :raises ConfigError: where there is no result: one line, with the path
    """
    if not path.is_dir():
        return Saved((read_result(path),))
    results, faults = [], []
    for file in _files(path):
        try:
            results.append(read_result(file))
        except ConfigError as error:
            faults.append(error.faults[0])
    if results:
        return Saved(tuple(sorted(results, key=lambda result: result.facts.started_at)), tuple(faults))
    if faults:
        more = f"; {len(faults) - 1} more files hold none" * (len(faults) > 1)
        raise ConfigError(f"{path}: holds no result: {faults[0]}{more}")
    within = max(_directories(path), default=None)
    raise ConfigError(
        f"{path}: holds no result" + ("" if within is None else f", but those of sessions; name one, such as {within}")
    )


@dataclass(frozen=True)
class SavedRun:
    """What a list of sessions says of a run: texts as they were written, "" where there is none."""

    test: str
    verdict: str
    profile: str
    commit: str


@dataclass(frozen=True)
class SavedSession:
    """The directory *path* of a session, which *started* at a time of this machine's clock."""

    path: Path
    session_id: str
    started: str
    runs: tuple[SavedRun, ...]
    faults: tuple[str, ...] = ()


def session_directories(parent: Path) -> list[Path]:
    """Return the directories of the sessions in *parent*, the oldest first.

    :raises ConfigError: where it cannot be read, or has none
    """
    try:
        found = sorted(_directories(parent))
    except OSError as error:
        raise ConfigError(f"{parent}: cannot be read: {error.strerror or error}") from None
    if not found:
        raise ConfigError(f"{parent}: holds no session")
    return found


def read_session(path: Path) -> SavedSession:
    """Return what a list says of the session in the directory *path*: results of any schema version."""
    runs, faults = [], []
    for file in _files(path):
        try:
            runs.append(_saved_run(read_document(file)))
        except ConfigError as error:
            faults.append(error.faults[0])
    name = _SESSION.fullmatch(path.name)
    year, month, day, hour, minute, session_id = name.groups() if name else ("",) * 6
    return SavedSession(path, session_id, f"{year}-{month}-{day} {hour}:{minute}", tuple(runs), tuple(faults))


def _saved_run(document: dict[str, Any]) -> SavedRun:
    environment = document.get("environment")
    commit = environment.get("commit") if isinstance(environment, dict) else None
    found = (document.get("test"), document.get("verdict"), document.get("profile"), commit)
    return SavedRun(*(text if isinstance(text, str) else "" for text in found))


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.name.endswith(_SUFFIXES))
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be read: {error.strerror or error}") from None


def _directories(parent: Path) -> Iterator[Path]:
    return (path for path in parent.iterdir() if _SESSION.fullmatch(path.name) and path.is_dir())

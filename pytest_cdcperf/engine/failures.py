"""Failed iterations by kind, with one sample each."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType

from pytest_cdcperf.errors import IterationTimeoutError, NeverAwaitedError

MAX_KINDS = 50
_LONGEST_ERROR = 300
_KNOW_WHERE = (IterationTimeoutError, NeverAwaitedError)  # which nobody has raised at the user's line
_FURTHER = ("further kinds", f"beyond the {MAX_KINDS} shown")


class Raised(Enum):
    """What an exception out of a body means for the run."""

    FAILED = "failed"
    SKIPPED = "skipped"
    EXIT = "exit"


@dataclass(frozen=True)
class ExceptionRules:
    """How exceptions are read: handed in, so that the engine knows no test framework.

    *describe* returns a text of bounded length, without secrets.
    """

    classify: Callable[[BaseException], Raised]
    describe: Callable[[BaseException], str]


@dataclass
class FailureKind:
    """One type of exception from one line of the user's code."""

    type: str
    where: str
    count: int
    sample: str

    @property
    def error(self) -> str:
        """The line of the sample that says what was raised, without which it is the type alone."""
        said = (line for line in self.sample.splitlines() if line.partition(":")[0].rpartition(".")[2] == self.type)
        return next(said, self.type)[:_LONGEST_ERROR]


class Failures:
    """Counts failed iterations by type and line, never by message, and formats one sample of each kind.

    A failing body costs little more than its exception: only the first of a kind is formatted.
    """

    def __init__(self, describe: Callable[[BaseException], str]) -> None:
        self._describe = describe
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], FailureKind] = {}
        self.first_skip = ""

    def add(self, error: BaseException) -> None:
        """Count *error*."""
        where = error.where if isinstance(error, _KNOW_WHERE) else user_line(error.__traceback__)
        key = (type(error).__name__, where)
        with self._lock:
            kind = self._kinds.get(key)
            if kind is None and len(self._kinds) >= MAX_KINDS:
                key = _FURTHER
                kind = self._kinds.get(key)
            if kind is not None:
                kind.count += 1
                return
            self._kinds[key] = kind = FailureKind(*key, 1, "")
        kind.sample = self._describe(error)

    def skip(self, error: BaseException) -> None:
        """Keep the reason of the first skipped iteration."""
        self.first_skip = self.first_skip or str(error)

    def kinds(self) -> list[FailureKind]:
        """The kinds, the most frequent first."""
        with self._lock:
            return sorted(self._kinds.values(), key=lambda kind: -kind.count)


def merge_kinds(kinds: Iterable[FailureKind]) -> tuple[FailureKind, ...]:
    """Return the kinds of several workers together, the most frequent first, and no more than of one."""
    merged: dict[tuple[str, str], FailureKind] = {}
    for kind in kinds:
        known = merged.setdefault((kind.type, kind.where), FailureKind(kind.type, kind.where, 0, kind.sample))
        known.count += kind.count
    further = merged.pop(_FURTHER, FailureKind(*_FURTHER, 0, ""))
    by_count = sorted(merged.values(), key=lambda kind: -kind.count)
    further.count += sum(kind.count for kind in by_count[MAX_KINDS:])
    return (*by_count[:MAX_KINDS], *([further] if further.count else []))


def most_frequent(kinds: Sequence[FailureKind]) -> str:
    """Return the first of *kinds* in a line: where, what and how often; "" without any."""
    return next((f"{kind.where}: {kind.error} ({kind.count:,} of them)" for kind in kinds), "")


_OURS = str(Path(__file__).parent.parent) + os.sep
_LIBRARIES = (
    _OURS,
    *(
        str(Path(place)) + os.sep
        for place in {
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            str(Path(sys.base_prefix, "lib")),
        }
    ),
)
_ELSEWHERE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")  # below a venv: the system's


def is_ours(filename: str) -> bool:
    """Whether the code in *filename* is this package's."""
    return filename.startswith(_OURS)


def is_library(filename: str) -> bool:
    """Whether the code in *filename* is not the user's own."""
    return filename.startswith((*_LIBRARIES, "<")) or any(place in filename for place in _ELSEWHERE)


def user_line(traceback: TracebackType | None) -> str:
    """Return "file:line" of the innermost frame that is the user's own code, not a library's."""
    found = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not found or not is_library(filename):
            found = f"{Path(filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found

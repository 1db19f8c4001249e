"""Fails a test by the verdict of its run, in the form that every reporter of pytest takes: text at the test's line."""

from __future__ import annotations

import os

import pytest
from _pytest._code.code import (
    ExceptionInfo,
    ReprEntry,
    ReprEntryNative,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
)
from _pytest.outcomes import Failed

from pytest_cdcperf.plugin.invocation import line_of
from pytest_cdcperf.reporting.not_passed import FailureText


class NotPassed(Failed):
    """The verdict of a run is not PASSED.

    Raised in the test, by :func:`~pytest_cdcperf.plugin.under_load.measure`.
    """

    def __init__(self, text: FailureText) -> None:
        super().__init__(str(text), pytrace=False)
        self.text = text


def representation(item: pytest.Function, error: NotPassed) -> ReprExceptionInfo:
    """Return what pytest shows of *error*, made of its own parts: xdist sends these from process to process.

    The message of ``reprcrash`` is what JUnit files have for the message of a failure, and its first line what stands
    in the short summary. The first entry has a location, by which annotations and IDEs find the line of the test.
    """
    text, line = error.text, line_of(item)
    where = ReprFileLocation(_shown_path(item), line, str(text.verdict))
    entries: list[ReprEntry | ReprEntryNative] = [
        ReprEntry([f"E   {reason}" for reason in text.reasons], None, None, where, style="native")
    ]
    if text.details:
        entries.append(ReprEntryNative([f"{line}\n" for line in text.details]))
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback(entries, None, style="native"),
        reprcrash=ReprFileLocation(os.fspath(item.path), line, text.message),
    )


def not_passed(excinfo: ExceptionInfo[BaseException]) -> NotPassed | None:
    """Return the verdict that *excinfo* is about, None where it is about something else."""
    return excinfo.value if isinstance(excinfo.value, NotPassed) else None


def _shown_path(item: pytest.Item) -> str:
    try:
        return os.path.relpath(item.path, item.config.invocation_params.dir)
    except ValueError:  # on another drive
        return os.fspath(item.path)

"""Tells the engine how pytest's outcomes and other exceptions out of a body count, and how they read."""

from __future__ import annotations

import traceback

import pytest

from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.source_lines import is_ours
from pytest_cdcperf.printable import printable


def _classify(error: BaseException) -> Raised:
    if isinstance(error, pytest.skip.Exception):
        return Raised.SKIPPED
    if isinstance(error, pytest.exit.Exception | pytest.xfail.Exception | SystemExit | KeyboardInterrupt):
        return Raised.EXIT
    return Raised.FAILED


def _describe(error: BaseException) -> str:
    """Return the traceback of *error* without our own frames: its beginning and its end where it is long."""
    extracted = traceback.TracebackException.from_exception(error)
    kept = [frame for frame in extracted.stack if not is_ours(frame.filename)]
    if kept:
        extracted.stack = traceback.StackSummary.from_list(kept)
    return printable("".join(extracted.format(chain=False)))


RULES = ExceptionRules(_classify, _describe)

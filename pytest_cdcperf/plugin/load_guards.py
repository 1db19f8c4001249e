"""Refuses what a body may not do under load, and keeps pytest from collecting all that a load logs and prints.

Most of it patches pytest, for the time of one load: ARCHITECTURE.md lists all.
"""

from __future__ import annotations

import logging
import pdb  # noqa: T100  # what is refused
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import pytest
from _pytest.capture import CaptureIO, EncodedFile
from _pytest.logging import LogCaptureHandler

from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.unawaited import failing_unawaited
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.plugin.output import bounded

_PATCHING = ("setattr", "delattr", "setitem", "delitem", "setenv", "delenv", "syspath_prepend", "chdir", "undo")


@contextmanager
def restrained(test: str) -> Iterator[None]:
    """Inside the block, which is the load of *test*, refuse its bodies what VUs may not do."""
    with (
        _logs_not_kept(),
        _warnings_kept_once(),
        failing_unawaited(),
        _output_bounded(),
        _fixtures_refused(test),
        _breakpoints_refused(),
        _subtests_counted(),
    ):
        yield


@contextmanager
def _logs_not_kept() -> Iterator[None]:
    # pytest listens at the root and at every logger that does not propagate to it.
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    listening = [
        (logger, handler)
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, LogCaptureHandler)
    ]
    for logger, handler in listening:
        logger.removeHandler(handler)
    try:
        yield
    finally:
        for logger, handler in listening:
            logger.addHandler(handler)


@contextmanager
def _warnings_kept_once() -> Iterator[None]:
    shown, show = set[tuple[type[Warning], str, int]](), warnings.showwarning

    def show_once(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any, **options: Any
    ) -> None:
        if (category, filename, lineno) not in shown:
            shown.add((category, filename, lineno))
            show(message, category, filename, lineno, *rest, **options)

    warnings.showwarning = show_once
    try:
        yield
    finally:
        warnings.showwarning = show


@contextmanager
def _output_bounded() -> Iterator[None]:
    # Without capture (-s) the streams are others, and nothing is kept of them.
    captured = {stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, EncodedFile | CaptureIO)}
    with ExitStack() as stack:
        for stream in captured:
            stack.enter_context(bounded(stream))
        yield


@contextmanager
def _fixtures_refused(test: str) -> Iterator[None]:
    """Refuse in every other thread than this one what pytest can do in this one only."""
    here = threading.get_ident()

    def here_only(does: Callable[..., Any], fault: Callable[..., str]) -> Callable[..., Any]:
        @wraps(does)
        def checked(self: object, *arguments: Any, **options: Any) -> Any:
            if threading.get_ident() != here:
                raise ConfigError(f"{test}: {fault(*arguments, **options)}")
            return does(self, *arguments, **options)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        request = pytest.FixtureRequest
        patch.setattr(request, "getfixturevalue", here_only(request.getfixturevalue, _late_fixture))
        for name in _PATCHING:
            patch.setattr(pytest.MonkeyPatch, name, here_only(getattr(pytest.MonkeyPatch, name), _late_patch))
        yield


@contextmanager
def _breakpoints_refused() -> Iterator[None]:
    """Refuse pdb, to which ``breakpoint()`` leads, to VUs: they would all ask at one terminal, under the live line."""
    begin = pdb.set_trace

    @wraps(begin)
    def outside_of_vus(*arguments: Any, **options: Any) -> Any:
        if current_vu() is not None:
            raise ConfigError("a breakpoint under load; debug one iteration instead: --pdb or --perf-once")
        return begin(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdb, "set_trace", outside_of_vus)
        yield


@contextmanager
def _subtests_counted() -> Iterator[None]:
    """Let a subtest that fails in a VU fail its iteration: pytest would capture and report each one."""
    places = (("_pytest.subtests", "Subtests"), ("pytest_subtests.plugin", "SubTests"))
    kinds = [getattr(sys.modules.get(module), name, None) for module, name in places]
    with pytest.MonkeyPatch.context() as patch:
        for kind in filter(None, kinds):
            patch.setattr(kind, "test", _test_in_vu(kind.test))
        yield


def _test_in_vu(reported: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(reported)
    def test(self: object, *arguments: Any, **options: Any) -> Any:
        vu = current_vu()
        return reported(self, *arguments, **options) if vu is None else _Subtest(vu)

    return test


class _Subtest:
    """A subtest under load: the body goes on after it, as in pytest, and its first failure is the iteration's."""

    def __init__(self, vu: VU) -> None:
        self._vu = vu

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        """Keep what failed the subtest; let through what is to end the iteration or the run."""
        if isinstance(error, pytest.skip.Exception):
            return True
        if isinstance(error, pytest.exit.Exception | pytest.xfail.Exception):
            return False
        if not isinstance(error, Exception | pytest.fail.Exception):
            return False
        self._vu.fault = self._vu.fault or error
        return True


def _late_fixture(argname: str) -> str:
    return (
        f"request.getfixturevalue({argname!r}) by a VU: fixtures are set up once, before the load; take {argname!r} "
        "as an argument of the test"
    )


def _late_patch(*_arguments: object, **_options: object) -> str:
    return (
        "monkeypatch used by a VU: what it changes is changed for all VUs, and undone once, after the load; "
        "use it in a fixture, or before load.run"
    )

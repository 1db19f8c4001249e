"""Writes the files that are made of all runs of a session, at its end, in the process that judged them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.html.address import PAGE
from pytest_cdcperf.reporting.markdown import markdown
from pytest_cdcperf.results.result import RunResult


def _page(results: Sequence[RunResult]) -> str:
    from pytest_cdcperf.reporting.html.page import page  # noqa: PLC0415  # 50 ms that a session without load saves

    return page(results)


_FILES: Mapping[str, Callable[[Sequence[RunResult]], str]] = {PAGE: _page, "comment.md": markdown}


class SessionFiles:
    """A plugin of each process. It writes nothing where no run was judged, as on workers."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Write the files, also after Ctrl-C. One that cannot be written costs no other."""
        if self._session.results:
            for name in _FILES:
                attempt(self._session, str(self._session.directory.planned / name), partial(self._write, name))

    def _write(self, name: str) -> None:
        text = _FILES[name](self._session.results)
        (self._session.directory.path / name).write_text(text, encoding="utf-8", errors="backslashreplace")


def attempt(session: PerfSession, what: str, write: Callable[[], object]) -> None:
    """Call *write*, which writes *what*. Where it fails, that is one line: the results are in files of their own."""
    try:
        write()
    except (ConfigError, OSError) as error:
        said = f"{what}: cannot be written: {getattr(error, 'strerror', None) or error}"
    except Exception as error:  # noqa: BLE001  # a fault of ours
        said = f"{what}: could not be made: {type(error).__name__}: {error}; the results are complete"
    else:
        return
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(one_line(f"cdcperf: {said}"), red=True)

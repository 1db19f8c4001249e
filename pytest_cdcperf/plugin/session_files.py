"""Writes the files that are made of all runs of a session, at its end, in the process that judged them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.html.page import PAGE, page
from pytest_cdcperf.reporting.markdown import markdown
from pytest_cdcperf.results.result import RunResult

_FILES: Mapping[str, Callable[[Sequence[RunResult]], str]] = {PAGE: page, "comment.md": markdown}


class SessionFiles:
    """A plugin of each process. Where no run was judged, which is on every worker, it writes nothing."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Write the files, also after Ctrl-C. One that cannot be written costs no other."""
        if not self._session.results:
            return
        for name, make in _FILES.items():
            try:
                text = make(self._session.results)
                (self._session.directory.path / name).write_text(text, encoding="utf-8", errors="backslashreplace")
            except (ConfigError, OSError) as error:
                self._say(f"{self._session.directory.planned / name}: cannot be written: {error}")
            except Exception as error:  # noqa: BLE001  # a fault of ours: the results are in files of their own
                self._say(f"{name} could not be made: {type(error).__name__}: {error}; the results are complete")

    def _say(self, line: str) -> None:
        reporter: Any = self._session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(one_line(f"cdcperf: {line}"), red=True)

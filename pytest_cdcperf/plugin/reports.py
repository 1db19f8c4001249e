"""Removes secrets from what pytest makes of tests, before it is shown or sent.

pytest shows the arguments of every frame of a traceback, a driver's too: of psycopg, the whole connection string.
A worker cleans its reports before they go to the process that shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest._code.code import ReprFuncArgs, TerminalRepr

from pytest_cdcperf.printable import printable_report
from pytest_cdcperf.redaction import forget_secrets, redact, redact_known

_NAME = "cdcperf-reports"
_OURS = "_cdcperf_"  # how the names of our own fixtures begin

Clean = Callable[[str], str]


def clean_reports(config: pytest.Config) -> None:
    """From now on the reports of the session show no secrets."""
    if not config.pluginmanager.hasplugin(_NAME):
        config.pluginmanager.register(Reports(config), _NAME)


class Reports:
    """Cleans reports in their place.

    In those of perf tests, and of others that use our fixtures, also what only looks like a secret is hidden, and
    control characters are escaped. Of all others nothing is changed but the values that are known to be secret.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Clean what pytest made of an exception. Called for each phase, where the test ran."""
        report = yield
        if _is_ours(item):
            _clean(report, printable_report, redact)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Clean what other plugins made or added. Called where the test ran, and where it is shown."""
        _clean(report, redact_known, redact_known)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Clean what pytest made of a module that cannot be imported."""
        _clean(report, redact, redact)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: TerminalRepr) -> None:
        """Clean what pytest shows of a plugin's fault."""
        _cleaned(excrepr, redact)

    @pytest.hookimpl(trylast=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Clean what pytest's own reporter keeps to show at the end, with --full-trace whole."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        _cleaned(getattr(reporter, "_keyboardinterrupt_memo", None), redact)

    def pytest_unconfigure(self) -> None:
        """Forget the session's secrets: in one process another may follow."""
        forget_secrets()


def _is_ours(item: pytest.Item) -> bool:
    return hasattr(item, "perf_session") or any(name.startswith(_OURS) for name in getattr(item, "fixturenames", ()))


def _clean(report: pytest.TestReport | pytest.CollectReport, clean: Clean, clean_output: Clean) -> None:
    report.longrepr = _cleaned(report.longrepr, clean)
    report.sections = [(title, clean_output(content)) for title, content in report.sections]
    for name in ("user_properties", "wasxfail"):
        if hasattr(report, name):
            setattr(report, name, _cleaned(getattr(report, name), clean))


def _cleaned(value: Any, clean: Clean) -> Any:
    """Return *value* with all text in it cleaned: pytest's objects are changed in their place."""
    match value:
        case str():
            return clean(value)
        case ReprFuncArgs():
            value.args = [_cleaned_argument(name, str(shown), clean) for name, shown in value.args]
        case TerminalRepr():
            for name, part in vars(value).items():
                setattr(value, name, _cleaned(part, clean))
        case list() if value and all(isinstance(part, str) for part in value):
            # Together: a secret may hold a line break. Native tracebacks have the ends of their lines in them.
            between = "" if any(part.endswith("\n") for part in value) else "\n"
            text = clean(between.join(value))
            return text.splitlines(keepends=True) if not between else text.split("\n")
        case tuple() | list():
            return type(value)(_cleaned(part, clean) for part in value)
    return value


def _cleaned_argument(name: str, shown: str, clean: Clean) -> tuple[str, str]:
    begin = f"{name} = "
    return name, clean(begin + shown).removeprefix(begin)  # the name may say that it is a secret

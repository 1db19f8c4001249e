"""The pytest side: everything that knows pytest is in this package.

The hooks of this module run in every session, so they load nothing that only perf tests need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pytest_cdcperf.plugin import options
from pytest_cdcperf.plugin.keys import mistakes_key, session_key, stdout_key
from pytest_cdcperf.plugin.load_tests import uses_load_fixture

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession

pytest_plugins = ("pytest_cdcperf.plugin.fixtures",)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--perf-*`` options. Called once at start-up, in every process."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Announce the hooks that projects may implement."""
    from pytest_cdcperf.plugin import hookspecs  # noqa: PLC0415

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks; where an option of ours is given, check all: a mistake ends the session with exit code 4."""
    options.register_markers(config)
    if config.getoption("perf_plan"):
        from pytest_cdcperf.plugin.plan import keep_workers_away  # noqa: PLC0415

        keep_workers_away(config)
    config.stash[stdout_key] = None if hasattr(config, "workerinput") else _duplicate_stdout()
    if config.getoption("dist", "no") != "no":
        _fan_out(config)
    if options.given(config):
        begin_session(config)
    elif options.may_name_a_profile(config):
        with suppress(pytest.UsageError):  # said where a perf test is collected
            begin_session(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the session has started, however it ended."""
    session = config.stash.get(session_key, None)
    if session is not None:
        session.close()
    descriptor = config.stash.get(stdout_key, None)
    if descriptor is not None:
        os.close(descriptor)
        config.stash[stdout_key] = None


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run ``--perf-clean`` instead of tests where it was asked for."""
    if config.getoption("perf_clean") is None:
        return None
    if config.getoption("perf_plan"):
        raise pytest.UsageError("--perf-plan and --perf-clean both say what to do instead of tests; allowed: one")
    from pytest_cdcperf.plugin.clean import clean  # noqa: PLC0415

    code: int = clean(config)
    return code


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class,
) -> Generator[None, object, object]:
    """Make perf tests of the functions that are marked as such, after every other plugin."""
    made = yield
    if not isinstance(made, list):
        return made
    try:
        return [_adopted(item, collector.config) for item in made]
    except pytest.Collector.CollectError as error:  # told with those of the other tests, once all are known
        collector.stash.setdefault(mistakes_key, {})[str(error)] = None
        return []


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Show all that is wrong with the tests of a module or a class, and a wrong argument in it as one line."""
    report = yield
    if report.passed and mistakes_key in collector.stash:
        from pytest_cdcperf.plugin.mistakes import all_at_once  # noqa: PLC0415

        return all_at_once(collector, [*collector.stash[mistakes_key]])
    error = getattr(getattr(report, "call", None), "excinfo", None)
    if error is not None and type(error.value).__module__ == "pytest_cdcperf.errors":
        from pytest_cdcperf.plugin.mistakes import in_one_line  # noqa: PLC0415

        in_one_line(collector, report, error)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse what carries the mark and could not be adopted, before any of its fixtures is set up."""
    if item.get_closest_marker("perf") is not None and not hasattr(item, "perf_session"):
        pytest.fail(f"{item.nodeid}: a method of unittest.TestCase cannot be a perf test; make it a function", False)


def _adopted(item: object, config: pytest.Config) -> object:
    if not isinstance(item, pytest.Function):
        return item
    if item.get_closest_marker("perf") is None and not uses_load_fixture(item):
        return item
    session = config.stash.get(session_key, None)
    if session is None:
        try:
            session = begin_session(config)
        except pytest.UsageError as error:  # too late for one: collection has begun
            raise pytest.Collector.CollectError(str(error)) from None
    from pytest_cdcperf.plugin.adoption import adopt  # noqa: PLC0415

    return adopt(item, session)


def begin_session(config: pytest.Config) -> PerfSession:
    """Return the session's perf tests, begun at the first call.

    :raises pytest.UsageError: with every fault of the configuration at once
    """
    from pytest_cdcperf.plugin import start  # noqa: PLC0415

    return start.begin_session(config)


def _fan_out(config: pytest.Config) -> None:
    from pytest_cdcperf.plugin.xdist.controller import FanOut, fan_out_key  # noqa: PLC0415
    from pytest_cdcperf.plugin.xdist.protocol import distributes  # noqa: PLC0415

    if distributes(config):
        config.stash[fan_out_key] = fan_out = FanOut(config, lambda: begin_session(config))
        config.pluginmanager.register(fan_out, "cdcperf-fan-out")


def _duplicate_stdout() -> int | None:
    # Now, while pytest does not capture: the live line of a run is to be seen during it.
    try:
        return os.dup(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # replaced by something without a descriptor
        return None

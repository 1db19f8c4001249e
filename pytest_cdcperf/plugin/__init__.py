"""The pytest side: everything that knows pytest is in this package.

The hooks of this module run in every session, so they load nothing that only perf tests need.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_cdcperf.plugin import options

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession  # noqa: F401  # named in a string below

pytest_plugins = ("pytest_cdcperf.plugin.fixtures",)

session_key = pytest.StashKey["PerfSession"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--perf-*`` options. Called once at start-up, in every process."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Announce the hooks that projects may implement."""
    from pytest_cdcperf.plugin import hookspecs  # noqa: PLC0415

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the configuration once; a mistake in it ends the session with one line and exit code 4."""
    from pytest_cdcperf.plugin.session import PerfSession  # noqa: PLC0415

    settings = options.resolve(config)
    options.register_markers(config, settings)
    config.stash[session_key] = session = PerfSession(config, settings)
    config.pluginmanager.register(session, "cdcperf-session")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of what the session holds, whatever became of it."""
    session = config.stash.get(session_key, None)
    if session is not None:
        session.close()


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run ``--perf-clean`` instead of tests where it was asked for."""
    if config.getoption("perf_clean") is None:
        return None
    from pytest_cdcperf.plugin.clean import clean  # noqa: PLC0415

    code: int = clean(config)
    return code


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class,
) -> Generator[None, object, object]:
    """Make perf tests of the functions that are marked as such, after every other plugin had its say."""
    made = yield
    session = collector.config.stash.get(session_key, None)
    if session is None or not isinstance(made, list):
        return made
    return [session.adopt(item) if isinstance(item, pytest.Function) else item for item in made]

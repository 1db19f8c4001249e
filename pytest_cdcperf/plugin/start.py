"""Begins the perf tests of a session, of which most have none: nothing of this is loaded before it is needed."""

from __future__ import annotations

import pytest

from pytest_cdcperf.plugin.github import GitHubActions
from pytest_cdcperf.plugin.header import Header
from pytest_cdcperf.plugin.junit import SummaryAsOutput
from pytest_cdcperf.plugin.keys import session_key, stdout_key
from pytest_cdcperf.plugin.outputs import Outputs
from pytest_cdcperf.plugin.report_additions import ReportAdditions
from pytest_cdcperf.plugin.reports import clean_reports
from pytest_cdcperf.plugin.selection import Selection
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.session_files import SessionFiles
from pytest_cdcperf.plugin.settings import resolve
from pytest_cdcperf.plugin.summary import Summary
from pytest_cdcperf.plugin.xdist.controller import fan_out_key
from pytest_cdcperf.plugin.xdist.protocol import context_of
from pytest_cdcperf.plugin.xdist.worker import Worker


def begin_session(config: pytest.Config) -> PerfSession:
    """Return the session's perf tests; at the first call, make all that belongs to them, and register its hooks.

    :raises pytest.UsageError: with every fault of the configuration at once
    """
    known = config.stash.get(session_key, None)
    if known is not None:
        return known
    context, fan_out = context_of(config), config.stash.get(fan_out_key, None)
    name = None if fan_out is None else fan_out.name
    session = PerfSession(config, resolve(config), config.stash[stdout_key], context, name, fan_out)
    config.stash[session_key] = session
    clean_reports(config)
    selection = Selection(session)
    header = Header(session, selection)
    plugins = {
        "selection": selection,
        "header": header,
        "report-additions": ReportAdditions(session),
        "session-files": SessionFiles(session),
        "summary": Summary(session),
        "github": GitHubActions(session),
        "junit": SummaryAsOutput(config, session.results),
        "interruption": session.interruption,
    }
    if session.settings.outputs and context is None:
        plugins["outputs"] = Outputs(session.settings.outputs)
    if config.getoption("perf_plan"):
        from pytest_cdcperf.plugin.plan import PlanOnly  # noqa: PLC0415  # 30 ms that other sessions save

        plugins["plan"] = PlanOnly(session, selection)
    if session.replay is not None:
        plugins["replay"] = session.replay
    if context is not None:
        plugins["worker"] = Worker(session, context, header.lines)
    for role, plugin in plugins.items():
        config.pluginmanager.register(plugin, f"cdcperf-{role}")
    if fan_out is not None:
        fan_out.bind(session)
    return session

"""The ``--perf-*`` options and the marks, as every pytest session sees them: this must cost next to nothing."""

from __future__ import annotations

import pytest

_TABLE = b"[tool.cdcperf"
_ASKING = (
    "perf_run",
    "perf_once",
    "perf_profile",
    "perf_duration",
    "perf_vus",
    "perf_rate",
    "perf_thresholds",
    "perf_stack",
    "perf_on_unfit",
    "perf_clean",
    "markexpr",
)

# The built-in ones, by every spelling: reading them from the model would cost each session 15 ms.
_PROFILES = (
    *("baseline", "stress", "spike", "soak"),
    *("e2e_latency", "e2e-latency", "mixed_workload", "mixed-workload", "mixed"),
)


def add_options(parser: pytest.Parser) -> None:
    """Add the options, without defaults: layers below the command line have their say."""
    group = parser.getgroup("cdcperf", "load tests")
    add = group.addoption
    add("--perf-run", action="store_true", default=None, help="run perf tests under load, each with its own profile")
    add("--perf-once", action="store_true", default=None, help="run perf tests once, whatever else asks for load")
    add("--perf-profile", metavar="NAME", default=None, help="run the perf tests of this profile under load")
    add("--perf-duration", metavar="TIME", default=None, help="override the duration of every load, such as 30s")
    add("--perf-vus", metavar="N", type=str, default=None, help="override the virtual users of every load")
    add("--perf-rate", metavar="N", type=str, default=None, help="override the rate of every open-loop load")
    add("--perf-thresholds", metavar="FILE", default=None, help="TOML or JSON with limits by profile and metric")
    add("--perf-on-unfit", metavar="WHAT", default=None, help="an unfit load generator: fail (default) or warn")
    add("--perf-stack", metavar="WHICH", default=None, help="embedded (default) or external: the environment's servers")
    add("--perf-clean", metavar="RUN_ID", default=None, help="remove the rows that a killed run left, and end")


def register_markers(config: pytest.Config) -> None:
    """Register ``perf`` and the built-in profiles, so that --strict-markers is content."""
    config.addinivalue_line("markers", "perf(**keys): a perf test; keys state its load, limits and tolerated failures")
    for name in _PROFILES:
        config.addinivalue_line("markers", f"{name}: perf profile")


def concern(config: pytest.Config) -> bool:
    """Whether option, configuration or mark expression could concern perf tests, so that all must be checked now."""
    if any(config.getoption(name, None) for name in _ASKING):
        return True
    try:
        return _TABLE in (config.rootpath / "pyproject.toml").read_bytes()
    except OSError:
        return False

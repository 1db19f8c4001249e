"""The ``--perf-*`` options and the marks, as every pytest session sees them: this must cost next to nothing."""

from __future__ import annotations

import re

import pytest

from pytest_cdcperf.load.builtin_profiles import BUILTIN, canonical, spellings

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
    "perf_out",
    "perf_plan",
    "perf_clean",
    "perf_seed",
    "perf_replay",
)


def add_options(parser: pytest.Parser) -> None:
    """Add the options, without defaults: layers below the command line have their say."""
    group = parser.getgroup("cdcperf", "load tests")
    add = group.addoption
    add("--perf-run", action="store_true", default=None, help="run perf tests under load, each with its own profile")
    add("--perf-once", action="store_true", default=None, help="run perf tests once, whatever else asks for load")
    add(
        "--perf-plan", action="store_true", default=None, help="show loads, limits and times of perf tests, run nothing"
    )
    add("--perf-profile", metavar="NAME", default=None, help="run the perf tests of this profile under load")
    add("--perf-duration", metavar="TIME", default=None, help="override the duration of every load, such as 30s")
    add("--perf-vus", metavar="N", type=str, default=None, help="override the virtual users of every load")
    add("--perf-rate", metavar="N", type=str, default=None, help="override the rate of every open-loop load")
    add("--perf-thresholds", metavar="FILE", default=None, help="TOML or JSON with limits by profile and metric")
    add("--perf-on-unfit", metavar="WHAT", default=None, help="an unfit load generator: fail (default) or warn")
    again = "run one iteration of an earlier run again, alone, as SEED:LOAD:VU:ITERATION; a failure shows it"
    add("--perf-replay", metavar="ITERATION", default=None, help=again)
    add("--perf-seed", metavar="TEXT", default=None, help="what vu.random draws from; without it the session's id")
    add("--perf-stack", metavar="WHICH", default=None, help="embedded (default) or external: the environment's servers")
    out = "write runs to a file as well: csv=FILE (windows), ndjson=FILE (samples), benchmark=FILE; repeatable"
    add("--perf-out", metavar="KIND=FILE", action="append", default=None, help=out)
    add("--perf-clean", metavar="SESSION_ID", default=None, help="remove the rows that a killed run left, and end")


def register_markers(config: pytest.Config) -> None:
    """Register ``perf`` and the profiles, so that --strict-markers is content."""
    config.addinivalue_line("markers", "perf(**keys): a perf test; keys state its load, limits and tolerated failures")
    for name in _profile_marks(config):
        config.addinivalue_line("markers", f"{name}: perf profile")


def given(config: pytest.Config) -> bool:
    """Whether any ``--perf-*`` option was given, so that all of them and the configuration must be checked now."""
    return any(config.getoption(name, None) for name in _ASKING)


def runs_nothing(config: pytest.Config) -> bool:
    """Whether the session ends with the collection of its tests."""
    return bool(config.getoption("collectonly") or config.getoption("perf_plan"))


def may_name_a_profile(config: pytest.Config) -> bool:
    """Whether the ``-m`` expression could ask for load."""
    words = set(re.findall(r"[\w-]+", config.getoption("markexpr", "") or ""))
    return not words.isdisjoint(_profile_marks(config))


def _profile_marks(config: pytest.Config) -> list[str]:
    """Return the marks of all profiles, the project's among them. What is wrong with those is not said here."""
    return [mark for name in dict.fromkeys([*BUILTIN, *_own_profiles(config)]) for mark in spellings(canonical(name))]


def _own_profiles(config: pytest.Config) -> list[str]:
    try:
        text = (config.rootpath / "pyproject.toml").read_bytes()
        if b"cdcperf" not in text:
            return []
        import tomllib  # noqa: PLC0415  # most sessions have no need of it

        return [*tomllib.loads(text.decode())["tool"]["cdcperf"]["profiles"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []

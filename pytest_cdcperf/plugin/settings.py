"""Resolves command line, pyproject.toml and environment once, to one frozen value.

Not imported in a session that has nothing to do with perf tests: see ``options.py``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from pytest_cdcperf.checks import is_whole_number
from pytest_cdcperf.engine.iteration_id import SEED_ALLOWED, IterationId, is_seed
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.builtin_profiles import canonical
from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.load.profiles import DEFAULT_PROFILE, profiles_from_config
from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.outputs import Output, parse_outputs
from pytest_cdcperf.servers import AUTO, NEVER, PostgresOptions
from pytest_cdcperf.text_file import read_text
from pytest_cdcperf.threshold_file import read_thresholds

_KEYS = ("stack", "on_unfit", "results", "out", "health", "seed", "profiles", "embedded", "postgres")
_EMBEDDED_KEYS = ("schema", "collections")
_POSTGRES_KEYS = ("prepare_threshold", "pool_mode")
_POOL_MODES = ("transaction", "session")
_MOST_THRESHOLD = 1_000_000
_MOST_NAMES = 12  # of a -m expression, beside the profile, whose every combination is tried out


class Mode(Enum):
    """Whether perf tests run once, as functional tests, or under load."""

    ONCE = "once"
    LOAD = "load"


@dataclass(frozen=True)
class Settings:
    """The configuration of a session, checked."""

    mode: Mode
    mode_reason: str
    asked: frozenset[str]
    exclusive: bool
    seed: str
    replay: IterationId | None
    overrides: Overrides
    profiles: Mapping[str, Load]
    external: bool
    on_unfit: str
    schema: Path | None
    collections: Mapping[str, str]
    postgres: PostgresOptions
    health: tuple[str, ...]
    results: Path
    outputs: tuple[Output, ...]
    thresholds: Mapping[str, tuple[Threshold, ...]]

    @property
    def runs_load(self) -> bool:
        """Whether perf tests run under load in this session."""
        return self.mode is Mode.LOAD

    def profile_of(self, name: str | None) -> Load:
        """Return the load of the profile *name*, without one that of the default."""
        return self.profiles[name or DEFAULT_PROFILE]


def resolve(config: pytest.Config) -> Settings:
    """Return the settings of the session.

    :raises pytest.UsageError: with every fault at once
    """
    faults: list[str] = []
    table = _read_table(config.rootpath / "pyproject.toml", faults)
    profiles: Mapping[str, Load] = {}
    overrides = Overrides()
    try:
        profiles = profiles_from_config(_table(table, "profiles", faults))
    except ConfigError as error:
        faults += error.faults
    try:
        overrides = Overrides(
            vus=_number(config.getoption("perf_vus")),
            duration=config.getoption("perf_duration"),
            rate=_number(config.getoption("perf_rate")),
        )
    except ConfigError as error:
        faults += error.faults
    mode, reason, asked, exclusive = _mode(config, profiles, faults)
    embedded = _table(table, "embedded", faults)
    faults += _unknown(embedded, _EMBEDDED_KEYS, "[tool.cdcperf.embedded]")
    settings = Settings(
        thresholds=_thresholds(config, profiles, faults),
        mode=mode,
        mode_reason=reason,
        asked=asked,
        exclusive=exclusive,
        seed=_seed(config, table, faults),
        replay=_replay(config, faults),
        overrides=overrides,
        profiles=profiles,
        external=_stack(config, table, faults) == "external",
        on_unfit=_on_unfit(config, table, faults),
        schema=_schema(config.rootpath, embedded.get("schema"), faults),
        collections=_collections(embedded.get("collections", {}), faults),
        postgres=_postgres(_table(table, "postgres", faults), faults),
        health=_paths(config.rootpath, table.get("health", []), faults),
        results=config.rootpath / (os.environ.get("RESULTS_DIR") or _results(table, faults)),
        outputs=_outputs(config, table, faults),
    )
    if faults:
        raise pytest.UsageError("\n".join(map(one_line, faults)))
    return settings


def _read_table(path: Path, faults: list[str]) -> Mapping[str, Any]:
    # From the rootdir even where pytest.ini is the inifile.
    try:
        tools = tomllib.loads(read_text(path)).get("tool", {}) if path.exists() else {}
    except ConfigError as error:
        faults.append(f"{path}: {error}")
        return {}
    except (ValueError, RecursionError) as error:  # not TOML, or nested without end
        faults.append(f"{path}: cannot be read: {error}")
        return {}
    table = tools.get("cdcperf", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        faults.append(f"{path}: tool.cdcperf={shown(table)}; allowed: a table, [tool.cdcperf]")
        return {}
    faults += _unknown(table, _KEYS, "[tool.cdcperf]")
    return table


def _unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> list[str]:
    return [f"{where}: unknown key {key!r}; allowed: {', '.join(known)}" for key in table if key not in known]


def _table(table: Mapping[str, Any], key: str, faults: list[str]) -> Mapping[str, Any]:
    value = table.get(key, {})
    if isinstance(value, dict):
        return value
    faults.append(f"[tool.cdcperf]: {key}={shown(value)}; allowed: a table")
    return {}


def _number(text: str | None) -> Any:
    # What is not a number stays text, for the message that refuses it; so does what has more digits than Python reads.
    if text is not None and re.fullmatch(r"-?\d{1,100}", text):
        return int(text)
    return float(text) if text is not None and re.fullmatch(r"-?\d*\.\d+", text) else text


def _thresholds(
    config: pytest.Config, profiles: Mapping[str, Load], faults: list[str]
) -> Mapping[str, tuple[Threshold, ...]]:
    name = config.getoption("perf_thresholds")
    if name is None:
        return {}
    try:
        return read_thresholds(config.invocation_params.dir / name, set(profiles))
    except ConfigError as error:
        faults += [f"--perf-thresholds={name}: {fault}" for fault in error.faults]
        return {}


def _stack(config: pytest.Config, table: Mapping[str, Any], faults: list[str]) -> str:
    sources = (
        ("--perf-stack", config.getoption("perf_stack")),
        ("CDCPERF_STACK", os.environ.get("CDCPERF_STACK")),
        ("[tool.cdcperf] stack", table.get("stack")),
    )
    return _choice(sources, ("embedded", "external"), faults)


def _seed(config: pytest.Config, table: Mapping[str, Any], faults: list[str]) -> str:
    """Return the seed that is given, "" without one."""
    stated = table.get("seed")
    sources = (
        ("--perf-seed", config.getoption("perf_seed")),
        ("CDCPERF_SEED", os.environ.get("CDCPERF_SEED") or None),
        ("[tool.cdcperf] seed", str(stated) if is_whole_number(stated) else stated),
    )
    given = [(where, value) for where, value in sources if value is not None]
    faults += [
        f"{where}={shown(value)} is not a valid seed; allowed: {SEED_ALLOWED}"
        for where, value in given
        if not isinstance(value, str) or not is_seed(value)
    ]
    return str(given[0][1]) if given else ""


def _replay(config: pytest.Config, faults: list[str]) -> IterationId | None:
    text = config.getoption("perf_replay")
    if text is None:
        return None
    if config.getoption("dist", "no") != "no":
        faults.append("--perf-replay runs one iteration, in this process; leave -n out, or say -n 0")
    try:
        return IterationId.parse(text)
    except ConfigError as error:
        faults.append(f"--perf-replay={error}")
        return None


def _on_unfit(config: pytest.Config, table: Mapping[str, Any], faults: list[str]) -> str:
    sources = (
        ("--perf-on-unfit", config.getoption("perf_on_unfit")),
        ("CDCPERF_ON_UNFIT", os.environ.get("CDCPERF_ON_UNFIT")),
        ("[tool.cdcperf] on_unfit", table.get("on_unfit")),
    )
    return _choice(sources, ("fail", "warn"), faults)


def _choice(sources: Sequence[tuple[str, Any]], allowed: tuple[str, ...], faults: list[str]) -> str:
    """Return the first value that is given, and the first that is allowed without one."""
    given = [(where, value) for where, value in sources if value not in (None, "")]
    words = ", ".join(allowed)
    faults += [f"{where}={shown(value)}; allowed: {words}" for where, value in given if value not in allowed]
    return str(given[0][1]) if given else allowed[0]


def _results(table: Mapping[str, Any], faults: list[str]) -> str:
    name = table.get("results", "perf-results")
    if isinstance(name, str) and name and "\0" not in name:
        return name
    faults.append(f"[tool.cdcperf]: results={shown(name)}; allowed: the path of a directory")
    return ""


def _outputs(config: pytest.Config, table: Mapping[str, Any], faults: list[str]) -> tuple[Output, ...]:
    given, environment, stated = config.getoption("perf_out"), os.environ.get("CDCPERF_OUT"), table.get("out", [])
    texts = [stated] if isinstance(stated, str) else stated
    where, directory = "[tool.cdcperf] out", config.rootpath
    if given is not None:
        texts, where, directory = given, "--perf-out", config.invocation_params.dir
    elif environment:
        texts, where, directory = environment.split(","), "CDCPERF_OUT", config.invocation_params.dir
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        faults.append(f"{where}={shown(stated)}; allowed: a list of texts, such as ['csv=perf.csv']")
        return ()
    try:
        return parse_outputs(texts, directory)
    except ConfigError as error:
        faults += [f"{where}: {fault}" for fault in error.faults]
        return ()


def _postgres(table: Mapping[str, Any], faults: list[str]) -> PostgresOptions:
    where = "[tool.cdcperf.postgres]"
    faults += _unknown(table, _POSTGRES_KEYS, where)
    environment = os.environ.get("CDCPERF_PREPARE_THRESHOLD")
    name = "CDCPERF_PREPARE_THRESHOLD" if environment else f"{where}: prepare_threshold"
    threshold = _number(environment) if environment else table.get("prepare_threshold", AUTO)
    is_count = is_whole_number(threshold) and 0 <= threshold <= _MOST_THRESHOLD
    if not (is_count or threshold in (AUTO, NEVER)):
        faults.append(f"{name}={shown(threshold)}; allowed: a number of at least 0, {AUTO!r}, {NEVER!r}")
    mode = _choice(((f"{where} pool_mode", table.get("pool_mode")),), _POOL_MODES, faults)
    return PostgresOptions(threshold, mode)


def _schema(root: Path, name: Any, faults: list[str]) -> Path | None:
    if name is None:
        return None
    where = f"[tool.cdcperf.embedded]: schema={shown(name)}"
    if not isinstance(name, str):
        faults.append(f"{where}; allowed: the path of an SQL file")
        return None
    path = root / name
    if not path.is_file():
        faults.append(f"{where}: there is no such file in {root}")
        return None
    try:
        read_text(path)
    except ConfigError as error:
        faults.append(f"{where}: {error}")
    return path


def _collections(value: Any, faults: list[str]) -> Mapping[str, str]:
    if isinstance(value, dict) and all(isinstance(part, str) and part for pair in value.items() for part in pair):
        return value
    faults.append(f"[tool.cdcperf.embedded]: collections={shown(value)}; allowed: a table of collection names by table")
    return {}


def _paths(root: Path, value: Any, faults: list[str]) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        faults.append(f"[tool.cdcperf]: health={shown(value)}; allowed: a path, or a list of paths")
        return ()
    faults += [
        f"[tool.cdcperf]: health={name!r}: there is no such file or directory in {root}"
        for name in names
        if not (root / name).exists()
    ]
    return tuple(str(root / name) for name in names)


def _mode(
    config: pytest.Config, profiles: Mapping[str, Load], faults: list[str]
) -> tuple[Mode, str, frozenset[str], bool]:
    option = config.getoption
    named = option("perf_profile")
    if named is not None and canonical(named) not in profiles:
        faults.append(f"--perf-profile={named} is not a valid profile; allowed: {', '.join(sorted(profiles))}")
    if option("perf_replay") is not None:
        return Mode.ONCE, "--perf-replay runs one iteration again", frozenset(), False
    for debugging in ("usepdb", "trace"):
        if option(debugging, False):
            return Mode.ONCE, "--pdb and --trace debug one iteration", frozenset(), False
    if option("perf_once"):
        return Mode.ONCE, "--perf-once", frozenset(), False
    if named is not None:
        return Mode.LOAD, f"--perf-profile={named}", frozenset({canonical(named)}), True
    asked = asked_by_expression(option("markexpr", "") or "", profiles)
    if asked:
        return Mode.LOAD, f"-m {option('markexpr')!r} names {', '.join(sorted(asked))}", asked, False
    if option("perf_run"):
        return Mode.LOAD, "--perf-run", frozenset(), False
    if option("perf_plan"):
        return Mode.LOAD, "what --perf-run would run", frozenset(), False
    return Mode.ONCE, "one iteration per perf test; --perf-run or -m PROFILE runs the load", frozenset(), False


def asked_by_expression(expression: str, profiles: Mapping[str, Load]) -> frozenset[str]:
    """Return the profiles that a ``-m`` expression positively names.

    A profile is named when there is a test for which having its mark makes the expression true and
    lacking it makes it false.
    """
    words = set(re.findall(r"[^\s()=,'\"]+", expression)) - {"and", "or", "not"}
    names = sorted({word for word in words if canonical(word) in profiles})
    if not names:
        return frozenset()
    try:
        compiled = Expression.compile(expression)
    except Exception:  # noqa: BLE001  # pytest 8 and 9 raise different types, and report it in their own words
        return frozenset()
    return frozenset(canonical(name) for name in names if _decides(compiled, name, sorted(words - {name})))


def _decides(compiled: Expression, name: str, others: list[str]) -> bool:
    few = len(others) <= _MOST_NAMES
    for values in product((False, True), repeat=len(others)) if few else ([False] * len(others), [True] * len(others)):
        on = {other for other, value in zip(others, values, strict=True) if value}
        if _holds(compiled, on | {name}) and not _holds(compiled, on):
            return True
    return False


def _holds(compiled: Expression, on: set[str]) -> bool:
    return compiled.evaluate(lambda name, /, **_kwargs: name in on)

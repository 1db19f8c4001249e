"""Named loads. A profile is the lowest layer of a test's load: the marker's keys lie over it."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.builtin_profiles import BUILTIN, canonical
from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.load.executors import EXECUTORS, load_from_keys

DEFAULT_PROFILE = "baseline"

# A load longer than this runs only where its profile was asked for by name.
LONGEST_UNASKED_S = 20 * 60

_RESERVED = frozenset(
    {"perf", "skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "tryfirst", "trylast"}
    | {"asyncio", "anyio", "timeout", "flaky", "xdist_group", "unit"}
)


def profiles_from_config(table: Mapping[str, object]) -> dict[str, Load]:
    """Return the built-in profiles with those of ``[tool.cdcperf.profiles]`` over them.

    A table of a built-in name changes that profile; another one takes ``executor``, by k6's names, and its
    fields, without it those of constant-vus.

    :raises ConfigError: with every fault at once
    """
    profiles = dict(BUILTIN_PROFILES)
    faults: list[str] = []
    for written, keys in table.items():
        name, where = canonical(written), f"[tool.cdcperf.profiles.{written}]"
        if name in _RESERVED or not name.isidentifier():
            faults.append(
                f"{where}: a profile cannot be called {shown(written)}, marks of that name mean something else"
            )
        elif not isinstance(keys, dict):
            faults.append(f"{where}: {shown(keys)} is not a table; allowed: executor and its fields")
        else:
            try:
                profiles[name] = _profile(BUILTIN_PROFILES.get(name), dict(keys))
            except ConfigError as error:
                faults += [f"{where}: {fault}" for fault in error.faults]
    if faults:
        raise ConfigError(*faults)
    return profiles


def _profile(known: Load | None, keys: dict[str, object]) -> Load:
    named = keys.pop("executor", None)
    if "stages" in keys:
        keys["stages"] = _stages(keys["stages"])
    if known is not None and named is None:
        return load_from_keys(known, keys)
    executor = ConstantVUs if named is None else EXECUTORS.get(str(named))
    if executor is None:
        raise ConfigError(f"executor={shown(named)}; allowed: {', '.join(EXECUTORS)}")
    if executor is ConstantVUs:
        keys = {"duration": "5m", **keys}
    return executor(**keys)  # type: ignore[arg-type]  # it checks keys and values


def _stages(stages: object) -> object:
    # In TOML a stage is a table as in k6: { duration = "2m", target = 50 }.
    if not isinstance(stages, list):
        return stages
    return [
        (stage["duration"], stage["target"])
        if isinstance(stage, dict) and stage.keys() == {"duration", "target"}
        else stage
        for stage in stages
    ]


BUILTIN_PROFILES: Mapping[str, Load] = {name: _profile(None, dict(keys)) for name, keys in BUILTIN.items()}

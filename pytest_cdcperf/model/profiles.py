"""Named loads. A profile is the lowest layer of a test's load: the marker's keys lie over it."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.model.load import ConstantVUs, Load

DEFAULT_PROFILE = "baseline"

# Only what this version can run; the names of those to come are in the seeds.
BUILTIN_PROFILES: Mapping[str, Load] = {
    "baseline": ConstantVUs(vus=10, duration="5m"),
    "soak": ConstantVUs(vus=50, duration="2h"),
}

# A load longer than this runs only where its profile was asked for by name.
LONGEST_UNASKED_S = 20 * 60

_RESERVED = frozenset(
    [
        "perf",
        "skip",
        "skipif",
        "xfail",
        "parametrize",
        "usefixtures",
        "filterwarnings",
        "tryfirst",
        "trylast",
        "asyncio",
        "anyio",
        "timeout",
        "flaky",
        "xdist_group",
        "unit",
    ]
)


def canonical(name: str) -> str:
    """Return *name* as profiles are kept: ``e2e-latency`` and ``e2e_latency`` are one."""
    return name.replace("-", "_")


def profiles_from_config(table: Mapping[str, object]) -> dict[str, Load]:
    """Return the built-in profiles with those of ``[tool.cdcperf.profiles]`` over them.

    :raises ConfigError: with every fault at once
    """
    profiles = dict(BUILTIN_PROFILES)
    faults: list[str] = []
    for written, keys in table.items():
        name, where = canonical(written), f"[tool.cdcperf.profiles.{written}]"
        if name in _RESERVED or not name.isidentifier():
            faults.append(f"{where}: a profile cannot be called {written!r}, marks of that name mean something else")
        elif not isinstance(keys, dict):
            faults.append(f"{where}: {keys!r} is no table; allowed: vus, duration, graceful_stop")
        else:
            try:
                profiles[name] = ConstantVUs(**{"duration": "5m", **keys})
            except ConfigError as error:
                faults += [f"{where}: {fault}" for fault in error.faults]
            except TypeError:
                faults.append(f"{where}: unknown key in {sorted(keys)}; allowed: vus, duration, graceful_stop, tags")
    if faults:
        raise ConfigError(*faults)
    return profiles

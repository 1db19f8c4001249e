"""The built-in profiles, as a project writes its own in ``[tool.cdcperf.profiles]``, and the names of profiles.

Read in every pytest session, to register the marks: this imports nothing.
"""

from __future__ import annotations

BUILTIN: dict[str, dict[str, object]] = {
    "baseline": {"executor": "constant-vus", "vus": 10, "duration": "5m"},
    "stress": {"executor": "ramping-vus", "stages": [("2m", 50), ("5m", 100), ("2m", 150), ("5m", 100), ("2m", 0)]},
    # Level before and after, so that the recovery can be judged; and a wait beyond the 30 s that a row may take.
    "spike": {
        "executor": "ramping-vus",
        "start_vus": 10,
        "stages": [("60s", 10), ("1m", 500), ("30s", 10), ("2m", 10)],
        "graceful_ramp_down": "40s",
        "graceful_stop": "40s",
    },
    "soak": {"executor": "constant-vus", "vus": 50, "duration": "2h"},
    "e2e_latency": {"executor": "constant-arrival-rate", "rate": 10, "duration": "5m", "vus": 20, "max_vus": 50},
    "mixed_workload": {
        "executor": "ramping-vus",
        "stages": [("1m", 20), ("3m", 50), ("3m", 50), ("1m", 20), ("1m", 0)],
    },
}
_ALIASES = {"mixed": "mixed_workload"}


def canonical(name: str) -> str:
    """Return *name* as profiles are kept.

    >>> canonical("e2e-latency"), canonical("mixed")
    ('e2e_latency', 'mixed_workload')
    """
    plain = name.replace("-", "_")
    return _ALIASES.get(plain, plain)


def spellings(name: str) -> list[str]:
    """Return all marks that name the profile *name*.

    >>> spellings("mixed_workload")
    ['mixed', 'mixed-workload', 'mixed_workload']
    """
    aliases = [alias for alias, profile in _ALIASES.items() if profile == name]
    return sorted({name, name.replace("_", "-"), *aliases})

"""Runs the tests of ``tox -e tests``: the quick ones first, on all cores, then those that need a core for themselves.

With arguments it runs pytest with these alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

QUICK = ("-n", "auto", "tests/unit", "tests/docs")
# The files of the environment "servers" are left out: they take as long again.
_IN_SERVERS = (
    *("embedded_*", "hanging_servers", "polling", "postgres_connections", "postgres_pooler", "postgres_sessions"),
    *("secrets", "sessions", "types"),
)
OTHERS = (
    *("tests/plugin", "tests/services", "tests_perf"),
    *(f"--ignore-glob=tests/services/test_{name}.py" for name in _IN_SERVERS),
)


def main(arguments: Sequence[str]) -> int:
    """Return the first exit code that is not 0; a part that fails does not keep the other from running."""
    parts = (arguments,) if arguments else (QUICK, OTHERS)
    codes = [subprocess.call([sys.executable, "-m", "pytest", *part]) for part in parts]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

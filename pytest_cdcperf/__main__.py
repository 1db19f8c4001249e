"""``python -m pytest_cdcperf`` is the console script ``cdcperf``."""

from pytest_cdcperf.commands import main

if __name__ == "__main__":
    raise SystemExit(main())

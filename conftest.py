"""Shared by tests/ and tests_perf/."""

pytest_plugins = ["pytester"]

"""Shared by tests/ and tests_perf/."""

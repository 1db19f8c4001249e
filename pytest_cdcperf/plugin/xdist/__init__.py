"""Perf tests over the workers of pytest-xdist."""

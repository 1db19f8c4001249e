"""Benchmarks of the plugin's own costs: ``python -m benchmarks``. Compare ratios, not figures of one machine."""

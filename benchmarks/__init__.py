"""What the plugin itself costs: ``python -m benchmarks``. Compare ratios, not the figures of one machine."""

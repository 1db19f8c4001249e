"""Samples to figures: histograms, recorders, windows, thresholds and the verdict."""

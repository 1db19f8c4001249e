"""Samples to figures: histograms, recorders and windows."""

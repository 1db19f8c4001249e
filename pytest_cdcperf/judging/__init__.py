"""From figures to verdicts: thresholds, intervals, and rules about the course of a run."""

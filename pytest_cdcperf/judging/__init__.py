"""From figures to verdicts: thresholds, intervals, and rules about the whole run."""

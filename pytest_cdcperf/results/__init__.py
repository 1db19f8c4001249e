"""The result of a run, and its form as JSON."""

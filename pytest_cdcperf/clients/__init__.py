"""Real drivers, instrumented. Each module imports its own driver only."""

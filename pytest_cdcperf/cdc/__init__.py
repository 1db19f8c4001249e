"""Change data capture: waiting for what was written to arrive, and watching the pipeline that carries it."""

"""Pure functions from one result to what people and machines read."""

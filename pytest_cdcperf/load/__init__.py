"""The load model: executors, profiles, overrides and each worker's share, as frozen values and pure functions."""

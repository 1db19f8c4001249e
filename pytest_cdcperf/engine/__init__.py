"""Runs a body under load: pacing, virtual users, two runtimes, one accounting."""

"""The scenarios: load tests of a change-data-capture pipeline, and the documentation's examples."""

"""How much load there is, and when: executors, profiles, and each worker's share. Frozen values and pure functions."""

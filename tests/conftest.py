"""What holds for all tests."""

import os

# What is tested is not the machine: on a busy one the load generators of the sessions inside are unfit. The tests of
# their fitness say themselves what they expect.
os.environ["CDCPERF_ON_UNFIT"] = "warn"

"""The metrics that every run has, by k6's names where k6 has them. Times are milliseconds."""

from __future__ import annotations

from pytest_cdcperf.metrics.recorder import Counter, Gauge, Rate, Trend
from pytest_cdcperf.metrics.snapshot import GaugeMerge, Tags

RESPONSE_TIME = Trend("response_time", unit="ms")  # intended start to end, without think time
ITERATION_DURATION = Trend("iteration_duration", unit="ms")  # actual start to end, think time included
GROUP_DURATION = Trend("group_duration", unit="ms")
VU_WAIT = Trend("vu_wait", unit="ms")  # open loops: how long a start waited because every VU was busy
GENERATOR_LAG = Trend("generator_lag", unit="ms")  # open loops: how late it was although a VU was free
GENERATOR_DELAY = Trend("generator_delay", unit="ms")  # how late the generator's heartbeat was, missed beats filled in
GENERATOR_LOST = Counter("generator_lost_s", unit="s")  # the lateness of beats that were more than 5 ms late
DROPPED_ITERATIONS = Counter("dropped_iterations")
RUN_ENDED: Tags = (("reason", "run ended"),)  # those of them that had no VU to wait for, but no time any more
ITERATIONS = Counter("iterations")
ITERATION_FAILED = Rate("iteration_failed")
FAILURE_PAUSE = Counter("failure_pause_s", unit="s")  # closed loops: pauses after failed iterations, of all VUs
ITERATIONS_SKIPPED = Counter("iterations_skipped")
ITERATIONS_INTERRUPTED = Counter("iterations_interrupted")
CHECKS = Rate("checks")
GENERATOR_MEMORY = Gauge("generator_memory_mb", unit="MB", merging=GaugeMerge.SUM)  # resident
STACK_MEMORY = Gauge("stack_memory_mb", unit="MB", merging=GaugeMerge.MAX)  # of the embedded servers, shared pages once
VUS = Gauge("vus", merging=GaugeMerge.SUM)
VUS_MAX = Gauge("vus_max", merging=GaugeMerge.SUM)

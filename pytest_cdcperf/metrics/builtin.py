"""The metrics that every run has, by k6's names where k6 has them. Times are milliseconds."""

from __future__ import annotations

from pytest_cdcperf.metrics.groups import EXECUTION
from pytest_cdcperf.metrics.metric import Counter, Gauge, GaugeMerge, Rate, Tags, Trend

RESPONSE_TIME = Trend("response_time", unit="ms", group=EXECUTION)  # intended start to end, without think time
ITERATION_DURATION = Trend("iteration_duration", unit="ms", group=EXECUTION)  # actual start to end, think time included
GROUP_DURATION = Trend("group_duration", unit="ms", group=EXECUTION)
VU_WAIT = Trend("vu_wait", unit="ms", group=EXECUTION)  # open loops: how long a start waited because every VU was busy
GENERATOR_LAG = Trend("generator_lag", unit="ms", group=EXECUTION)  # open loops: how late it was although a VU was free
# how late the generator's heartbeat was, missed beats filled in
GENERATOR_DELAY = Trend("generator_delay", unit="ms", group=EXECUTION)
# the lateness of beats that were more than 5 ms late
GENERATOR_LOST = Counter("generator_lost_s", unit="s", group=EXECUTION)
DROPPED_ITERATIONS = Counter("dropped_iterations", group=EXECUTION)
RUN_ENDED: Tags = (("reason", "run ended"),)  # those of them that had no VU to wait for, but no time any more
ITERATIONS = Counter("iterations", group=EXECUTION)
ITERATION_FAILED = Rate("iteration_failed", group=EXECUTION)
# closed loops: pauses after failed iterations, of all VUs
FAILURE_PAUSE = Counter("failure_pause_s", unit="s", group=EXECUTION)
ITERATIONS_SKIPPED = Counter("iterations_skipped", group=EXECUTION)
ITERATIONS_INTERRUPTED = Counter("iterations_interrupted", group=EXECUTION)
CHECKS = Rate("checks", group=EXECUTION)
GENERATOR_MEMORY = Gauge("generator_memory_mb", unit="MB", group=EXECUTION, merging=GaugeMerge.SUM)  # resident
# of the embedded servers, shared pages once
STACK_MEMORY = Gauge("stack_memory_mb", unit="MB", group=EXECUTION, merging=GaugeMerge.MAX)
VUS = Gauge("vus", group=EXECUTION, merging=GaugeMerge.SUM)
VUS_MAX = Gauge("vus_max", group=EXECUTION, merging=GaugeMerge.SUM)

HEADLINES = ("cdc_e2e_latency", RESPONSE_TIME.name)  # the picture of a run shows the first of these that it has

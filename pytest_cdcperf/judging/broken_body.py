"""Finds a body that fails in every iteration in the same way: the run is ended, since more of it shows nothing new."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.snapshot import Snapshot

LEAST_ITERATIONS = 100
LEAST_S = 2.0


def broken_body(total: Snapshot, elapsed_s: float, only_kinds: Sequence[FailureKind | None]) -> str:
    """Return the failure of all iterations so far in a line, "" where it is too early or they ended otherwise.

    :param total: the figures of all workers
    :param only_kinds: by worker that has ended iterations, the one kind of their failures; None where there were others
    """
    ended = total.rate(builtin.ITERATION_FAILED.name)
    if ended.total < LEAST_ITERATIONS or ended.hits < ended.total or elapsed_s < LEAST_S:
        return ""
    kinds = [kind for kind in only_kinds if kind is not None]
    if len(kinds) < len(only_kinds) or len({(kind.type, kind.where) for kind in kinds}) != 1:
        return ""
    error = f"{kinds[0].error} at {kinds[0].where}"
    return f"every one of the first {ended.total:,} iterations failed: {error}; ended after {elapsed_s:.1f} s"

"""The trends of calls to servers, in which failed calls stand apart.

A server that refuses at once would make figures fast. So a plain name means the calls that were successful, and those
that ended at their time limit, which are as slow as a call can be. A selector that names how calls ended gets these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pytest_cdcperf.metrics.metric import Tags

_OK = "ok"
_EXPECTED = "expected_response"  # k6's

_OUTCOME: Mapping[str, str] = {
    "pg_read_duration": _OK,
    "pg_write_duration": _OK,
    "pg_control_duration": _OK,
    "mongo_read_duration": _OK,
    "grpc_req_duration": _OK,
    "grpc_stream_duration": _OK,
    "http_req_duration": _EXPECTED,
    "http_req_waiting": _EXPECTED,
    "http_req_receiving": _EXPECTED,
    "http_req_connecting": _EXPECTED,
    "http_req_tls_handshaking": _EXPECTED,
}
_OUTCOME_TAGS = frozenset({_OK, _EXPECTED, "status", "error"})
_TIMED_OUT = ("error", "timeout")

SUCCESSFUL: Tags = ((_OK, "true"),)
FAILED: Tags = ((_OK, "false"),)
TIMED_OUT: Tags = (_TIMED_OUT, (_OK, "false"))


def failed_calls(metric: str) -> tuple[str, str] | None:
    """Return the tag that failed calls in the trend *metric* carry, None where it is not a trend of calls."""
    tag = _OUTCOME.get(metric)
    return None if tag is None else (tag, "false")


def selects_outcome(tags: Collection[str]) -> bool:
    """Whether a selector with the names *tags* chooses calls by how they ended."""
    return not _OUTCOME_TAGS.isdisjoint(tags)


def stands_apart(metric: str, tags: Tags) -> bool:
    """Whether a series is of failed calls that the plain name of *metric* does not mean."""
    failed = failed_calls(metric)
    return failed is not None and failed in tags and _TIMED_OUT not in tags


def always_apart(metric: str) -> Tags:
    """Return the (tag, value) pairs by which the series of *metric* must not be merged."""
    failed = failed_calls(metric)
    return () if failed is None else (failed, _TIMED_OUT)

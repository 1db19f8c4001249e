from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from pytest_cdcperf.clients.recording import CallRecorder
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.metric import Counter, Trend

DURATION, ERRORS = Trend("t_recording_duration", unit="ms"), Counter("t_recording_errors")
TAGS = (("table", "orders"),)


def call(tags=()):
    return CallRecorder(DURATION, ERRORS, tags).call(lambda error: isinstance(error, TimeoutError))


def test_a_call_is_timed_with_its_tags(recorder):
    with call(TAGS):
        pass
    drained = recorder.drain()
    assert drained.select(DURATION.name, {"table": "orders"}).count == 1
    assert drained.select(DURATION.name).min >= 0
    assert drained.select(ERRORS.name) is None


def test_a_failed_call_is_timed_counted_and_its_error_goes_on(recorder):
    with pytest.raises(OSError, match="down"), call(TAGS):
        raise OSError("down")
    drained = recorder.drain()
    assert drained.select(DURATION.name, {"table": "orders"}).count == 1
    assert drained.select(ERRORS.name, {"table": "orders"}).total == 1


def test_a_call_lasts_from_its_begin_in_milliseconds(recorder):
    begin_ns = time.perf_counter_ns() - 2_000_000_000
    calls = CallRecorder(DURATION, ERRORS)
    calls.succeeded(begin_ns)
    calls.failed(begin_ns)
    drained = recorder.drain()
    assert all(2_000 <= state.min < 60_000 for key, state in drained.series.items() if key.name == DURATION.name)


def test_outside_an_iteration_nothing_is_recorded(recorder):
    def measure():
        with call():
            pass

    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
    assert recorder.drain().series == {}


def test_how_a_call_ended_stands_apart(recorder):
    for error in (None, OSError("down"), TimeoutError("late")):
        with suppress(OSError), call():
            if error is not None:
                raise error
    drained = recorder.drain()
    ends = [key.tags for key in drained.series if key.name == DURATION.name]
    assert ends == [(("ok", "true"),), (("ok", "false"),), (("error", "timeout"), ("ok", "false"))]
    assert {kind: state.total for kind, state in drained.by_tag(ERRORS.name, "error")} == {"OSError": 1, "timeout": 1}

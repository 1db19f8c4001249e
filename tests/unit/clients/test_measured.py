from __future__ import annotations

from contextlib import suppress

import pytest

from pytest_cdcperf.clients.measured import Measured
from pytest_cdcperf.metrics.metric import Counter, Trend

DURATION, ERRORS = Trend("t_measured_duration", unit="ms"), Counter("t_measured_errors")
TAGS = (("table", "orders"),)


def measured(tags=()):
    return Measured(DURATION, ERRORS, tags, timed_out=lambda error: isinstance(error, TimeoutError))


def test_a_call_is_timed_with_its_tags(recorder):
    with measured(TAGS):
        pass
    drained = recorder.drain()
    assert drained.select(DURATION.name, {"table": "orders"}).count == 1
    assert drained.select(DURATION.name).min >= 0
    assert drained.select(ERRORS.name) is None


def test_a_failed_call_is_timed_counted_and_its_error_goes_on(recorder):
    with pytest.raises(OSError, match="down"), measured(TAGS):
        raise OSError("down")
    drained = recorder.drain()
    assert drained.select(DURATION.name, {"table": "orders"}).count == 1
    assert drained.select(ERRORS.name, {"table": "orders"}).total == 1


def test_outside_an_iteration_nothing_is_recorded(recorder):
    import threading

    def call():
        with measured():
            pass

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert recorder.drain().series == {}


def test_how_a_call_ended_stands_apart(recorder):
    for error in (None, OSError("down"), TimeoutError("late")):
        with suppress(OSError), measured():
            if error is not None:
                raise error
    ends = [key.tags for key in recorder.drain().series if key.name == DURATION.name]
    assert ends == [(("ok", "true"),), (("ok", "false"),), (("error", "timeout"), ("ok", "false"))]

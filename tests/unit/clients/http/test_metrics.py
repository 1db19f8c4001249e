from __future__ import annotations

from pytest_cdcperf.clients.http.metrics import HttpRecording
from pytest_cdcperf.clients.http.urls import endpoint_of
from pytest_cdcperf.engine.body import group
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import current_scope


def record(recording: HttpRecording, status: int = 200) -> None:
    recording.series("GET", endpoint_of("http://h:1/orders/7"), (("team", "shop"),)).add(status, "", 3.0, 2.0, 1.0)


def test_a_call_is_one_sample_of_each_metric_with_its_tags(recorder):
    recording = HttpRecording()
    record(recording)
    record(recording, 404)
    drained = recorder.drain()
    tags = {"method": "GET", "name": "/orders/{id}", "url": "http://h:1/orders/{id}", "team": "shop"}
    assert drained.select("http_reqs", {**tags, "status": "404"}).total == 1
    assert drained.select("http_req_failed", tags).hits == 1
    assert drained.select("http_req_duration", tags).sum == 3  # of the response that is expected
    assert drained.select("http_req_duration", {**tags, "expected_response": "false"}).sum == 3
    assert drained.select("http_req_duration", {**tags, "status": "404"}).sum == 3
    assert drained.select("http_req_connecting") is None


def test_a_group_and_a_diverted_scope_are_followed(recorder):
    recording, elsewhere = HttpRecording(), Recorder()
    record(recording)
    with group("buying"):
        record(recording)
    assert recorder.drain().select("http_reqs", {"group": "buying"}).total == 1
    current_scope().divert(elsewhere)
    record(recording)
    assert elsewhere.drain().select("http_reqs").total == 1
    assert recorder.drain().select("http_reqs") is None


def test_outside_an_iteration_nothing_is_recorded():
    record(HttpRecording())

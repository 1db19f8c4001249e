"""Known faults of the pipeline wake those who wait for an arrival."""

from __future__ import annotations

import threading
from typing import Any

from pymongo.errors import AutoReconnect

from pytest_cdcperf.cdc import faults as module
from pytest_cdcperf.cdc.faults import PipelineFaults

ASIDE = {"_id": "staging", "collection": "stagings", "reason": "it has no key"}


def test_a_table_that_is_set_aside_is_named_to_those_who_wait_for_its_collection() -> None:
    faults = PipelineFaults(list, lambda: [ASIDE])
    assert faults.of("stagings") is None
    faults.check()
    assert faults.of("stagings") == "table 'staging' is set aside: it has no key"
    assert faults.of("orders") is None


def test_a_dead_part_concerns_every_collection_and_the_sink_is_not_asked() -> None:
    faults = PipelineFaults(lambda: ["mongo died", "debezium died"], lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    faults.check()
    assert faults.of("orders") == "mongo died; debezium died"


def test_a_sink_that_does_not_answer_is_no_news() -> None:
    answers: list[Any] = [[ASIDE], AutoReconnect("gone")]

    def set_aside() -> Any:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    faults = PipelineFaults(list, set_aside)
    faults.check()
    faults.check()
    assert faults.of("stagings")


def test_those_who_wait_are_woken_once_for_what_is_new(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0)
    faults = PipelineFaults(list, lambda: [ASIDE])
    woken = threading.Event()
    with faults.subscribe(woken.set):
        assert woken.wait(30)
        woken.clear()
        faults.check()
        assert not woken.is_set()
    faults.close()
    assert faults._callbacks == set()

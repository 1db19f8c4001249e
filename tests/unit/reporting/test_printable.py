"""Names with a lone surrogate, which no file and no channel can hold: every output has it escaped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.judging.threshold import evaluate, parse_threshold
from pytest_cdcperf.metrics.recorder import Rate, Recorder, Scope, Trend, recording
from pytest_cdcperf.reporting.html import fragment
from pytest_cdcperf.reporting.json import file_stem, write_result
from pytest_cdcperf.reporting.printable import printable
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.terminal import session_table, summary, verdict_lines

LONE = "x\ud800y"
SEEN = r"x\ud800y"


@pytest.fixture
def odd(empty):
    recorder = Recorder()
    with recording(Scope(recorder)):
        Trend(f"t_printable_{LONE}").add(1, {LONE: LONE})
        Rate("checks").add(value=True, tags={"check": LONE})
    total = recorder.drain()
    return replace(
        empty,
        facts=replace(empty.facts, test=LONE, title=LONE, load=LONE, tags={LONE: LONE}),
        reasons=(LONE, LONE),
        total=total,
        thresholds=(evaluate(parse_threshold(f"checks{{check:{LONE}}}", "rate>0.9"), total, 1.0),),
        failures=(FailureKind("ValueError", "test_shop.py:7", 6, f"Traceback\nValueError: {LONE}\n"),),
        notes=(LONE,),
    )


def test_only_what_cannot_be_encoded_is_escaped():
    assert printable(f"ü✓ {LONE} 𝄞") == f"ü✓ {SEEN} 𝄞"


@pytest.mark.parametrize(
    "output",
    [
        lambda result: "\n".join(summary(result)),
        lambda result: "\n".join(verdict_lines(result)),
        lambda result: "\n".join(session_table([result])),
        lambda result: "\n".join(name + value for name, value in properties(result, f"{LONE}.")),
        fragment,
    ],
    ids=["summary", "verdict", "table", "properties", "html"],
)
def test_every_output_shows_it_escaped(odd, output):
    assert SEEN in output(odd).encode().decode()


def test_the_file_holds_it_escaped(odd, tmp_path):
    document = json.loads(write_result(odd, tmp_path).read_bytes())
    json.dumps(document, ensure_ascii=False).encode()
    assert document["tags"] == {SEEN: SEEN}
    assert document["failures"][0]["sample"] == f"Traceback\nValueError: {SEEN}\n"
    assert file_stem(LONE) != file_stem("x-y")

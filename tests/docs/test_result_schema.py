from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def schema(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield importlib.import_module("result_schema")
    del sys.modules["result_schema"]


def test_the_page_is_what_the_types_say(schema):
    assert schema.PAGE.read_text() == schema.page(), "run: python docs/generate.py"


def test_every_field_of_a_file_is_on_the_page(pytester, schema):
    pytester.makepyfile("from pytest_cdcperf import perf\n@perf(vus=1, iterations=3, p50=1000)\ndef test_it(): pass\n")
    pytester.runpytest("--perf-run")
    (path,) = (pytester.path / "perf-results" / "latest").glob("*.json")
    document = json.loads(path.read_text())
    described = set(re.findall(r"`(\w+)`", schema.page()))
    parts = [document["thresholds"][0], document["metrics"]["response_time"], document["windows"], *document["workers"]]
    fields = {name for part in (document, *parts, document["windows"]["metrics"][0]) for name in part}
    assert fields - described == set()

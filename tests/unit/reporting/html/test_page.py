"""The page: well-formed, harmless, closed to the outside, and without what has no data."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.html.page import anchors_of, page
from pytest_cdcperf.reporting.html.pytest_html_row import row
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import WorkerPart
from pytest_cdcperf.results.windows import windows_of
from tests.unit.reporting.html.reading import read
from tests.unit.sample_results import NASTY

ODD = "</script><script>alert(1)</script>\x00\x1b[31m\ud800<!--"


def titles_of(tree, tag="h3"):
    return [element.children[0].split(" ")[0] for element in tree.all(tag)]


def named(result, text):
    """*result* with *text* wherever people or servers have a say."""
    kind = FailureKind(text, text, 6, f"Traceback\n{text}\n", 0.5, 2.5, text)
    facts = replace(
        *(result.facts,), test=f"t.py::{text}", title=text, load=text, profile=text, command=text, location=text,
        seed=text, tags={text: text}, services={text: text},
    )  # fmt: skip
    worker = WorkerPart(text, text, 1, 1.0, 0.5, outcome=text)
    return replace(
        result, facts=facts, reasons=(text, text), notes=(text,), warnings=(text,), failures=(kind,), workers=(worker,)
    )


def test_a_run_has_its_verdict_limits_charts_tables_and_failures(result):
    tree = read(page([result]))
    assert titles_of(tree) == ["Limits", "Over", "Distribution", "Figures", "Failures", "Notes", "Environment"]
    banner = tree.one(class_="banner failed")
    assert "FAILED max of response_time 102 ms, limit 50 ms" in banner.text
    assert NASTY in banner.text
    assert tree.one("table", class_="limits").one("tbody").one("th").text == "response_time p(95)"
    assert tree.one("title").text == f"FAILED: test_order[{NASTY}]"


def test_the_policy_allows_our_script_and_styles_alone(result):
    tree = read(page([result]))
    policy = tree.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    scripts = [script for script in tree.all("script") if "type" not in script.attributes]
    assert len(scripts) == 1
    for kind, element in (("script", scripts[0]), ("style", tree.one("style"))):
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_nothing_is_loaded_and_no_element_has_styles_or_handlers_of_its_own(result):
    tree = read(page([result, result]))
    for element in tree.all():
        assert element.tag not in {"img", "link", "iframe", "image"}
        assert not {"style", "src"} & element.attributes.keys()
        assert not [name for name in element.attributes if name.startswith("on")]
        assert element.attributes.get("href", "#").startswith("#")


@pytest.mark.parametrize("text", [ODD, NASTY, "l" * 100_000])
def test_no_name_ends_an_element_or_is_shown_as_it_is(result, text):
    shown = page([named(result, text), named(result, text)])
    tree = read(shown.encode().decode())
    assert len(list(tree.all("script"))) == 2
    assert not any(character in shown for character in "\x00\x1b\ud800")
    assert len(shown) < 500_000


def test_the_data_of_the_script_are_those_of_the_sections(result):
    (data,) = json.loads(read(page([result])).one("script", id="data").text)
    charts = list(read(page([result])).all("figure", class_="chart"))
    assert [chart["title"] for chart in data["charts"]] == ["response_time", "Load", "Failures", "response_time"]
    assert data["time"]["at"] == [0.5, 1.5, 2.5]
    assert [line["name"] for line in data["charts"][0]["lines"]] == ["p50", "p95", "p99", "max", "p(99.9)"]
    assert len(charts) > len(data["charts"])


def test_what_has_no_data_is_left_out(empty, unmeasurable):
    for run in (empty, unmeasurable):
        tree = read(page([run]))
        assert "Environment" in titles_of(tree)
        assert not {"Limits", "Over", "Distribution", "Failures", "Notes", "Generator"} & {*titles_of(tree)}
        assert "NaN" not in page([run]).partition("<script")[0]
    assert read(page([])).one("h1").text == "no of 0 perf tests"


def test_a_run_of_one_window_has_no_charts_over_time(result):
    windows = windows_of([Window(0.0, 1.0, result.total)], {"response_time"})
    tree = read(page([replace(result, windows=windows)]))
    assert "Over" not in titles_of(tree)
    assert "Distribution" in titles_of(tree)


def test_several_runs_have_an_index_that_leads_to_each(result, empty):
    tree = read(page([result, empty, result]))
    ids = [section.attributes["id"] for section in tree.all("section", class_="run")]
    links = [link.attributes["href"].removeprefix("#") for link in tree.one("nav", aria_label="Tests").all("a")]
    assert links == ids
    assert len({*ids}) == 3
    assert tree.one("h1").text == "2 FAILED, 1 INVALID of 3 perf tests"
    assert len(list(tree.all("h1"))) == len(list(read(page([result])).all("h1"))) == 1


def test_the_index_says_why_only_where_a_run_has_a_reason(result, empty):
    passed = replace(empty, verdict=Verdict.PASSED, reasons=())
    for second, there in ((passed, False), (result, True)):
        index = read(page([passed, second])).one("nav", aria_label="Tests")
        assert ("because" in [head.text for head in index.all("th", scope="col")]) is there
        figures = [[cell.text for cell in row.all("td", class_="n")] for row in index.one("tbody").all("tr")]
        assert {len(row) for row in figures} == {4}


def test_no_two_sections_have_one_id():
    assert anchors_of(["a.py::t", "a.py::t", "a.py/t", "::"]) == ["a-py-t", "a-py-t--2", "a-py-t--3", "run"]


def test_failures_are_folded_each_with_its_traceback_and_how_to_repeat_it(result):
    kinds = tuple(FailureKind(f"Error{n}", "t.py:1", 60 - n, "line\n" * 12, 1.0, 2.0, f"s::1:{n}") for n in range(50))
    facts = replace(result.facts, replay="pytest t.py --pdb --perf-replay=")
    tree = read(page([replace(result, facts=facts, failures=kinds)]))
    folded = list(tree.all("details"))
    assert len(folded) == 50
    assert [("open" in one.attributes) for one in folded[:2]] == [True, False]
    assert folded[1].one("code").text == "pytest t.py --pdb --perf-replay=s::1:1"
    assert folded[0].one("summary").text == "60 x Error0 t.py:1 · first 0:01, last 0:02"


def test_each_worker_has_a_row_and_one_that_died_is_marked(by_three):
    tree = read(page([by_three]))
    workers = tree.one("table", class_="sortable") and [
        row
        for table in tree.all("table")
        if table.one("caption").text == "Workers"
        for row in table.one("tbody").all("tr")
    ]
    assert [row.one("th").text for row in workers] == ["gw0", "gw1", "gw2"]
    assert [wrong.text for wrong in workers[2].all("span", class_="wrong")] == ["died"]
    assert not list(workers[0].all(class_="wrong"))


def test_failed_iterations_are_red_only_beyond_what_is_tolerated(result):
    def failed(run):
        return next(tile for tile in read(page([run])).all(class_="tile") if tile.one("span").text == "failed")

    assert not list(failed(result).all(class_="wrong"))
    assert list(failed(replace(result, facts=replace(result.facts, error_rate=0.0))).all(class_="wrong"))


def test_pictures_have_titles_and_tables_heads(by_three):
    tree = read(page([by_three]))
    for picture in tree.all("svg"):
        assert picture.attributes["role"] == "img"
        assert picture.one("title").text
    for table in tree.all("table"):
        assert table.one("caption").text
        assert all(head.attributes["scope"] for head in table.all("th"))
    assert tree.one("html").attributes["lang"] == "en"


def test_the_row_of_pytest_html_is_plain_text_which_a_worker_can_send(result):
    shown = row(RunView.of(result))
    assert type(shown) is str
    assert read(shown).one("li").text.startswith("max of response_time 102 ms")

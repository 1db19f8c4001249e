"""Tests of results as Markdown, rendered as GitHub renders them as far as a parser without GitHub can."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.reporting.markdown import code, markdown, prose
from pytest_cdcperf.results.environment import Environment

EVIL = [
    "a | b | c",
    "</details></summary>",
    "<script>alert(1)</script>",
    "<!-- ",
    "@octocat and @org/team",
    "fixes #12",
    "https://evil.example/x",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "`code` ```\n```",
    "**bold** __init__ ~~gone~~",
    "$x^2$",
    "\\| \\",
    "a\nb\r\n\n# title",
    "\x1b[31mred\x00\ud800",
    "&lt;b&gt; &#64;octocat",
]


GITHUB = MarkdownIt("gfm-like", {"linkify": False})


def html(text):
    return GITHUB.render(text)


def visible(rendered):
    return re.sub("<[^>]*>", "", rendered).replace("\u200b", "").strip()


@pytest.mark.parametrize("evil", [text for text in EVIL if text.isprintable()])
@pytest.mark.parametrize("shown", [prose, code])
def test_text_of_users_is_shown_as_it_is_in_its_own_cell(shown, evil):
    table = html(f"| a | b |\n| --- | --- |\n| {shown(evil)} | end |")
    text, end = (visible(cell) for cell in re.findall("<td>(.*?)</td>", table))
    assert end == "end"
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, character)
    assert text == evil.strip()


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_users_does_nothing_wherever_it_stands(result, evil):
    facts = replace(result.facts, test=f"t.py::{evil}", title=evil, load=evil, profile=evil, command=evil)
    facts = replace(facts, services={evil: evil})
    kind = FailureKind(evil, evil, 6, f"Traceback\n{evil}\n", first_s=1.0, last_s=2.0)
    environment = Environment(evil, 2, None, evil, evil, {evil: evil}, evil, evil, ci_url=f"https://ci.example/{evil}")
    calm = replace(result, facts=replace(facts, test="t"), environment=environment)
    evil_result = replace(
        result,
        facts=facts,
        reasons=(evil,),
        notes=(evil,),
        warnings=(evil,),
        failures=(kind,),
        environment=environment,
    )
    text = markdown([evil_result, calm])
    shown = html(text)
    assert shown.count("<details>") == shown.count("</details>") > 0
    for forbidden in ("<script", "<!--", "<img", "<strong>bold", "<em>", '<a href="https://evil'):
        assert forbidden not in shown
    linked = re.sub(r"<(pre|code)\b.*?</\1>|https://ci\.example/[^\"]*", "", shown, flags=re.DOTALL)
    assert re.findall(r"[@#]\w|://", linked) == []
    columns = {row.count("</td>") for row in re.findall("<tr>(.*?)</tr>", shown, re.DOTALL)}
    assert columns <= {0, 2, 3, 5, 8}
    text.encode()


def test_the_verdict_comes_first_in_one_sentence(result):
    first = markdown([result]).partition("\n")[0]
    assert first == "**FAILED**: max of response_time 102 ms, limit 50 ms (max&#60;50); crossed 0:00 to 0:03"


def test_of_several_tests_the_worst_comes_first_and_a_table_compares_them(result, empty):
    passed = replace(result, verdict=Verdict.PASSED, reasons=(), facts=replace(result.facts, test="t.py::test_ok"))
    text = markdown([passed, empty, result])
    assert text.startswith("**FAILED**: 2 of 3 perf tests did not pass; <code>test_order")
    assert "| <code>test_ok</code> | 100/s | 95.81 ms | 2% | PASSED |" in text
    assert re.findall("^### (\\w+)", text, re.MULTILINE) == ["FAILED", "INVALID", "PASSED"]


def test_a_passed_session_says_so(result):
    passed = replace(result, verdict=Verdict.PASSED, reasons=(), facts=replace(result.facts, test="t.py::test_ok"))
    assert markdown([passed]).startswith(
        "**PASSED**: <code>test_ok</code>, 1 of 4 limits kept, the others were not judged\n"
    )
    assert markdown([passed, passed]).startswith("**PASSED**: 2 perf tests\n")


def test_each_limit_has_its_figure_and_its_margin(result):
    text = markdown([result]).replace("\u00a0", "~")
    rows = [row for row in text.splitlines() if row.startswith("| ✗ response_time max")]
    assert [row.split(" | ")[:3] for row in rows] == [["| ✗ response_time max &#60;~50~ms", "102~ms", "104%~over"]]


def test_a_column_without_a_figure_is_left_out(result):
    only = replace(result, thresholds=result.thresholds[1:2])
    assert "| limit | value | margin |\n| --- | --- | --- |\n" in markdown([only])


def test_failures_operations_notes_and_environment_are_folded(result):
    environment = Environment(
        commit="1f2e3d4c5b6a7988", branch="main", ci_url="https://github.com/shop/web/actions/runs/7"
    )
    text = markdown([replace(result, environment=environment)])
    assert re.findall("<summary>(.*?)</summary>", text) == [
        "Failed: 6 of 300 iterations (2%, tolerated 5%)",
        "Operations",
        "Notes",
        "Environment",
    ]
    assert "[This run, with its reports](https://github.com/shop/web/actions/runs/7)" in text


def test_each_session_has_its_environment(result):
    other = replace(result, facts=replace(result.facts, session_id="r2"))
    text = markdown([result, result, other])
    assert re.findall("<summary>(Env.*?)</summary>", text) == ["Environment of session r1", "Environment of session r2"]


def test_a_failure_has_the_command_that_runs_it_again(result):
    kind = replace(result.failures[0], iteration="1a2b3c4d::17:203")
    facts = replace(result.facts, test="t.py::test_a", replay="pytest t.py::test_a --perf-replay=")
    failed = replace(result, failures=(kind,), facts=facts)
    (again,) = (line for line in markdown([failed]).splitlines() if line.startswith("Again: "))
    assert visible(html(again)).endswith("pytest t.py::test_a --perf-replay=1a2b3c4d::17:203")


@pytest.mark.parametrize(
    ("budget", "tracebacks", "left_out"),
    [(60_000, True, False), (30_000, False, False), (4_000, False, True), (1_000, False, True)],
)
def test_what_is_too_long_loses_tracebacks_and_then_its_end_and_says_so(result, budget, tracebacks, left_out):
    kind = replace(result.failures[0], sample="a line\n" * 100)
    text = markdown([replace(result, failures=(kind,) * 5)] * 10, budget)
    assert len(text.encode()) <= budget
    assert text.startswith("**FAILED**: 10 of 10 perf tests")
    assert text.count("<details>") == text.count("</details>")
    assert ("```" in text, "The rest was left out" in text) == (tracebacks, left_out)


def test_a_run_without_anything_can_be_shown(empty, unmeasurable):
    assert markdown([empty]).startswith("**INVALID**: ")
    assert html(markdown([unmeasurable]))

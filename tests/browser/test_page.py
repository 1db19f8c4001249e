"""The page of a real session in a browser: it asks for nothing, runs nothing but its script, and answers the mouse."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TESTS = """
import time
from pytest_cdcperf import Trend, check, group, perf, RampingVUs

EVIL = "<script>alert('run')</script><img src=https://example.org/x.png onerror=alert(1)>"
OWN = Trend("own_" + EVIL, unit="ms", group=EVIL)
OTHER = Trend("order_ms", unit="ms")

@perf(load=RampingVUs(stages=[("2s", 4), ("2s", 4), ("1s", 0)]), error_rate=1, p95="5ms",
      thresholds={"order_ms": "p(95)<500", "checks": "rate>0.5"}, tags={EVIL: EVIL})
def test_order(vu):
    "<script>alert('title')</script>"
    with group(EVIL):
        time.sleep(0.01)
    OWN.add(3, {"kind": EVIL})
    OTHER.add(7, {"kind": EVIL})
    check(EVIL, vu.iteration % 3)
    if vu.iteration % 5 == 0:
        raise ValueError(EVIL)

@perf(vus=1, duration="2s")
def test_browse():
    time.sleep(0.02)
"""
ORDER = "section.run:has(h2:text-is('test_order'))"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp("session")
    (directory / "test_shop.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "test_shop.py", "--perf-run", "--html=pytest.html"]
    environment = {**os.environ, "RESULTS_DIR": "results"}
    session = subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True, env=environment)
    assert "1 failed, 1 passed" in session.stdout, session.stdout
    return directory / "results" / "latest" / "report.html"


def test_nothing_is_asked_for_and_no_name_is_run(look, report):
    page = look(report).scrolled()
    assert page.requests == [page.url]
    assert page.complaints == []
    assert page.tab.locator("img").count() == 0
    assert "<script>alert('title')</script>" in page.tab.locator(ORDER).inner_text()


def test_the_policy_stops_what_is_not_ours(look, report):
    page = look(report)
    page.tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    page.tab.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: 'x.png'}))")
    page.tab.wait_for_timeout(50)
    assert page.tab.evaluate("window.ran") is None
    assert len([text for text in page.complaints if "Content Security Policy" in text]) == 2


def test_each_picture_is_replaced_by_one_that_answers_the_mouse(look, report):
    page = look(report).scrolled()
    charts = page.tab.locator(f"{ORDER} > .chart")
    assert charts.count() >= 5
    assert charts.locator("canvas").count() == charts.count()
    assert not charts.first.locator("svg.static").is_visible()
    charts.first.locator(".u-over").scroll_into_view_if_needed()
    charts.first.locator(".u-over").hover()
    assert " at 0:0" in charts.first.locator("output").first.inner_text()
    assert charts.nth(1).locator("output").first.inner_text() != ""  # one cursor over all charts


def test_dragging_zooms_all_charts_of_a_run_and_a_button_shows_it_whole_again(look, report):
    page = look(report).scrolled()
    over = page.tab.locator(f"{ORDER} > .chart").first.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.tab.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 50)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50, steps=4)
    page.tab.mouse.up()
    spans = "runs[0].plots.map(plot => plot.scales.x.max - plot.scales.x.min)"
    whole = page.tab.evaluate("runs[0].time.end")
    page.tab.wait_for_function(f"{spans}.every(span => Math.abs(span / {whole} - 0.2) < 0.02)")
    page.tab.get_by_role("button", name="whole run").click()
    page.tab.wait_for_function(f"{spans}.every(span => span === {whole})")


def test_the_legend_hides_a_line(look, report):
    page = look(report).scrolled()
    key = page.tab.locator(f"{ORDER} > .chart").first.get_by_role("button", name="p50")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert page.tab.evaluate("runs[0].plots[0].series[1].show") is False


def test_a_head_that_is_pressed_sorts_the_table(look, report):
    page = look(report)
    head = page.tab.locator("nav table th").filter(has_text="iterations")
    cells = page.tab.locator("nav table tbody tr td:nth-child(4)")
    for direction in ("descending", "ascending"):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        counts = [int(text.replace(",", "")) for text in cells.all_inner_texts()]
        assert counts == sorted(counts, reverse=direction == "descending")


def test_tables_are_tabs_that_keys_reach(look, report):
    page = look(report)
    tabs = page.tab.locator(ORDER).get_by_role("tab")
    shown = page.tab.locator(ORDER).get_by_role("tabpanel")
    assert shown.count() == 1  # the hidden ones have no role for readers
    tabs.first.focus()
    page.tab.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    assert "group" in shown.inner_text()


def test_without_scripts_all_of_it_can_be_read(look, report):
    page = look(report, java_script_enabled=False)
    section = page.tab.locator(ORDER)
    assert section.locator("svg.static").first.is_visible()
    for title in ("Operations", "Groups", "Checks", "All metrics"):
        assert section.get_by_role("heading", name=title, exact=True).is_visible()
    section.locator("details summary").first.click()
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(look, report, scheme):
    """Contrast of at least 4.5 between text and what is behind it: WCAG 2, AA."""
    page = look(report, color_scheme=scheme)
    assert page.tab.evaluate(CONTRASTS) == []


CONTRASTS = """() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const ctx = canvas.getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    ctx.clearRect(0, 0, 1, 1); ctx.fillStyle = colour; ctx.fillRect(0, 0, 1, 1);
    return [...ctx.getImageData(0, 0, 1, 1).data];
  };
  const linear = v => v <= 0.04 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (let at = one; at; at = at.parentElement) {
      const found = rgb(getComputedStyle(at).backgroundColor);
      if (found[3]) return found;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || one.matches('script, title') || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), text = light(rgb(one.closest('svg') ? style.fill : style.color));
    const [a, b] = [text, light(behind(one))].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.add(`${one.tagName} ${one.getAttribute('class')} ${contrast.toFixed(2)}`);
  }
  return [...faint];
}"""


def test_it_fits_a_phone(look, report):
    page = look(report, screen={"width": 400, "height": 800})
    page.tab.set_viewport_size({"width": 400, "height": 800})
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_row_of_pytest_html_leads_to_the_section(look, report):
    page = look(report.parents[2] / "pytest.html")
    link = page.tab.locator("a.col-links__extra", has_text="FAILED")
    with page.tab.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.locator("section.run:target h2").inner_text() == "test_order"


def test_two_runs_lie_over_each_other_and_answer_the_mouse(look, report):
    page_of_both = report.with_name("both.html")
    command = [sys.executable, "-m", "pytest_cdcperf", "report", report.parent, report.parent, "-o", page_of_both]
    subprocess.run(command, check=True, capture_output=True)
    page = look(page_of_both).scrolled()
    assert (page.requests, page.complaints) == ([page.url], [])
    charts = page.tab.locator(f"{ORDER} > .chart")
    assert charts.locator("canvas").count() == charts.count() > 0
    charts.first.locator(".u-over").hover()
    keys = charts.first.locator("li")
    names, values = (keys.locator(part).all_inner_texts() for part in ("button", "output"))
    assert names == ["p50 B", "p95 B", "p99 B", "p50 A", "p95 A", "p99 A"]
    assert [value.split(" at ")[0] for value in values[:3]] == values[3:]  # the same result twice

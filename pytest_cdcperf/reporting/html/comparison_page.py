"""The page of the tests of two sessions, each with both of its runs."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.reporting.html.compared import compared_section
from pytest_cdcperf.reporting.html.document import document
from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.html.page import anchors_of
from pytest_cdcperf.reporting.html.section import section
from pytest_cdcperf.reporting.view import RunView, name_of_test
from pytest_cdcperf.results.compare import Comparison
from pytest_cdcperf.results.result import RunResult


def comparison_page(comparisons: Sequence[Comparison], others: Sequence[RunResult] = ()) -> str:
    """Return the page of *comparisons*, a section each, and after them a section for each of *others*."""
    results = [*(comparison.second for comparison in comparisons), *others]
    names = list(map(name_of_test, results))
    anchors, alone = anchors_of([result.facts.test for result in results]), len(results) == 1
    compared = [
        compared_section(comparison, anchor, alone=alone)
        for comparison, anchor in zip(comparisons, anchors, strict=False)
    ]
    single = [
        section(result, RunView.of(result), anchor)
        for result, anchor in zip(others, anchors[len(compared) :], strict=True)
    ]
    title = f"{names[0]}: two runs" if len(compared) == 1 else f"{len(compared)} tests, two runs of each"
    sections = [*compared, *single]
    content = [
        None if alone else element("h1", title),
        None if alone else _index(names, anchors, len(compared)),
        *(one.html for one in sections),
    ]
    return document(title, "pytest-cdcperf · A and B are two runs of a test", content, [one.data for one in sections])


def _index(names: Sequence[str], anchors: Sequence[str], compared: int) -> Html:
    links = (
        element("li", element("a", name, href=f"#{anchor}"), "" if at < compared else " (one run)")
        for at, (name, anchor) in enumerate(zip(names, anchors, strict=True))
    )
    return element("nav", element("ul", *links), aria_label="Tests")

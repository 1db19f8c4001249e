"""The page of a session, or of results that were saved: one file, from which no request goes out."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.html.address import anchor_of
from pytest_cdcperf.reporting.html.document import document
from pytest_cdcperf.reporting.html.markup import Html, element, joined
from pytest_cdcperf.reporting.html.section import section
from pytest_cdcperf.reporting.html.tables import table
from pytest_cdcperf.reporting.html.verdict import badge
from pytest_cdcperf.reporting.view import WORST_FIRST, RunView
from pytest_cdcperf.results.result import RunResult


def page(results: Sequence[RunResult]) -> str:
    """Return the page of *results*, a section each: it is read without scripts, and can be explored with them."""
    views = [RunView.of(result) for result in results]
    anchors = anchors_of([result.facts.test for result in results])
    alone = len(results) == 1
    sections = [section(*one, alone=alone) for one in zip(results, views, anchors, strict=True)]
    title = _title(views)
    heading = None if alone else element("h1", title)
    shown = [heading, _index(results, views, anchors), *(one.html for one in sections)]
    return document(title, _session(results, views), shown, [one.data for one in sections])


def anchors_of(tests: Sequence[str]) -> list[str]:
    """Return the ids of the sections: a test that ran twice has two."""
    found: list[str] = []
    for test in tests:
        plain = anchor_of(test)
        number = sum(known == plain or known.startswith(f"{plain}--") for known in found) + 1
        found.append(plain if number == 1 else f"{plain}--{number}")
    return found


def _title(views: Sequence[RunView]) -> str:
    if len(views) == 1:
        return f"{views[0].verdict}: {views[0].test}"
    counts = [(sum(view.verdict is verdict for view in views), verdict) for verdict in WORST_FIRST]
    said = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    return f"{said or 'no'} of {len(views)} perf tests"


def _session(results: Sequence[RunResult], views: Sequence[RunView]) -> str:
    if not results:
        return "pytest-cdcperf"
    first = views[0]
    hosts = ((name, _host(url)) for name, url in results[0].facts.services.items())
    targets = one_line(", ".join(f"{name} {host}" for name, host in hosts if host))
    parts = ("pytest-cdcperf", f"session {first.session}", first.started, first.commit, targets)
    return " · ".join(part for part in parts if part)


def _host(url: str) -> str:
    """Return host and port of *url*; "" where it has none."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def _index(results: Sequence[RunResult], views: Sequence[RunView], anchors: Sequence[str]) -> Html | None:
    if len(results) < 2:
        return None
    because = ["because"] if any(view.reasons for view in views) else []
    rows = []
    for result, view, anchor in zip(results, views, anchors, strict=True):
        rows.append(
            (
                element("a", view.test, href=f"#{anchor}"),
                badge(view),
                *([joined(*view.reasons[:1])] if because else []),
                f"{result.iterations:,}",
                view.rate,
                view.p95,
                view.errors,
            )
        )
    texts = ["test", "verdict", *because]
    heads = [*texts, "iterations", "rate", "p95", "failed"]
    return element("nav", table("Tests of this session", heads, rows, texts=len(texts)), aria_label="Tests")

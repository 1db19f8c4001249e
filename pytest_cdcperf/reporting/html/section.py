"""The section of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.reporting.html.chart import timeline_data
from pytest_cdcperf.reporting.html.environment import environment, generator
from pytest_cdcperf.reporting.html.failures import failures
from pytest_cdcperf.reporting.html.limits import limits_table
from pytest_cdcperf.reporting.html.markup import Child, Html, element, joined
from pytest_cdcperf.reporting.html.over_time import judged_charts, left_out, timeline
from pytest_cdcperf.reporting.html.pictures import distributions, pictures_over_time
from pytest_cdcperf.reporting.html.tables import stacked, tabs
from pytest_cdcperf.reporting.html.verdict import banner, tiles
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunResult


@dataclass(frozen=True)
class Section:
    """The section of a run, and what the script draws its charts from."""

    html: Html
    data: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of a section, left out without *content*."""

    title: str
    said: str
    content: Sequence[Child]

    @property
    def has_content(self) -> bool:
        """Whether there is anything in it."""
        return any(self.content)

    def html(self, anchor: str) -> Html:
        """Return its title with its content, in the section with the id *anchor*."""
        title = element("h3", self.title, element("small", self.said) if self.said else None, id=self.id_in(anchor))
        return joined(title, *self.content)

    def id_in(self, anchor: str) -> str:
        """Return its id in the section with the id *anchor*."""
        return f"{anchor}-{self.title.lower().replace(' ', '-')}"


def section(result: RunResult, view: RunView, anchor: str, *, alone: bool = False) -> Section:
    """Return the section of *result*, with the id *anchor*: what has no data is left out.

    :param alone: there is no other one, so that its title is that of the page
    """
    time, charts = timeline(result), judged_charts(result, view)
    pictures = pictures_over_time(result, charts, time)
    found, more = tabs(result, view), left_out(result, view)
    parts = [
        Part("Limits", "value against limit", [limits_table(view)]),
        Part("Over time", _step(result), [*(picture.figure for picture in pictures), *_notes([more] if more else [])]),
        Part("Distribution", "logarithmic", [distributions(result, charts)]),
        Part("Figures", "", [stacked(found) if found else None, *_notes(view.tables.notes)]),
        Part("Failures", _kinds(result), [failures(view)]),
        Part("Notes", "", [*_notes(view.notes)]),
        Part("Generator", "", generator(result, view)),
        Part("Environment", "", [environment(result, view)]),
    ]
    shown = [part for part in parts if part.has_content]
    html = element(
        "section",
        element("h1" if alone else "h2", view.test),
        element("p", " · ".join(text for text in (view.title, view.load) if text), class_="sub"),
        banner(view),
        tiles(result, view),
        _links(shown, anchor, view.test),
        *(part.html(anchor) for part in shown),
        id=anchor,
        class_="run",
    )
    return Section(html, {"time": timeline_data(time), "charts": [picture.data for picture in pictures]})


def _links(parts: Sequence[Part], anchor: str, test: str) -> Html:
    links = (element("a", part.title, href=f"#{part.id_in(anchor)}") for part in parts)
    return element("nav", *links, class_="parts", aria_label=f"Parts of {test}")


def _step(result: RunResult) -> str:
    windows = result.windows
    if not windows.start_s:
        return ""
    longest = max(end_s - start_s for start_s, end_s in zip(windows.start_s, windows.end_s, strict=True))
    return "a point a second" if longest < 1.5 else f"a point for {longest:.0f} s"


def _kinds(result: RunResult) -> str:
    kinds = len(result.failures)
    return f"{result.failed_iterations:,} in {kinds} kind{'s' * (kinds != 1)}"


def _notes(notes: Sequence[str]) -> Iterator[Html]:
    if notes:
        yield element("ul", *(element("li", note) for note in notes), class_="notes")

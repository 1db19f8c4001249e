"""A browser: Debian's or anybody's Chromium, over the DevTools protocol. Where there is none, the tests are skipped."""

from __future__ import annotations

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def chromium():
    """A browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Seen:
    """A page that is open, and what it asked of the outside and complained of."""

    def __init__(self, tab, url):
        self.requests, self.complaints = [], []
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        tab.goto(url)
        self.tab, self.url = tab, url

    def scrolled(self):
        """Have every chart come into sight."""
        self.tab.evaluate("document.querySelectorAll('.chart').forEach(chart => chart.scrollIntoView())")
        for chart in self.tab.query_selector_all("section > .chart"):
            chart.scroll_into_view_if_needed()
        self.tab.wait_for_function(
            "[...document.querySelectorAll('section > .chart')].every(one => one.matches('.live'))"
        )
        return self


@pytest.fixture
def look(chromium):
    """Open a file in a tab of its own."""
    contexts = []

    def open_file(path, **options):
        context = chromium.new_context(viewport={"width": 1240, "height": 900}, **options)
        contexts.append(context)
        return Seen(context.new_page(), path.resolve().as_uri())

    yield open_file
    for context in contexts:
        context.close()

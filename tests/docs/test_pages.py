"""Tests that the pages agree with the code: pictures, links, examples."""

import importlib.util
import re
from pathlib import Path

from pytest_cdcperf.load.executors import EXECUTORS

DOCS = Path(__file__).parents[2] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_what_the_code_draws():
    module = generator()
    drawn = {f"{name}.svg": module.picture(name, load) for name, load in module.EXAMPLES.items()}
    kept = {path.name: path.read_text() for path in (DOCS / "pictures").iterdir()}
    assert kept == drawn, "run: python docs/generate.py"


def test_every_executor_has_its_picture_on_the_page():
    page = (DOCS / "executors.md").read_text()
    assert [name for name in EXECUTORS if f"pictures/{name}.svg" not in page] == []


def test_links_between_the_pages_lead_somewhere():
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.glob("*.md")]
    targets = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if not link.startswith("http")
    ]
    assert [f"{page.name}: {link}" for page, link in targets if not (page.parent / link).exists()] == []

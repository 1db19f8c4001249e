"""One file of HTML with its styles, scripts and data, from which no request goes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pytest_cdcperf.reporting.html.assets import SCRIPTS, STYLES, asset, policy
from pytest_cdcperf.reporting.html.markup import Child, Html, element


def document(title: str, top: str, content: Sequence[Child], data: Sequence[Any]) -> str:
    """Return the text of the file.

    :param top: the line above everything
    :param data: what the script draws the charts of each section from, in the order of the sections
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(asset(*STYLES))),
    )
    body = element(
        "body",
        element("header", element("p", top), class_="top"),
        element("main", *content),
        element("script", _json(data), type="application/json", id="data"),
        element("script", Html(asset(*SCRIPTS))),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _json(data: Any) -> Html:
    """Return *data* as it can stand in a script element: nothing in it ends that."""
    return Html(json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))

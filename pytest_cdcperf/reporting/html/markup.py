"""HTML from elements: all text in them is escaped, unless it is HTML already."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"meta", "br", "col", "path", "line", "rect", "circle"})


class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


Child = str | None
Attribute = str | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element: ``class_`` is the attribute "class", ``text_anchor`` is "text-anchor", None is left out.

    >>> element("p", "1 < 2", element("br"), class_="note")
    '<p class="note">1 &lt; 2<br></p>'
    """
    shown = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in _VOID:
        closed = "/" if name in {"path", "line", "rect", "circle"} else ""
        return Html(f"<{name}{shown}{closed}>")
    return Html(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Return *children* one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'

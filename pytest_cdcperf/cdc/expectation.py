"""The state of a document that a test expects in the sink, and how it differs from what the sink shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.identity.values import same

_LONGEST_DOCUMENT = 200


@dataclass(frozen=True)
class Expectation:
    """The state that a write to one row leads to: its *fields* in the document, or with *gone* no document.

    >>> expectation = Expectation("orders", "7", {"status": "paid"}, False, "update", timeout_s=10.0)
    >>> expectation.is_met_by({"_id": "7", "status": "paid", "total": 5})
    True
    >>> expectation.difference({"_id": "7", "status": "new"})
    "the sink had status='new' instead of 'paid'"
    """

    collection: str
    key: str
    fields: Mapping[str, Any]
    gone: bool
    operation: str
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.collection} _id={self.key!r}"

    def is_met_by(self, document: Mapping[str, Any] | None) -> bool:
        """Whether *document*, None where the sink has none, is in the expected state."""
        if document is None or self.gone:
            return document is None and self.gone
        return all(name in document and same(value, document[name]) for name, value in self.fields.items())

    def difference(self, document: Mapping[str, Any] | None, *, unchanged: bool = False) -> str:
        """Say how *document* differs; *unchanged*: it is the one from before the block."""
        if document is None:
            return "the sink had no document with this _id"
        if self.gone:
            return f"the sink still had {_short(document)}"
        had = "the sink still shows the state from before the block:" if unchanged else "the sink had"
        differences = [
            f"{name}={document[name]!r} instead of {value!r}" if name in document else f"no field {name!r}"
            for name, value in self.fields.items()
            if name not in document or not same(value, document[name])
        ]
        return f"{had} {', '.join(differences)}"

    def excerpt(self, document: Mapping[str, Any] | None) -> str:
        """Return the expected fields of *document* as text, all of them where none is expected."""
        if document is None or not self.fields:
            return _short(document)
        return ", ".join(f"{name}={document.get(name)!r}" for name in self.fields)


def _short(document: Mapping[str, Any] | None) -> str:
    text = repr(document)
    return text if len(text) <= _LONGEST_DOCUMENT else f"{text[:_LONGEST_DOCUMENT]}..."

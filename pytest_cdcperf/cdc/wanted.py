"""What the sink is expected to show of one document, and what it shows instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.identity.values import same

if TYPE_CHECKING:
    from pytest_cdcperf.clients.mongo_changes import Document


@dataclass(frozen=True)
class Wanted:
    """What the sink is expected to show."""

    collection: str
    key: str
    fields: Mapping[str, Any]
    gone: bool
    operation: str
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.collection} _id={self.key!r}"

    def fits(self, document: Document | None) -> bool:
        """Whether *document* is what is wanted."""
        if document is None or self.gone:
            return document is None and self.gone
        return all(name in document and same(value, document[name]) for name, value in self.fields.items())

    def explain(self, document: Document | None, *, unchanged: bool = False) -> str:
        """Say what the sink had instead; *unchanged*: which it had before the block as well."""
        if document is None:
            return "the sink had no document with this _id"
        had = "the sink still shows the state from before the block:" if unchanged else "the sink had"
        if self.gone:
            return f"the sink still had {_short(document)}"
        wrong = [
            f"{name}={document[name]!r} instead of {value!r}" if name in document else f"no field {name!r}"
            for name, value in self.fields.items()
            if name not in document or not same(value, document[name])
        ]
        return f"{had} {', '.join(wrong)}"

    def shown(self, document: Document | None) -> str:
        """Say what *document* has in the fields that are wanted, in all of them where none is named."""
        if document is None or not self.fields:
            return _short(document)
        return ", ".join(f"{name}={document.get(name)!r}" for name in self.fields)


def _short(document: Document | None) -> str:
    text = repr(document)
    return text if len(text) <= 200 else f"{text[:200]}..."

"""The groups that metrics are shown in."""

from __future__ import annotations

from collections.abc import Iterable

CDC, POSTGRES, MONGO, HTTP, GRPC = "change data capture", "PostgreSQL", "MongoDB", "HTTP", "gRPC"
EXECUTION = "execution"
OTHER = "other"  # of a metric that names no group
_KNOWN = (CDC, POSTGRES, MONGO, HTTP, GRPC, EXECUTION)


def in_order(groups: Iterable[str]) -> list[str]:
    """Return *groups* in the order in which they are shown: those of a project's own before "other".

    >>> in_order(["other", "billing", "execution", "HTTP"])
    ['HTTP', 'execution', 'billing', 'other']
    """
    rank = {group: number for number, group in enumerate(_KNOWN)}
    return sorted({*groups}, key=lambda group: (group == OTHER, rank.get(group, len(rank)), group))

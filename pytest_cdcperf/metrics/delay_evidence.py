"""Observations by a worker of itself and of its host in the seconds in which its load generator was late."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_MOST_LINES = 20


@dataclass
class DelayEvidence:
    """The observations of one worker in those of its windows in which a beat was more than 5 ms late.

    *span_s* is the length of these windows. *late_s* is the lateness of the late beats; where an event loop beats,
    *thread_late_s* is that of a thread beside it. The CPU is in seconds, *cpus* is how many the host has, and *blocked*
    counts the lines in which the event loop was seen blocked.
    """

    span_s: float = 0.0
    late_s: float = 0.0
    thread_late_s: float = 0.0
    worst_ms: float = 0.0
    worst_from_s: float = 0.0
    worst_to_s: float = 0.0
    collecting_s: float = 0.0
    longest_collection_ms: float = 0.0
    cpu_s: float = 0.0
    others_cpu_s: float = 0.0
    cpus: int = 1
    on_loop: bool = False
    blocked: Counter[str] = field(default_factory=Counter)

    def add(self, other: DelayEvidence) -> None:
        """Add what was seen in further windows."""
        if other.worst_ms > self.worst_ms:
            self.worst_ms, self.worst_from_s, self.worst_to_s = other.worst_ms, other.worst_from_s, other.worst_to_s
        for name in ("span_s", "late_s", "thread_late_s", "collecting_s", "cpu_s", "others_cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest_collection_ms = max(self.longest_collection_ms, other.longest_collection_ms)
        self.cpus = max(self.cpus, other.cpus)
        self.on_loop = self.on_loop or other.on_loop
        self.blocked.update(other.blocked)
        if len(self.blocked) > _MOST_LINES:
            self.blocked = Counter(dict(self.blocked.most_common(_MOST_LINES)))

"""Why a load generator was late: what a worker saw in the seconds in which it was, and what that tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_MOST_LINES = 20
_WHOLE_CORE = 0.8  # who has that much of one is not kept from it by others


@dataclass
class DelayEvidence:
    """What one worker saw in those of its windows in which a beat was more than 5 ms late.

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


def cause(evidence: DelayEvidence, workers: int = 1) -> str:
    """Say why the generator was late and what helps, "" where nothing was seen.

    :param workers: how many workers share the host
    """
    if evidence.span_s <= 0 or evidence.late_s <= 0:
        return ""
    own = evidence.cpu_s / evidence.span_s
    ours, others = own / evidence.cpus, evidence.others_cpu_s / evidence.span_s / evidence.cpus
    if evidence.collecting_s > evidence.late_s / 2:
        longest = f"garbage collections, longest {evidence.longest_collection_ms:.0f} ms"
        return f"{longest}: call gc.freeze() after the set-up, or keep a smaller heap"
    seen_blocked = bool(evidence.blocked) or others <= 0.5  # on a full host the loop may be late by chance alone
    if evidence.on_loop and evidence.thread_late_s < evidence.late_s / 4 and own < 0.5 and seen_blocked:
        where = "".join(f" at {line}" for line, _ in evidence.blocked.most_common(1))
        return f"the event loop was blocked{where}: await it, or write def instead of async def"
    if others > 0.5 and own < _WHOLE_CORE:
        if workers > evidence.cpus:
            shared = f"{workers} workers share the {evidence.cpus} CPUs of their host"
            return f"{shared} (busy for {min(1.0, ours + others):.0%}): use -n {evidence.cpus} at most, or more hosts"
        busy = f"host {min(1.0, ours + others):.0%}, ours {ours:.0%}"
        return f"other processes had the CPUs ({busy}): use a quieter host; more workers do not help"
    if own > 0.2:
        used = f"its own code used {own:.2g} of a core, and Python runs on one"
        return f"{used}: use more workers, fewer VUs, or think time"
    return f"the process was stopped or its host frozen, for {evidence.worst_ms / 1000:.2g} s at the longest"

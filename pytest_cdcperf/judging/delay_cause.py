"""The probable cause of the load generator's delay, from what its workers saw, and its remedy."""

from __future__ import annotations

from pytest_cdcperf.metrics.delay_evidence import DelayEvidence

_WHOLE_CPU = 0.8  # a process that uses that much of one CPU is not kept from it by others


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
    if others > 0.5 and own < _WHOLE_CPU:
        if workers > evidence.cpus:
            shared = f"{workers} workers share the {evidence.cpus} CPUs of their host"
            return f"{shared} (busy for {min(1.0, ours + others):.0%}): use -n {evidence.cpus} at most, or more hosts"
        busy = f"host {min(1.0, ours + others):.0%}, ours {ours:.0%}"
        return f"other processes had the CPUs ({busy}): use a quieter host; more workers do not help"
    if own > 0.2:
        used = f"its own code used {own:.2g} of a CPU, and Python runs on one"
        return f"{used}: use more workers, fewer VUs, or think time"
    return f"the process was stopped or its host frozen, for {evidence.worst_ms / 1000:.2g} s at the longest"

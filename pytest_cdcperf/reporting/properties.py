"""A result as flat properties, for JUnit files."""

from __future__ import annotations

from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.results.figures import figures_of
from pytest_cdcperf.results.result import RunResult


def properties(result: RunResult, prefix: str = "") -> list[tuple[str, str]]:
    """Return (name, value) pairs of *result*, as text: ``cdc_e2e_latency.p(95)`` and the like.

    *prefix* goes before each name, where one test has several runs.
    """
    facts = result.facts
    pairs = [
        ("perf.session_id", facts.session_id),
        ("perf.verdict", str(result.verdict)),
        ("perf.generator", "fit" if result.generator_fit else "unfit"),
        ("perf.profile", facts.profile or ""),
        ("perf.load", facts.load),
        ("perf.duration_s", f"{result.elapsed_s:.3f}"),
        ("perf.iterations", str(result.iterations)),
        ("perf.failed_iterations", str(result.failed_iterations)),
    ]
    for label, _, state in result.shown_metrics():
        figures = figures_of(state, result.elapsed_s)
        pairs += [(f"{label}.{aggregate}", f"{value:.6g}") for aggregate, value in figures.items()]
    for part in result.workers if len(result.workers) > 1 else ():
        pairs += [
            (f"perf.worker.{part.name}.iterations", str(part.iterations)),
            (f"perf.worker.{part.name}.cpu", f"{part.cpu:.3f}"),
            (f"perf.worker.{part.name}.outcome", part.outcome or "ended its share"),
        ]
    pairs += [(f"threshold.{r.threshold}", str(r.outcome)) for r in result.thresholds]
    return [(short_name(prefix + name), one_line(value)) for name, value in pairs]

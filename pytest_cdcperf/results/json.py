"""A result as JSON. docs/result-schema.md describes every field."""

from __future__ import annotations

import hashlib
import json
import math
import re
from contextlib import suppress
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import Any

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import unit_of
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot, State
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.printable import printable, short_name
from pytest_cdcperf.results.result import RunResult, figures_of

SCHEMA_VERSION = 1
_LONGEST_STEM = 150


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return *result* as what JSON can hold: a value that is not a number becomes null, text is harmless."""
    facts = result.facts
    document = {
        "schema_version": SCHEMA_VERSION,
        "session_id": facts.session_id,
        "test": facts.test,
        "title": facts.title,
        "profile": facts.profile,
        "load": facts.load,
        "shortened": facts.shortened,
        "started_at": facts.started_at,
        "planned_s": facts.planned_s,
        "elapsed_s": result.elapsed_s,
        "tags": dict(facts.tags),
        "services": dict(facts.services),
        "verdict": str(result.verdict),
        "reasons": list(result.reasons),
        "generator_fit": result.fit,
        "on_unfit": facts.on_unfit,
        "warnings": list(result.warnings),
        "iterations": result.iterations,
        "failed_iterations": result.failed_iterations,
        "error_rate_tolerated": facts.error_rate,
        "peak_vus": result.peak_vus,
        "failed_checks": result.failed_checks,
        "thresholds": [
            {
                "metric": r.threshold.selector,
                "expression": str(r.threshold).removeprefix(r.threshold.selector).strip(),
                "outcome": str(r.outcome),
                "observed": r.observed,
                "interval": list(r.interval) if r.interval else None,
                "samples": None if r.precision is None else r.precision.samples,
                "effective_samples": None if r.precision is None else r.precision.effective,
                "note": r.note,
            }
            for r in result.thresholds
        ],
        "metrics": {label: _metric(name, state, result.elapsed_s) for label, name, state in result.shown_metrics()},
        "series": _series(result.series, result.elapsed_s),
        "windows": [_window(window) for window in result.history],
        "failures": [
            {"type": kind.type, "where": kind.where, "count": kind.count, "sample": kind.sample}
            for kind in result.failures
        ],
        "workers": [asdict(part) for part in result.workers],
        "breaking_point": result.breaking_point.words if result.breaking_point else None,
        "notes": list(result.notes),
    }
    plain: dict[str, Any] = _plain(document, {})
    return plain


def write_result(result: RunResult, directory: Path) -> Path:
    """Write *result* to a file of a stable name in *directory*, in one step, and return its path.

    A file that is there is never overwritten: the second run of a test goes to ``...-2.json``.

    :raises OSError: with its path, where that is not possible; then nothing is left of it
    """
    stem = file_stem(result.facts.test)
    names = chain([f"{stem}.json"], (f"{stem}-{run}.json" for run in count(2)))
    path = next(path for name in names if not (path := directory / name).exists())
    text = json.dumps(result_to_json(result), indent=1, allow_nan=False) + "\n"
    fresh = path.with_suffix(".part")  # a full disk must not leave half a result under the name of a whole one
    try:
        fresh.write_text(text, encoding="utf-8")
        return fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()  # its space may be enough for the next result
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def file_stem(test: str) -> str:
    """Return the name that the files of *test* have, the same in every run."""
    plain = test.replace(".py::", "-").replace("/", ".")
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-.")[:_LONGEST_STEM]
    if stem == plain:
        return stem
    return f"{stem}-{hashlib.sha256(test.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _metric(name: str, state: State, elapsed_s: float) -> dict[str, Any]:
    figures: dict[str, Any] = figures_of(state, elapsed_s)
    match state:
        case Histogram():
            kind = "trend"
            figures |= {"count": state.count, "sum": state.sum, "histogram": state.to_wire()}
        case RateState():
            kind = "rate"
            figures |= {"hits": state.hits, "total": state.total}
        case CounterState():
            kind = "counter"
        case GaugeState():
            kind = "gauge"
    return {"kind": kind, "unit": unit_of(name), "values": figures}


def _series(snapshot: Snapshot, elapsed_s: float) -> list[dict[str, Any]]:
    return [
        {"metric": key.name, "tags": dict(key.tags), "values": figures_of(state, elapsed_s)}
        for key, state in sorted(snapshot.series.items(), key=lambda pair: pair[0])
        if key.tags
    ]


def _window(window: Window) -> dict[str, Any]:
    metrics = {}
    for name in window.snapshot.names():
        state = window.snapshot.select(name)
        if isinstance(state, Histogram):
            metrics[name] = {"count": state.count, **{f"p({p})": state.quantile(p / 100) for p in (50, 95, 99)}}
        elif state is not None:
            metrics[name] = {k: float(v) for k, v in figures_of(state, window.duration_s).items()}
    return {"start_s": window.start_s, "end_s": window.end_s, "metrics": metrics}


def _plain(value: Any, names: dict[str, str]) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case str():
            return printable(value)
        case dict():
            for key in value.keys() - names.keys():  # a name stands in each of the windows
                names[key] = short_name(key)
            return {names[key]: _plain(part, names) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part, names) for part in value]
        case _:
            return value

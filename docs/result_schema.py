"""Write the page of all fields of a result file from their types and docstrings: ``python docs/generate.py``."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.judging.rules.breaking_point import BreakingPoint
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Levels, Outcome, Threshold, ThresholdResult
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.json import DERIVED, RESERVED, SCHEMA_VERSION
from pytest_cdcperf.results.result import EventKind, RunEvent, RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import Column, Windows

PAGE = Path(__file__).parent / "result-schema.md"

_PARTS: dict[str, type] = {
    "thresholds": ThresholdResult,
    "thresholds[].threshold": Threshold,
    "thresholds[].precision": Precision,
    "thresholds[].levels": Levels,
    "windows": Windows,
    "windows.metrics[], windows.series[]": Column,
    "failures": FailureKind,
    "breaking_point": BreakingPoint,
    "saturation": Saturation,
    "workers": WorkerPart,
    "phases": Phase,
    "events": RunEvent,
    "environment": Environment,
    "state of a trend": Histogram,
    "state of a counter": CounterState,
    "state of a rate": RateState,
    "state of a gauge": GaugeState,
}


def page() -> str:
    """Return the text of docs/result-schema.md."""
    return _PAGE.format(
        version=SCHEMA_VERSION,
        facts=_table(RunFacts),
        result=_table(RunResult, leave_out={"facts"}),
        derived="\n".join(f"| `{name}` | {_one_line(inspect.getdoc(getattr(RunResult, name)))} |" for name in DERIVED),
        outcomes=", ".join(f"`{outcome}`" for outcome in Outcome),
        events=", ".join(f"`{kind}`" for kind in EventKind),
        recovery=_fields_of(Recovery),
        drift=_fields_of(Drift),
        reserved=", ".join(f"`{name}`" for name in RESERVED),
        parts="\n\n".join(
            f"### `{name}`\n{_summary(kind)}\n\n| field | type | meaning |\n| --- | --- | --- |\n{_table(kind)}"
            for name, kind in _PARTS.items()
        ),
    )


def _table(kind: type, leave_out: Iterable[str] = ()) -> str:
    return "\n".join(f"| `{name}` | {hint} | {doc} |" for name, hint, doc in _documented(kind) if name not in leave_out)


def _fields_of(kind: type) -> str:
    return ", ".join(f"`{name}`" for name, _, _ in _documented(kind))


@cache
def _documented(kind: type) -> list[tuple[str, str, str]]:
    """Return name, type and docstring of each field, from the source: Python does not keep docstrings of fields."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found: list[tuple[str, str, str]] = []
    for statement in body.body if isinstance(body, ast.ClassDef) else ():
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=hint) if not name.startswith("_"):
                found.append((name, _type(ast.unparse(hint)), ""))
            case ast.Expr(value=ast.Constant(value=str(text))) if found and not found[-1][2]:
                found[-1] = (*found[-1][:2], _one_line(text))
            case ast.FunctionDef():
                break
    return found


def _type(hint: str) -> str:
    words = hint.replace("Mapping[str, str]", "object of texts").replace("Counter[int]", "runs of buckets")
    words = words.replace("tuple[float, float]", "[low, high]").replace("Tags", "object of texts")
    words = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", words.replace(" | None", " or null"))
    for python, plain in {"str": "text", "float": "number", "int": "number", "bool": "true or false"}.items():
        words = re.sub(rf"\b{python}\b", plain, words)
    return words.replace("|", "\\|")


def _summary(kind: type) -> str:
    return _one_line((inspect.getdoc(kind) or "").split(">>>")[0].split(":param")[0].partition("\n\n")[0])


def _one_line(text: str | None) -> str:
    text = re.sub(r"(?<![\w*`])\*(\w+)\*(?![\w*`])", r"`\1`", text or "").replace("``", "`")
    return " ".join(text.split()).replace("|", "\\|")


_PAGE = """# The JSON result of one run

This page is made by `python docs/generate.py` from the types in `pytest_cdcperf/results/`.

`perf-results/<timestamp>-<session id>/<test file>-<test name>.json`, UTF-8, schema version {version}. No file
is overwritten: a second run of a test in one session is written to `...-2.json`. A version that adds a field
keeps the number; one that changes the meaning of a field raises it. Durations are milliseconds in metrics and
thresholds, as in k6; a name that ends in `_s` is seconds. What is not a finite number is `null`.

`pytest_cdcperf.results.json.read_result(path)` reads the file, also one that gzip compressed, and returns the
`RunResult` that was written, exactly. A file of another schema version, or one that was cut off, is refused in
one line.

## The document
`schema_version` is {version}. What was known before the run started:

| field | type | meaning |
| --- | --- | --- |
{facts}

What was measured and judged:

| field | type | meaning |
| --- | --- | --- |
{result}

For readers who do not add up histograms, these are made of the fields above, and not read back:

| field | meaning |
| --- | --- |
{derived}
| `metrics` | by name, over all tags: `kind`, `unit`, `group`, `merging`, `values` |

Failed calls are a metric of their own, such as `pg_write_duration{{ok:false}}`.

`values` by kind: a trend has `avg`, `min`, `med`, `max`, `p(90)`, `p(95)`, `p(99)`, `count` and `sum`; a
counter `count` and `rate` (a second); a rate `rate` (0 to 1), `hits`, `total`; a gauge `value` (the last),
`min`, `max`.

Each threshold has beside its fields `metric` (with tags), `expression`, `samples` and `effective_samples`: the
number of independent samples that those of a percentile are worth. The outcomes are {outcomes}. What the run
could not decide (`too few samples`, `inconclusive`, `not judged`) makes a run INVALID that was not shortened;
`generator unfit` makes any INVALID. `no samples` fails. `threshold` is the rule itself: with `"rule":
"threshold"` the fields below, with `"recovery"` {recovery}, with `"drift"` {drift}.

The events are {events}.

`total` and `series` are lists of `metric`, `kind`, `tags`, `state`, and `phase` where a series is of one phase;
in `series` they have `values` too.

Reserved for later versions, and absent until then: {reserved}.

## Parts
{parts}

## Histograms
Buckets are runs of neighbours, each `[index of the first, count, count, ...]`: `[[57, 3, 5], [99, 1]]` are 3
samples in bucket 57, 5 in 58 and 1 in 99. Bucket *i* at schema *s* holds the values in (2^((i-1)/2^s),
2^(i/2^s)], as in Prometheus' native histograms; schema 7 bounds the error of a percentile to 0.27 %, schema 4,
that of windows, to 2.2 %. Histograms of several runs merge exactly by adding the counts.
"""

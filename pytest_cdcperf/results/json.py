"""A result as a JSON file, and back. docs/result-schema.md, which is made from the types, describes every field.

Each field of :class:`RunResult` and of its :class:`RunFacts` is a field of the document. Beside them stand figures that
are made of these, for readers who do not add up histograms: they are written, and not read back.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from itertools import chain, count
from pathlib import Path
from typing import Any, NoReturn

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.metrics.groups import OTHER
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Definition, GaugeMerge, define, definition
from pytest_cdcperf.metrics.snapshot import RateState, State
from pytest_cdcperf.printable import short_name
from pytest_cdcperf.results.codec import DecodeError, decode, encode, encode_series
from pytest_cdcperf.results.figures import figures_of, kind_of
from pytest_cdcperf.results.result import RunResult

SCHEMA_VERSION = 3
DERIVED = ("iterations", "failed_iterations", "failed_checks", "peak_vus", "achieved_rate", "saturated")
RESERVED = ("scenarios", "audit", "stages", "faults", "trials")
_LONGEST_STEM = 150
_GZIP = b"\x1f\x8b"
_LARGEST = 256 * 2**20  # bytes: one of two hours and a hundred metrics has 3 MB


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return *result* as what JSON can hold: a value that is not a number becomes null, text is harmless."""
    facts = encode(result.facts)
    whole = {spec.name: encode(getattr(result, spec.name)) for spec in fields(RunResult) if spec.name != "facts"}
    figures = {name: encode(getattr(result, name)) for name in DERIVED}
    pairs = zip(whole["thresholds"], result.thresholds, strict=True)
    whole["thresholds"] = [document | _shown_threshold(threshold) for document, threshold in pairs]
    return {
        "schema_version": SCHEMA_VERSION,
        **facts,
        **whole,
        **figures,
        "metrics": {
            short_name(label): _metric(name, state, result.elapsed_s) for label, name, state in result.shown_metrics()
        },
        "series": [
            encode_series(key, state) | {"values": encode(figures_of(state, result.elapsed_s))}
            for key, state in result.series.series.items()
        ],
    }


def result_from_json(document: Any) -> RunResult:
    """Return the result that *document* holds. The metrics that it names are defined in this process from now on.

    :raises ConfigError: when it is not a result of this schema version, in one line
    """
    written = _schema_version(document)
    if written > SCHEMA_VERSION:
        raise ConfigError(
            f"has schema version {written}, newer than {SCHEMA_VERSION}: read it with a newer pytest-cdcperf"
        )
    if written < SCHEMA_VERSION:
        raise ConfigError(f"has schema version {written}; only {SCHEMA_VERSION} can be read: run the test again")
    try:
        result: RunResult = decode(RunResult, document | {"facts": document})
        _define_metrics(document)
    except DecodeError as error:
        raise ConfigError(f"is not a whole result: {str(error).removeprefix('facts.')}") from None
    return result


def read_result(path: Path) -> RunResult:
    """Return the result in the file *path*, which may be compressed with gzip.

    :raises ConfigError: when it cannot be read, or holds no result: one line, with the path
    """
    try:
        return result_from_json(_document(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.faults[0]}") from None


def read_document(path: Path) -> dict[str, Any]:
    """Return what the file *path* holds as JSON, of whichever schema version: in a tenth of the time of a result.

    :raises ConfigError: as :func:`read_result` does
    """
    try:
        document: dict[str, Any] = _document(path)
        _schema_version(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.faults[0]}") from None
    return document


def write_result(result: RunResult, directory: Path) -> Path:
    """Write *result* to a file of a stable name in *directory*, in one step, and return its path.

    A file that is there is never overwritten: the second run of a test goes to ``...-2.json``.

    :raises OSError: with its path, where that is not possible; then nothing is left of it
    """
    stem = file_stem(result.facts.test)
    names = chain([f"{stem}.json"], (f"{stem}-{run}.json" for run in count(2)))
    path = next(path for name in names if not (path := directory / name).exists())
    fresh = path.with_suffix(".part")  # a full disk must not leave half a result under the name of a whole one
    try:
        fresh.write_text("".join(_lines(result_to_json(result))), encoding="utf-8")
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


def _schema_version(document: Any) -> int:
    written = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(written, int):
        raise ConfigError("is not a result of pytest-cdcperf: it has no schema_version")
    return written


def _document(path: Path) -> Any:
    try:
        text = _content(path).decode()
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ConfigError("is cut off, or not compressed as a whole") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not JSON: byte {error.start} is not UTF-8") from None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            raise ConfigError("is cut off: the JSON in it does not end") from None
        raise ConfigError(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError:  # more digits than Python reads
        raise ConfigError("is not a result of pytest-cdcperf: it has a number of thousands of digits") from None
    except RecursionError:
        raise ConfigError("is not a result of pytest-cdcperf: it is nested too deeply") from None


def _content(path: Path) -> bytes:
    """Return what is in a file: no more than a result can have, and nothing of a pipe, which may never end."""
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"is a link to {path.readlink()}, which is not there")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigError("is a directory" if path.is_dir() else "is not a file")
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        content = (gzip.GzipFile(fileobj=file) if packed else file).read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ConfigError(f"is not a result of pytest-cdcperf: it has more than {_LARGEST // 2**20} MiB")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ConfigError(f"is not JSON: {name} is not a number of it")


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield the text: a line for each field, and for each part of a list or an object in it."""
    start = "{\n"
    for name, value in document.items():
        yield f"{start} {_text(name)}: "
        start = ",\n"
        if isinstance(value, list) and value:
            yield "[\n  " + ",\n  ".join(map(_text, value)) + "\n ]"
        elif isinstance(value, dict) and value:
            yield "{\n  " + ",\n  ".join(f"{_text(key)}: {_text(part)}" for key, part in value.items()) + "\n }"
        else:
            yield _text(value)
    yield "\n}\n"


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _shown_threshold(result: ThresholdResult) -> dict[str, Any]:
    threshold, precision = result.threshold, result.precision
    return {
        "metric": encode(threshold.selector),
        "expression": encode(str(threshold).removeprefix(threshold.selector).strip()),
        "samples": None if precision is None else precision.samples,
        "effective_samples": None if precision is None else encode(precision.effective),
    }


def _metric(name: str, state: State, elapsed_s: float) -> dict[str, Any]:
    figures: dict[str, float] = figures_of(state, elapsed_s)
    if isinstance(state, Histogram):
        figures |= {"count": state.count, "sum": state.sum}
    elif isinstance(state, RateState):
        figures |= {"hits": state.hits, "total": state.total}
    known = definition(name)
    unit, group, merging = ("", OTHER, GaugeMerge.LAST) if known is None else (known.unit, known.group, known.merging)
    return {
        "kind": kind_of(state).value,
        "unit": unit,
        "group": group,
        "merging": merging.value,
        "values": encode(figures),
    }


def _define_metrics(document: dict[str, Any]) -> None:
    for name, metric in document.get("metrics", {}).items():
        if definition(name) is None and "{" not in name:
            with suppress(ConfigError):
                define(decode(Definition, metric | {"name": name}))

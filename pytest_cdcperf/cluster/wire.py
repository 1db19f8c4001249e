"""Messages as bytes, for a channel between processes or hosts.

Written as JSON, which can name no code and hold no references: a list begins with the number of its type, of those
listed here, and that type is called with the rest. So the most that a far host can send is wrong values. Both ends
run the same version of this package, which is checked before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from enum import Enum
from itertools import chain
from types import MappingProxyType
from typing import Any

from pytest_cdcperf import servers as services
from pytest_cdcperf.cluster import messages
from pytest_cdcperf.cluster import shared_state as shared
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging import intervals, saturation, threshold, verdict
from pytest_cdcperf.judging.rules import breaking_point, drift, recovery
from pytest_cdcperf.load import share
from pytest_cdcperf.metrics import delay_evidence as cause
from pytest_cdcperf.metrics import metric, snapshot
from pytest_cdcperf.metrics import timeline as series
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.histogram import Histogram, PackedCounts
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.results import environment, result, windows

_VALUES: tuple[type, ...] = (
    *(value for value in vars(messages).values() if isinstance(value, type) and value.__module__ == messages.__name__),
    *(shared.PoolCall, shared.OnceCall, FailureKind, Histogram, PackedCounts, Phase, share.Share),
    *(drift.Drift, recovery.Recovery, metric.Definition, series.Window, verdict.Verdict),
    *(snapshot.Snapshot, snapshot.SeriesKey, metric.Kind, metric.GaugeMerge),
    *(snapshot.CounterState, snapshot.RateState, snapshot.GaugeState),
    *(intervals.Precision, cause.DelayEvidence, breaking_point.BreakingPoint, breaking_point.Breaking),
    *(threshold.Threshold, threshold.ThresholdResult, threshold.Levels, threshold.Outcome, saturation.Saturation),
    *(result.RunFacts, result.RunResult, result.WorkerPart, result.RunEvent, result.EventKind),
    *(windows.Windows, windows.Column, environment.Environment),
    *(services.Services, services.PostgresAddress, services.MongoAddress),
)
_SIMPLE = frozenset({str, int, float, bool, type(None)})  # which are the same in JSON


class WireError(ValueError):
    """Bytes that are not a valid message."""


def pack(message: messages.ToCoordinator | messages.ToWorker) -> bytes:
    """Return *message* as bytes.

    :raises TypeError: where it holds what cannot be sent
    """
    return json.dumps(_plain(message), separators=(",", ":")).encode()


def unpack(data: bytes) -> Any:
    """Return the message that :func:`pack` wrote.

    :raises WireError: where *data* is not such a message
    """
    try:
        return _value(json.loads(data))
    except (ArithmeticError, AttributeError, ConfigError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise WireError(f"not a valid message: {type(error).__name__}: {error}") from None


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind in _TYPES:
        number, parts, _ = _TYPES[kind]
        return [number, *parts(value)]
    plain: Any
    for plain in (str, int, float, bytes):  # what users name by members of a StrEnum, or count in numpy's floats
        if isinstance(value, plain):
            return _plain(str.__str__(value) if plain is str else plain(value))
    raise TypeError(f"{value!r} is of {kind.__module__}.{kind.__qualname__}, which cannot be sent to another process")


def _value(plain: Any) -> Any:
    return _MAKERS[plain[0]](plain[1:]) if type(plain) is list else plain


def _all_plain(values: Iterable[Any]) -> Iterable[Any]:
    return map(_plain, values)


def _read_dict(parts: Sequence[Any]) -> dict[Any, Any]:
    values = [*map(_value, parts)]
    return dict(zip(values[::2], values[1::2], strict=True))


def _read_counts(parts: Sequence[Any]) -> Counter[int]:
    return Counter(dict(zip(parts[::2], parts[1::2], strict=True)))


def _codec(kind: Any) -> tuple[Parts, Make]:
    if issubclass(kind, Enum):
        return lambda value: (value.value,), lambda parts: kind(*parts)
    if issubclass(kind, tuple):
        return _all_plain, lambda parts: kind(*map(_value, parts))
    names = [field.name for field in fields(kind) if field.init]
    return (
        lambda value: [_plain(getattr(value, name)) for name in names],
        lambda parts: kind(*map(_value, parts)),
    )


Parts = Callable[[Any], Iterable[Any]]
Make = Callable[[Sequence[Any]], Any]
_CODECS: dict[type, tuple[Parts, Make]] = {
    list: (_all_plain, lambda parts: [*map(_value, parts)]),
    tuple: (_all_plain, lambda parts: (*map(_value, parts),)),
    set: (_all_plain, lambda parts: {*map(_value, parts)}),
    dict: (lambda value: _all_plain(chain.from_iterable(value.items())), _read_dict),
    MappingProxyType: (
        lambda value: _all_plain(chain.from_iterable(value.items())),
        lambda parts: MappingProxyType(_read_dict(parts)),
    ),
    Counter: (lambda value: chain.from_iterable(value.items()), _read_counts),  # by numbers or texts: plain already
    bytes: (lambda value: (value.decode("latin-1"),), lambda parts: parts[0].encode("latin-1")),
    **{kind: _codec(kind) for kind in _VALUES},
}
_TYPES = {kind: (number, *codec) for number, (kind, codec) in enumerate(_CODECS.items())}
_MAKERS = {number: make for number, _, make in _TYPES.values()}

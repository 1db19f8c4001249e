"""Messages as bytes, for a channel between processes or hosts.

Pickled, and read back by an unpickler that makes nothing but the values listed here: what a far host sends
can name no other code. Both ends run the same version of this package, which is checked before.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from typing import Any

from pytest_cdcperf.cluster import messages, shared
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.judging import cause, course, intervals, threshold, verdict
from pytest_cdcperf.metrics import recorder, series, snapshot
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.model import load, services, share
from pytest_cdcperf.reporting import result

_VALUES: tuple[type, ...] = (
    *(value for value in vars(messages).values() if isinstance(value, type) and value.__module__ == messages.__name__),
    *(shared.PoolCall, shared.OnceCall, FailureKind, Histogram, Counter, load.Phase, share.Share),
    *(course.Drift, course.Recovery, recorder.Definition, series.Window, verdict.Verdict),
    *(snapshot.Snapshot, snapshot.SeriesKey, snapshot.Kind, snapshot.GaugeMerge),
    *(snapshot.CounterState, snapshot.RateState, snapshot.GaugeState),
    *(intervals.Precision, cause.DelayEvidence),
    *(threshold.Threshold, threshold.ThresholdResult, threshold.Outcome),
    *(result.RunFacts, result.RunResult, result.WorkerPart),
    *(services.Services, services.PostgresAddress, services.MongoAddress),
)
_PLAIN: tuple[type, ...] = (str, int, float, bytes)
_ALLOWED = {(value.__module__, value.__qualname__): value for value in (*_VALUES, *_PLAIN)}


def pack(message: messages.ToController | messages.ToWorker) -> bytes:
    """Return *message* as bytes."""
    data = io.BytesIO()
    _Pickler(data, protocol=pickle.HIGHEST_PROTOCOL).dump(message)
    return data.getvalue()


def unpack(data: bytes) -> Any:
    """Return the message that :func:`pack` wrote.

    :raises pickle.UnpicklingError: where *data* names anything that is no part of a message
    """
    return _Unpickler(io.BytesIO(data)).load()


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Send what users name by members of a StrEnum, or count in numpy's floats, as the plain value it is."""
        if type(value) not in _VALUES:
            for plain in _PLAIN:
                if isinstance(value, plain):
                    return plain, (str.__str__(value) if plain is str else plain(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a message") from None

"""Proves that no row was lost: once the load is over, writes that were not seen in time are looked up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.cdc.expectation import Expectation
from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.clock import real_time as time

if TYPE_CHECKING:
    from pytest_cdcperf.clients.mongo import Mongo

MOST_REMEMBERED = 100_000  # some 50 MB
_NAMED = 5
_AT_ONCE = 1_000
_PAUSE_S = 0.2
_LEAST_READING_S, _MOST_READING_S = 1.0, 10.0  # between two reads it is asked whether to give up


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit: *faults* fail the run, *notes* stand beside the figures."""

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Audit:
    """Remembers the writes that have not been seen in the sink yet, by collection and key, within fixed memory.

    Of several writes to a key the last one counts: the pipeline keeps the order of a key's changes. Writes and
    arrivals are recorded by any thread.
    """

    def __init__(
        self, mongo: Mongo, *, clock: Clock | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._mongo = mongo
        self._clock = clock or MonotonicClock()
        self._sleep = sleep
        self._pending: dict[tuple[str, str], Expectation] = {}
        self._ambiguous: dict[tuple[str, str], Expectation] = {}
        self._is_full = False

    def begin_run(self) -> None:
        """Begin another run: forget everything."""
        self._pending.clear()
        self._ambiguous.clear()
        self._is_full = False

    def record_write(self, expected: Expectation) -> None:
        """Record the write that leads to what is *expected*: it is pending until it is seen."""
        if len(self._pending) < MOST_REMEMBERED:
            self._pending[expected.collection, expected.key] = expected
        else:
            self._is_full = True

    def record_ambiguous(self, expected: Expectation) -> None:
        """Record a write to a document that was as *expected* before: no later look shows whether it arrived."""
        self._pending.pop((expected.collection, expected.key), None)
        if len(self._ambiguous) < MOST_REMEMBERED:
            self._ambiguous[expected.collection, expected.key] = expected

    def record_arrival(self, expected: Expectation) -> None:
        """Record that the write that leads to what is *expected* was seen."""
        self._pending.pop((expected.collection, expected.key), None)
        self._ambiguous.pop((expected.collection, expected.key), None)

    def notes(self) -> list[str]:
        """Name the writes that could not be distinguished from the state before them."""
        ambiguous = [str(expected) for expected in list(self._ambiguous.values())]
        if not ambiguous:
            return []
        more = f" and {len(ambiguous) - _NAMED} more" if len(ambiguous) > _NAMED else ""
        return [
            f"{len(ambiguous)} writes cannot be distinguished from what the sink showed before them "
            f"({', '.join(ambiguous[:_NAMED])}{more}): they changed nothing there or did not arrive; they count as "
            "failed and not as latencies: let each change a field"
        ]

    def verify(self, within_s: float, given_up: Callable[[], object] = bool) -> AuditResult:
        """Look up all pending writes until they are there, for at most *within_s* seconds. It is not measured.

        :param given_up: ends it early when it answers true
        """
        pending = list(self._pending.values())
        begin_ns = self._clock.now_ns()
        missing = self._missing(pending, within_s)
        while missing and (left_s := within_s - self._seconds_since(begin_ns)) > 0 and not given_up():
            self._sleep(min(_PAUSE_S, left_s))
            missing = self._missing([expected for expected, _ in missing], left_s)
        took_s = self._seconds_since(begin_ns)
        faults = [_lost(missing, len(pending), took_s)] if missing else []
        if self._is_full:
            faults.append(
                f"more than {MOST_REMEMBERED} writes were not seen in time: whether the rest arrived is unknown"
            )
        return AuditResult(tuple(faults), (_late(len(pending) - len(missing), len(pending), took_s),))

    def _missing(self, pending: Sequence[Expectation], within_s: float) -> list[tuple[Expectation, str]]:
        """Return what the sink does not show, with what it shows instead; it has *within_s* to answer."""
        from pytest_cdcperf.clients.mongo import ReadError  # noqa: PLC0415  # a driver: 100 ms

        try:
            found = [pair for part in _parts(pending) for pair in self._read(part, within_s)]
        except ReadError as error:
            return [(expected, f"the sink could not be read: {error}") for expected in pending]
        return [(one, one.difference(document)) for one, document in found if not one.is_met_by(document)]

    def _read(self, part: Sequence[Expectation], within_s: float) -> list[tuple[Expectation, Mapping[str, Any] | None]]:
        keys = [expected.key for expected in part]
        timeout_s = min(_MOST_READING_S, max(within_s, _LEAST_READING_S))
        documents = self._mongo.find_many_unmeasured(part[0].collection, keys, timeout_s=timeout_s)
        return [(expected, documents.get(expected.key)) for expected in part]

    def _seconds_since(self, begin_ns: int) -> float:
        return (self._clock.now_ns() - begin_ns) * 1e-9


def _parts(pending: Sequence[Expectation]) -> Iterator[Sequence[Expectation]]:
    for collection in sorted({expected.collection for expected in pending}):
        of_one = [expected for expected in pending if expected.collection == collection]
        yield from (of_one[first : first + _AT_ONCE] for first in range(0, len(of_one), _AT_ONCE))


def _late(arrived: int, pending: int, took_s: float) -> str:
    if not pending:
        return "every write was seen in the sink in time"
    return f"{pending} writes were not seen in time; {arrived} of them had arrived {took_s:.1f} s after the load"


def _lost(missing: Sequence[tuple[Expectation, str]], pending: int, took_s: float) -> str:
    named = "; ".join(f"{expected}: {difference}" for expected, difference in missing[:_NAMED])
    more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return (
        f"{len(missing)} of {pending} writes that were not seen in time never arrived, "
        f"{took_s:.1f} s after the load: {named}{more}"
    )

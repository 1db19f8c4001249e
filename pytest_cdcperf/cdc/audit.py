"""The proof that no row was lost: what was not seen in time is looked up again once the load is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.clock import real_time as time

if TYPE_CHECKING:
    from pytest_cdcperf.cdc.wanted import Wanted
    from pytest_cdcperf.clients.mongo import Mongo
    from pytest_cdcperf.clients.mongo_changes import Document

MOST_REMEMBERED = 100_000  # some 50 MB
_NAMED = 5
_AT_ONCE = 1_000
_PAUSE_S = 0.2
_LEAST_READING_S, _MOST_READING_S = 1.0, 10.0  # whoever wants it to give up is asked between two reads


@dataclass(frozen=True)
class Audited:
    """What an audit found: *faults* fail the run, *notes* are told beside it."""

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Audit:
    """Remembers what was written and not seen yet, by collection and key, within fixed memory.

    The last write to a key is the one that counts: the pipeline keeps the order of a key's changes.
    """

    def __init__(
        self, mongo: Mongo, *, clock: Clock | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._mongo = mongo
        self._clock = clock or MonotonicClock()
        self._sleep = sleep
        self._owed: dict[tuple[str, str], Wanted] = {}
        self._untold: dict[tuple[str, str], Wanted] = {}
        self._full = False

    def begin(self) -> None:
        """Forget everything: another run begins."""
        self._owed.clear()
        self._untold.clear()
        self._full = False

    def owe(self, wanted: Wanted) -> None:
        """Note that *wanted* was written. Called by any thread."""
        if len(self._owed) < MOST_REMEMBERED:
            self._owed[wanted.collection, wanted.key] = wanted
        else:
            self._full = True

    def cannot_tell(self, wanted: Wanted) -> None:
        """Note that the sink showed *wanted* before it was written, so that no look at it tells. By any thread."""
        self._owed.pop((wanted.collection, wanted.key), None)
        if len(self._untold) < MOST_REMEMBERED:
            self._untold[wanted.collection, wanted.key] = wanted

    def seen(self, wanted: Wanted) -> None:
        """Note that *wanted* has arrived. Called by any thread."""
        self._owed.pop((wanted.collection, wanted.key), None)
        self._untold.pop((wanted.collection, wanted.key), None)

    def notes(self) -> list[str]:
        """Say which writes could not be told from the state before them."""
        untold = [str(wanted) for wanted in list(self._untold.values())]
        if not untold:
            return []
        named = ", ".join(untold[:_NAMED]) + (f" and {len(untold) - _NAMED} more" if len(untold) > _NAMED else "")
        return [
            f"{len(untold)} writes cannot be told from what the sink showed before them ({named}): they changed "
            "nothing there or did not arrive; they count as failed and not as latencies: let each change a field"
        ]

    def settle(self, within_s: float, given_up: Callable[[], object] = bool) -> Audited:
        """Look up all that is owed until it is there, for at most *within_s* seconds. Nothing of it is measured.

        :param given_up: ends it early when it answers true
        """
        owed = list(self._owed.values())
        begin_ns = self._clock.now_ns()
        missing = self._missing(owed, within_s)
        while missing and (left_s := within_s - self._seconds_since(begin_ns)) > 0 and not given_up():
            self._sleep(min(_PAUSE_S, left_s))
            missing = self._missing([wanted for wanted, _ in missing], left_s)
        took_s = self._seconds_since(begin_ns)
        faults = [_lost(missing, len(owed), took_s)] if missing else []
        if self._full:
            faults.append(
                f"more than {MOST_REMEMBERED} writes were not seen in time: whether the rest arrived is unknown"
            )
        return Audited(tuple(faults), (_late(len(owed) - len(missing), len(owed), took_s),))

    def _missing(self, owed: Sequence[Wanted], within_s: float) -> list[tuple[Wanted, str]]:
        """Return what the sink does not show, with what it shows instead; it has *within_s* to answer."""
        from pytest_cdcperf.clients.mongo import ReadError  # noqa: PLC0415  # a driver

        try:
            found = [(wanted, document) for part in _parts(owed) for wanted, document in self._found(part, within_s)]
        except ReadError as error:
            return [(wanted, f"the sink could not be read: {error}") for wanted in owed]
        return [(wanted, wanted.explain(document)) for wanted, document in found if not wanted.fits(document)]

    def _found(self, part: Sequence[Wanted], within_s: float) -> list[tuple[Wanted, Document | None]]:
        keys = [wanted.key for wanted in part]
        timeout_s = min(_MOST_READING_S, max(within_s, _LEAST_READING_S))
        documents = self._mongo.find_many_unmeasured(part[0].collection, keys, timeout_s=timeout_s)
        return [(wanted, documents.get(wanted.key)) for wanted in part]

    def _seconds_since(self, begin_ns: int) -> float:
        return (self._clock.now_ns() - begin_ns) * 1e-9


def _parts(owed: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    for collection in sorted({wanted.collection for wanted in owed}):
        of_one = [wanted for wanted in owed if wanted.collection == collection]
        yield from (of_one[first : first + _AT_ONCE] for first in range(0, len(of_one), _AT_ONCE))


def _late(arrived: int, owed: int, took_s: float) -> str:
    if not owed:
        return "every write was seen in the sink in time"
    return f"{owed} writes were not seen in time; {arrived} of them had arrived {took_s:.1f} s after the load"


def _lost(missing: Sequence[tuple[Wanted, str]], owed: int, took_s: float) -> str:
    named = "; ".join(f"{wanted}: {words}" for wanted, words in missing[:_NAMED])
    more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return (
        f"{len(missing)} of {owed} writes that were not seen in time never arrived, "
        f"{took_s:.1f} s after the load: {named}{more}"
    )

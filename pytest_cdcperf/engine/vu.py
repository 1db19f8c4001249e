"""What a body sees of the virtual user that runs it."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.errors import ConfigError, WrongFaceError, shown
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Scope, current_scope, recording

if TYPE_CHECKING:
    import asyncio

_LONGEST_S = 1e9  # beyond, the operating system's waits end in an overflow


@dataclass(frozen=True)
class _Ending:
    close: Callable[[Any], object]
    cancel: Callable[[Any], object] | None


class Resources:
    """Things opened on the way that live as long as their owner: a connection, a cookie jar, a client.

    Whoever opens one hands in how it is closed and, where it can block a thread, how that is cut short.
    ``get(key)`` returns what is kept under *key*, or None.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._endings: dict[Hashable, _Ending] = {}
        self.get = self._kept.get  # not a method: clients ask with every call

    def keep(
        self,
        key: Hashable,
        value: Any,
        *,
        close: Callable[[Any], object],
        cancel: Callable[[Any], object] | None = None,
    ) -> None:
        """Keep *value* until the owner ends."""
        self._endings[key] = _Ending(close, cancel)
        self._kept[key] = value

    def drop(self, key: Hashable) -> None:
        """Forget what is kept under *key*, without closing it."""
        self._kept.pop(key, None)
        self._endings.pop(key, None)

    def cancel_all(self) -> None:
        """Cut short what blocks a thread. Called from another thread; errors are of no interest then."""
        for key, value in list(self._kept.items()):
            ending = self._endings.get(key)
            if ending is not None and ending.cancel is not None:
                with suppress(Exception):  # the run is over: what cannot be cancelled is named as stuck
                    ending.cancel(value)

    def close_all(self) -> list[Awaitable[object]]:
        """Close everything; return what is left to await."""
        left: list[Awaitable[object]] = []
        while self._kept:
            key, value = self._kept.popitem()
            try:
                closing = self._endings.pop(key).close(value)
            except Exception:  # noqa: BLE001, S112  # closing a broken connection may fail, and nothing was lost by it
                continue
            if isinstance(closing, Awaitable):
                left.append(closing)
        return left


class VU:
    """One virtual user.

    *id* counts from 1 over all workers, *iteration* from 0. *random* is seeded by run and id. *state* is
    the body's own, kept from one iteration to the next.
    """

    def __init__(
        self,
        number: int,
        *,
        run_id: str,
        scope: Scope,
        vus: int = 1,
        shared: Resources | None = None,
        is_async: bool = False,
        phases: LoadPhases | None = None,
    ) -> None:
        self.id = number
        self.iteration = 0
        self.run_id = run_id
        self.random = random.Random(f"{run_id}:{number}")  # noqa: S311  # load, not secrets
        self.state: dict[str, Any] = {}
        self.vus = vus
        self.is_async = is_async
        self.own = Resources()
        self.shared = Resources() if shared is None else shared
        self.scope = scope
        self.phases = phases or LoadPhases()
        self.think_ns = 0  # of this iteration
        self.thought_ns = 0  # of all
        self.fault: BaseException | None = None  # why the iteration failed although its body raises nothing
        self.tidying: dict[Hashable, Callable[[], Any]] = {}  # what clients do once the iteration is over
        self.task: asyncio.Task[None] | None = None
        self.thread = 0  # its own; a body may start others
        self.is_thinking = False  # in a pause of its own: it waits for no server
        self.pause: Callable[[float], object] = _no_pause
        self.pause_aio: Callable[[float], Awaitable[object]] = _no_pause_aio

    def has_thought(self, spent_ns: int) -> None:
        """Note a pause of the iteration that is under way."""
        self.think_ns += spent_ns
        self.thought_ns += spent_ns

    def tidy(self) -> None:
        """Let the clients clean up behind the iteration that is over: none of it is measured."""
        while self.tidying:
            self.tidying.popitem()[1]()

    async def tidy_aio(self) -> None:
        """The same for an async body."""
        while self.tidying:
            await self.tidying.popitem()[1]()


def _no_pause(_seconds: float) -> None:
    """In once mode nobody thinks."""


async def _no_pause_aio(_seconds: float) -> None:
    """In once mode nobody thinks."""


_current: ContextVar[VU] = ContextVar("cdcperf_vu")


def current_vu() -> VU | None:
    """Return the VU that runs this code, None outside an iteration."""
    return _current.get(None)


@contextmanager
def acting_as(vu: VU) -> Iterator[VU]:
    """Make *vu* the current one inside the block, and record what is measured there."""
    token = _current.set(vu)
    vu.thread = threading.get_ident()
    try:
        with recording(vu.scope):
            yield vu
    finally:
        _current.reset(token)


def refuse_blocking(name: str, instead: str) -> None:
    """Refuse a blocking call inside an async body: it would stall every VU of the loop.

    :raises WrongFaceError: inside an async body
    """
    vu = _current.get(None)
    if vu is not None and vu.is_async:
        raise WrongFaceError(f"{name} blocks, which would stall every VU of this async test; write: await {instead}")


def refuse_awaitable(answer: object) -> None:
    """Refuse what a ``def`` body returned where it is something that nobody awaits: it did nothing.

    :raises WrongFaceError: for an awaitable
    """
    if isinstance(answer, Awaitable):
        if isinstance(answer, Coroutine):
            answer.close()
        raise WrongFaceError("the body returned an awaitable that nobody awaits, so nothing ran; make it an async def")


class CurrentVU:
    """The fixture ``vu``: whichever virtual user runs the code that asks."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        vu = _current.get(None)
        if vu is None:
            raise AttributeError(f"vu.{name} is known inside the body of a perf test only, not in its fixtures")
        return getattr(vu, name)


class _Think:
    """A user's pause: not part of response_time."""

    def __call__(self, at_least_s: float, at_most_s: float | None = None) -> None:
        """Pause for *at_least_s* seconds, or for a random time between it and *at_most_s*.

        Outside a load run nothing is waited for. In a thread of the body's own it pauses that thread, and stays part
        of response_time.

        :raises ConfigError: for what is no such time
        """
        refuse_blocking("think()", "think.aio(...)")
        vu = _current.get(None)
        if vu is None:
            return
        seconds = _draw(vu, at_least_s, at_most_s)
        if threading.get_ident() == vu.thread:
            with _thinking(vu):
                vu.pause(seconds)
        else:
            vu.pause(seconds)

    async def aio(self, at_least_s: float, at_most_s: float | None = None) -> None:
        """The same in an async body.

        Inside a task of the body's own (gather) it pauses that task, and stays part of response_time.
        """
        import asyncio  # noqa: PLC0415  # 30 ms, and only async bodies need it

        vu = _current.get(None)
        if vu is None:
            return
        seconds = _draw(vu, at_least_s, at_most_s)
        if asyncio.current_task() is vu.task:
            with _thinking(vu):
                await vu.pause_aio(seconds)
        else:
            await vu.pause_aio(seconds)


@contextmanager
def _thinking(vu: VU) -> Iterator[None]:
    begin = time.perf_counter_ns()
    vu.is_thinking = True
    try:
        yield
    finally:
        vu.has_thought(time.perf_counter_ns() - begin)
        vu.is_thinking = False


think = _Think()


def _draw(vu: VU, at_least_s: float, at_most_s: float | None) -> float:
    longest_s = at_least_s if at_most_s is None else at_most_s
    try:
        if 0 <= at_least_s <= longest_s < _LONGEST_S:
            return at_least_s if at_most_s is None else vu.random.uniform(at_least_s, at_most_s)
    except TypeError:
        pass
    given = shown(at_least_s) if at_most_s is None else f"{shown(at_least_s)}, {shown(at_most_s)}"
    raise ConfigError(f"think({given}): allowed: seconds of at least 0, alone or with the most, such as think(1, 3)")


def check(name: str, passed: object) -> bool:
    """Record whether *passed* is true under the check's *name*; return it.

    As in k6 a false check fails no iteration under load: a threshold on ``checks`` does. In once mode it
    fails the test.

    :raises ConfigError: for a name that is no text: the two are easily swapped
    """
    if not isinstance(name, str):
        raise ConfigError(f"check({shown(name)}, ...): allowed: first its name, a text, then what is to be true")
    ok = bool(passed)
    scope = current_scope()
    if scope is not None:
        scope.sink(builtin.CHECKS, (("check", str(name)),))(ok)
    return ok


@contextmanager
def group(name: str) -> Iterator[None]:
    """Tag what is measured inside the block with the group's *name*, and time it as group_duration.

    Groups nest: the inner one is called ``outer::inner``.

    :raises ConfigError: for a name that is no text
    """
    if not isinstance(name, str):
        raise ConfigError(f"group({shown(name)}): allowed: its name, a text")
    outer = current_scope()
    if outer is None:
        yield
        return
    above = dict(outer.tags).get("group")
    scope = outer.child((("group", f"{above}::{name}" if above else name),))
    with recording(scope):
        begin = time.perf_counter_ns()
        try:
            yield
        finally:
            builtin.GROUP_DURATION.add((time.perf_counter_ns() - begin) * 1e-6)

"""Ends a session in order on Ctrl-C, SIGTERM and SIGHUP, where it has results or servers to lose.

What a signal does depends on what it hits, the :class:`Place` in which the main thread is:

- A run is never torn apart: it is stopped, concluded and written, and its test is reported as failed.
- Set-up and the code of a test are interrupted at once. A test under load is reported as failed; with any other
  test the signal does what it would do without us, and SIGTERM and SIGHUP do what ``pytest.exit`` does.
- Tear-down goes on. A signal more than five seconds after the first interrupts the finalizer that it hits; the
  others still run.
- Reports are written to their end, whatever comes.

The session then ends as pytest ends one, with all reports, and with the exit code 143 or 129 for SIGTERM and SIGHUP.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any

import pluggy
import pytest
from _pytest.outcomes import OutcomeException

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.plugin.load_tests import runs_under_load
from pytest_cdcperf.printable import one_line

TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
ENDING = (signal.SIGINT, *TERMINATING)

TEARDOWN_S = 5.0  # in which further signals do not interrupt finalizers: some press Ctrl-C a few times
_WORKER_GRACE_S = 10.0  # for workers to end by themselves, before a further signal ends xdist's own loop
_UNINTERRUPTED = (__file__, str(Path(pluggy.__file__).parent))  # what calls tests and finalizers, and clears up


class Place(Enum):
    """The place at which the main thread is."""

    FRAMEWORK = "code of ours or pytest's, which checks itself whether the session ends"
    TEST = "a test that runs as any other"
    LOAD_TEST = "set-up or body of a test that runs under load"
    TEARDOWN = "finalizers of fixtures"
    HANDING_OUT = "the loop that hands out tests to workers"


class Interruption:
    """One for a session, in each of its processes, registered as a plugin. It does nothing until :meth:`take`.

    :param notify: called with the reason when a signal has arrived, in a thread that may wait
    """

    def __init__(self, notify: Callable[[str], None], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""  # what ends the session, "" as long as nothing does
        self.is_busy: Callable[[], bool] = lambda: False  # whether workers are in the middle of a perf test
        self.stop_handing_out: Callable[[str], None] = lambda _reason: None
        self._notify = notify
        self._now_s = now_s
        self._place = Place.FRAMEWORK
        self._session: pytest.Session | None = None
        self._request: BaseException | None = None
        self._exit_code: int | None = None
        self._first_s: float | None = None
        self._before: dict[int, Any] = {}
        self._owner = os.getpid()
        self._by_coordinator = False  # the next SIGINT is our own, sent by on_interrupted()
        self._open = threading.Lock()
        self._reasons: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def take(self, session: pytest.Session, numbers: Iterable[int] = ENDING) -> None:
        """From now on *numbers* end *session* in order.

        One that is ignored stays ignored, as nohup has it. Handlers can be set in the main thread only; elsewhere
        nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if self._session is None:
            self._session = session
            threading.Thread(target=self._notify_all, name="cdcperf-interruption", daemon=True).start()
        for number in numbers:
            if number not in self._before and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None]:
        """Let the signals do again what they did before, once everything else has come to its end."""
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        with self._open:
            before, self._before = self._before, {}
        for number, handler in before.items():
            if signal.getsignal(number) == self._on_signal:  # else another's by now
                signal.signal(number, handler)
        self._reasons.put(None)

    def on_interrupted(self, reason: str) -> None:
        """The coordinator ends the session because of *reason*. Called in any thread of a worker."""
        with self._open:
            if signal.SIGINT in self._before:
                self.reason, self._by_coordinator = self.reason or reason, True
                _interrupt_main_thread()

    def at(self, place: Place) -> _Block:
        """The main thread is at *place* inside the block that this begins."""
        return _Block(self, place)

    def move(self, place: Place) -> Place:
        """The main thread is at *place* from now on; return where it was."""
        before, self._place = self._place, place
        return before

    def after_the_test(self, request: BaseException) -> None:
        """Let *request* end the session once the current test is torn down and reported."""
        self._request = request
        self._end(str(request) or type(request).__name__)
        self._notify(self.reason)  # the other workers are to begin nothing more either

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        """Raise what was to come after the test. Called around each, in the main thread."""
        result = yield
        request, self._request = self._request, None
        if request is not None:
            raise request
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Let signals interrupt set-up. Called for each test, in the main thread, next to what sets it up."""
        with self.at(Place.LOAD_TEST if runs_under_load(item) else Place.TEST):
            self._take_effect(item)
            yield

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Let signals interrupt the test's code. Called in the main thread, next to what calls it."""
        with self.at(Place.LOAD_TEST if runs_under_load(item) else Place.TEST):
            self._take_effect(item)
            yield

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None]:
        """Let a late signal interrupt finalizers. Called in the main thread, next to what calls them."""
        with self.at(Place.TEARDOWN):
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Tear down what an interrupt has left, report, and give the session its exit code. In the main thread."""
        self.move(Place.FRAMEWORK)
        if self._session is not None:
            self._tear_down(session)
        result = yield
        if self._exit_code is not None:
            session.exitstatus = self._exit_code
        return result

    def _tear_down(self, session: pytest.Session) -> None:
        # pytest would do it, but an error in it would keep all reports from being written.
        state = session._setupstate  # noqa: SLF001  # pytest has no public way to tear down what is left
        while state.stack:
            try:
                with self.at(Place.TEARDOWN):
                    state.teardown_exact(None)
            except (Exception, OutcomeException) as error:  # noqa: BLE001
                reporter = session.config.pluginmanager.getplugin("terminalreporter")
                if reporter is not None:
                    said = one_line(f"cdcperf: error in tear-down: {type(error).__name__}: {error}")
                    reporter.write_line(said, red=True)

    def _take_effect(self, item: pytest.Item) -> None:
        # What came while the last test was still handled, and no other test was to follow.
        if self.reason and not runs_under_load(item):
            pytest.exit(self.reason)
        if self.reason:
            pytest.skip(f"not begun: the session ends after {self.reason}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a fork of ours, such as a multiprocessing.Process that is terminated
            signal.signal(number, self._before.get(number, signal.SIG_DFL))
            signal.raise_signal(number)
            return
        by_coordinator, self._by_coordinator = self._by_coordinator, False
        raises = frame is None or not frame.f_code.co_filename.startswith(_UNINTERRUPTED)
        place = self._place if raises or self._place is Place.HANDING_OUT else Place.FRAMEWORK
        if place is Place.TEST and number not in TERMINATING and not by_coordinator:
            self._as_without_us(number, frame)
            return
        after_s = self._end(self.reason or _name_of(number))
        if number in TERMINATING and self._exit_code is None:
            self._exit_code = 128 + number
        if not by_coordinator:
            self._reasons.put(self.reason)
        match place:
            case Place.TEST:
                self._as_without_us(number, frame)
            case Place.LOAD_TEST:
                self._place = Place.FRAMEWORK  # once is enough
                pytest.fail(f"interrupted by {self.reason}", pytrace=False)
            case Place.TEARDOWN if after_s > TEARDOWN_S:
                pytest.fail(f"tear-down was interrupted by another {_name_of(number)}", pytrace=False)
            case Place.HANDING_OUT if self.is_busy() and after_s < _WORKER_GRACE_S:
                self.stop_handing_out(self.reason)
            case Place.HANDING_OUT:
                self._as_without_us(number, frame)

    def _end(self, reason: str) -> float:
        """End the session because of *reason*; return how many seconds ago that was said first."""
        now_s = self._now_s()
        self._first_s = now_s if self._first_s is None else self._first_s
        self.reason = reason
        if self._session is not None:
            self._session.shouldstop = reason
        return now_s - self._first_s

    def _as_without_us(self, number: int, frame: FrameType | None) -> None:
        self._place = Place.FRAMEWORK
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        else:
            pytest.exit(self.reason)

    def _notify_all(self) -> None:
        while (reason := self._reasons.get()) is not None:
            self._notify(reason)


class _Block:
    # No generator: one that is left half-way by a signal would leave the main thread at the wrong place.
    def __init__(self, interruption: Interruption, place: Place) -> None:
        self._interruption = interruption
        self._place = place

    def __enter__(self) -> None:
        self._before = self._interruption.move(self._place)

    def __exit__(self, *_: object) -> None:
        self._interruption.move(self._before)


def _name_of(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGINT)  # also out of a call that waits
    else:
        signal.raise_signal(signal.SIGINT)

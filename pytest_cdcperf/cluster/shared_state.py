"""The state that the workers of a session share: pools of values to lease, and work that is to be done once.

:class:`Store` is the one copy, in the process that all workers report to; :class:`Shared` is what each of
them sees of it. What goes from one to the other is of builtin types: ``dict``, ``list``, ``str``, numbers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_cdcperf.engine.current_vu import refuse_blocking
from pytest_cdcperf.errors import ConfigError, SharedError


@dataclass(frozen=True)
class PoolCall:
    """An operation on the pool *name*: "put", "lease", "give_back", "put_back", "take" or "size"."""

    name: str
    operation: str
    item: Any = None
    token: int = 0
    leaving: int = 0


@dataclass(frozen=True)
class OnceCall:
    """A step of what happens once as *name*.

    All "enter" and "leave"; for the first who entered it is "enter", "done" or "failed", "end".
    """

    name: str
    step: str
    value: Any = None


Call = PoolCall | OnceCall
Reply = Callable[[Any], None]


@dataclass
class _Pool:
    free: list[Any] = field(default_factory=list)
    lent: dict[int, tuple[str, Any]] = field(default_factory=dict)


@dataclass
class _Once:
    owner: str
    users: list[str] = field(default_factory=list)
    value: Any = None
    is_known: bool = False
    entering: list[tuple[str, Reply]] = field(default_factory=list)
    ending: Reply | None = None


class Store:
    """Carries out calls one at a time. A reply may come later: a worker that enters waits for the value."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pools: dict[str, _Pool] = {}
        self._onces: dict[str, _Once] = {}
        self._tokens = 0
        self._random = random.Random()  # noqa: S311  # the choice of a member need not be unpredictable

    def call(self, worker: str, call: Call, reply: Reply) -> None:
        """Carry out *call* for *worker*, and *reply* with what it returns."""
        with self._lock:
            if isinstance(call, PoolCall):
                reply(self._on_pool(worker, call, self._pools.setdefault(call.name, _Pool())))
            else:
                self._on_once(worker, call, reply)

    def forget(self, worker: str) -> None:
        """A worker is gone: what it was lent comes back, and the others no longer wait for it."""
        with self._lock:
            for pool in self._pools.values():
                for token in [token for token, (holder, _) in pool.lent.items() if holder == worker]:
                    pool.free.append(pool.lent.pop(token)[1])
            for name, once in list(self._onces.items()):
                once.users = [user for user in once.users if user != worker]
                if once.owner == worker:
                    self._set_value(name, once, ("failed", f"{worker}, the worker that ran it, is gone"))
                else:
                    self._let_owner_end(name, once)

    def _on_pool(self, worker: str, call: PoolCall, pool: _Pool) -> Any:
        match call.operation:
            case "put":
                pool.free.append(call.item)
            case "lease" if pool.free:
                self._tokens += 1
                item = pool.free.pop(self._random.randrange(len(pool.free)))
                pool.lent[self._tokens] = (worker, item)
                return self._tokens, item
            case "give_back":
                del pool.lent[call.token]
                pool.free.append(call.item)
            case "put_back":
                pool.free.append(pool.lent.pop(call.token)[1])
            case "take" if pool.free and len(pool.free) + len(pool.lent) > call.leaving:
                return pool.free.pop(self._random.randrange(len(pool.free)))
            case "size":
                return len(pool.free) + len(pool.lent)
        return None

    def _on_once(self, worker: str, call: OnceCall, reply: Reply) -> None:
        once = self._onces.get(call.name)
        match call.step:
            case "enter" if once is None:
                self._onces[call.name] = _Once(worker)
                reply(("run", None))
            case "enter" if once is not None:
                once.users.append(worker)
                if once.is_known:
                    reply(once.value)
                else:
                    once.entering.append((worker, reply))
            case "end" if once is not None:
                once.ending = reply
                self._let_owner_end(call.name, once)
            case "leave":
                if once is not None and worker in once.users:  # else it is another's, begun after what it leaves
                    once.users.remove(worker)
                    self._let_owner_end(call.name, once)
                reply(None)
            case "done" | "failed" if once is not None:
                self._set_value(call.name, once, (call.step, call.value))
                reply(None)

    def _set_value(self, name: str, once: _Once, value: tuple[str, Any]) -> None:
        once.value, once.is_known = value, True
        if value[0] == "failed":
            del self._onces[name]  # a worker that enters later tries again
        for _, reply in once.entering:
            reply(value)
        once.entering.clear()

    def _let_owner_end(self, name: str, once: _Once) -> None:
        # Not waiting for the owner's own process: it cannot leave while it waits here.
        if once.ending is not None and all(user == once.owner for user in once.users):
            del self._onces[name]
            once.ending(None)


class Pool:
    """Things that the VUs of all workers draw from: each is lent to one of them at a time.

    ::

        @pytest.fixture
        def customers(shared):
            pool = shared.pool("customers")

            def fill():
                for number in range(20):
                    pool.put({"id": number, "orders": 0})
                yield  # all of them are in

            with shared.once("customers", fill):
                yield pool

        @perf(vus=10, duration="1m")
        def test_customers_order(customers):
            with customers.lease() as customer:
                customer["orders"] += 1  # nobody else has this customer now; who has it next sees the new number
    """

    def __init__(self, name: str, ask: Callable[[Call], Any]) -> None:
        self._name = name
        self._ask = ask

    def put(self, item: Any) -> None:
        """Add *item*, of builtin types.

        :raises ConfigError: when it is of others: it crosses processes
        """
        self._call("put", item=_plain(f"shared.pool({self._name!r}).put", item))

    @contextmanager
    def lease(self) -> Iterator[Any | None]:
        """Lend a member, drawn at random, to this VU alone for the time of the block; None where all are lent.

        It comes back as it is left: what was changed in it stays.
        """
        lent = self._call("lease")
        try:
            yield None if lent is None else lent[1]
        finally:
            if lent is not None:
                self._give_back(*lent)

    def _give_back(self, token: int, item: Any) -> None:
        try:
            _plain(f"shared.pool({self._name!r}).lease", item)
        except ConfigError:
            self._call("put_back", token=token)  # as it was lent
            raise
        self._call("give_back", token=token, item=item)

    def take(self, *, leaving: int = 0) -> Any | None:
        """Take a member out for good, drawn at random.

        None where fewer than *leaving* would remain, or all are lent.
        """
        return self._call("take", leaving=leaving)

    def __len__(self) -> int:
        return int(self._call("size"))

    def _call(self, operation: str, **values: Any) -> Any:
        return self._ask(PoolCall(self._name, operation, **values))


def _plain(where: str, value: Any) -> Any:
    # Not their subclasses: those are read back by their own code, which a channel does not run.
    if type(value) in {dict, list, tuple}:
        for part in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
            _plain(where, part)
    elif type(value) not in {str, bytes, bool, int, float, type(None)}:
        raise ConfigError(
            f"{where}: {value!r} is a {type(value).__name__}, which does not cross processes; "
            "allowed: dict, list, tuple, str, bytes, numbers, None"
        )
    return value


class Shared:
    """The fixture ``shared``: the same for all workers of the session.

    ::

        @pytest.fixture
        def order(shared, http_client):
            def make():
                yield http_client.post("http://shop.example/orders", json={"customer": 7}).json()["id"]

            with shared.once("order", make) as order:  # the worker that comes first makes it, all of them get its id
                yield order

        @perf(vus=10, duration="1m")
        def test_the_order_is_found(http_client, order):
            http_client.get("http://shop.example/orders/{id}", path={"id": order}).raise_for_status()
    """

    def __init__(self, ask: Callable[[Call], Any], *, crosses_processes: bool = False) -> None:
        self._ask = self._blocking(ask) if crosses_processes else ask

    def pool(self, name: str) -> Pool:
        """Return the pool *name*, which is empty at first.

        :raises ConfigError: when *name* is not a text
        """
        if type(name) is not str:
            raise ConfigError(f"shared.pool({name!r}): allowed: text")
        return Pool(name, self._ask)

    @contextmanager
    def once(self, name: str, run: Callable[[], Generator[Any, None, None]]) -> Iterator[Any]:
        """Run the generator function *run* on one worker only; what it yields is the value for all of them.

        What follows its ``yield`` is run there once all workers have left the block. The value is of
        builtin types: it crosses processes.

        :raises SharedError: on the other workers, where it failed on the one that ran it
        """
        step, value = self._ask(OnceCall(name, "enter"))
        if step == "failed":
            raise SharedError(f"shared.once({name!r}): {value}")
        if step == "run":
            with self._running(name, contextmanager(run)) as own:
                yield own
            return
        try:
            yield value
        finally:
            self._ask(OnceCall(name, "leave"))

    @contextmanager
    def _running(self, name: str, block: Callable[[], Any]) -> Iterator[Any]:
        entered = False
        try:
            with block() as value:
                self._ask(OnceCall(name, "done", _plain(f"shared.once({name!r})", value)))
                entered = True
                try:
                    yield value
                finally:
                    self._ask(OnceCall(name, "end"))
        except BaseException as error:
            if not entered:
                words = " ".join(str(error).split())
                self._ask(OnceCall(name, "failed", f"it failed on another worker: {type(error).__name__}: {words}"))
            raise

    @staticmethod
    def _blocking(ask: Callable[[Call], Any]) -> Callable[[Call], Any]:
        def asked(call: Call) -> Any:
            refuse_blocking(f"shared ({type(call).__name__})", "asyncio.to_thread(...)")
            return ask(call)

        return asked

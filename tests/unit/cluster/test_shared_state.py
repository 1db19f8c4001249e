from __future__ import annotations

import collections
import enum
import queue
import threading

import pytest

from pytest_cdcperf.cluster.shared_state import OnceCall, PoolCall, Shared, Store
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError, SharedError
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope


class Workers:
    """Workers of one store; a question waits for its reply, as over a link."""

    def __init__(self):
        self.store = Store()

    def __getitem__(self, worker):
        def ask(call):
            replies = queue.SimpleQueue()
            self.store.call(worker, call, replies.put)
            return replies.get(timeout=10)

        return Shared(ask)


@pytest.fixture
def workers():
    return Workers()


def drawn(pool):
    """All that can be had of *pool*."""
    items = []
    while (item := pool.take()) is not None:
        items.append(item)
    return sorted(items)


def test_what_one_worker_puts_another_takes(workers):
    workers["gw0"].pool("ids").put({"id": [1, 2.5, True, None, b"x", ("a",)]})
    assert workers["gw1"].pool("others").take() is None
    assert workers["gw1"].pool("ids").take() == {"id": [1, 2.5, True, None, b"x", ("a",)]}
    assert workers["gw0"].pool("ids").take() is None


def test_a_leased_value_is_lent_to_no_other_until_it_is_given_back(workers):
    mine, theirs = workers["gw0"].pool("ids"), workers["gw1"].pool("ids")
    mine.put(1)
    mine.put(2)
    with mine.lease() as first, theirs.lease() as second:
        assert {first, second} == {1, 2}
        assert theirs.take() is None
        assert len(theirs) == 2
        with theirs.lease() as third:
            assert third is None
    assert len(mine) == 2
    assert drawn(mine) == [1, 2]


def test_a_lease_ends_also_where_the_body_fails(workers):
    pool = workers["gw0"].pool("ids")
    pool.put(1)
    with pytest.raises(ZeroDivisionError), pool.lease():
        _ = 1 / 0
    assert drawn(pool) == [1]


def test_members_are_drawn_at_random(workers):
    workers.store._random.seed(1)
    pool = workers["gw0"].pool("ids")
    for number in range(50):
        pool.put(number)

    def leased():
        with pool.lease() as item:
            return item

    assert len({leased() for _ in range(20)}) > 5
    taken = [pool.take() for _ in range(50)]
    assert sorted(taken) == list(range(50)) != taken


def test_take_leaves_as_many_as_are_asked_for_and_the_lent_ones_count(workers):
    pool = workers["gw0"].pool("ids")
    for number in range(3):
        pool.put(number)
    with pool.lease():
        assert pool.take(leaving=3) is None
        assert pool.take(leaving=2) is not None
        assert pool.take(leaving=2) is None
        assert pool.take(leaving=1) is not None
        assert pool.take() is None  # the last is lent
    assert pool.take(leaving=1) is None
    assert len(pool) == 1


def test_what_a_dead_worker_was_lent_comes_back(workers):
    mine, theirs = workers["gw0"].pool("ids"), workers["gw1"].pool("ids")
    mine.put("a")
    theirs.put("b")
    with theirs.lease() as kept:
        mine._call("lease")
        workers.store.forget("gw0")
        (other,) = {"a", "b"} - {kept}
        assert theirs.take() == other
        assert theirs.take() is None


class Grade(enum.StrEnum):
    GOOD = "good"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1}, "set"),
        ([1, {"a": object()}], "object"),
        ({(Grade.GOOD,): 1}, "Grade"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (Phase("hold", 0.0, 1.0), "Phase"),
        (1j, "complex"),
    ],
)
def test_values_that_are_not_builtin_are_refused(workers, value, named):
    with pytest.raises(ConfigError, match=rf"^shared.pool\('ids'\).put: .* is a {named}, which does not cross"):
        workers["gw0"].pool("ids").put(value)
    assert len(workers["gw0"].pool("ids")) == 0


def test_over_processes_an_async_body_must_not_block_on_it():
    vu = VU(1, session_id="r", scope=Scope(Recorder()), is_async=True)
    shared = Shared(lambda _call: None, crosses_processes=True)
    with acting_as(vu), pytest.raises(BlockingCallError, match=r"shared \(PoolCall\) blocks"):
        shared.pool("ids").take()
    with acting_as(vu):
        assert Shared(lambda _call: None).pool("ids").take() is None


class Generated:
    """A generator function that notes its steps."""

    def __init__(self, value="made"):
        self.steps = []
        self._value = value

    def __call__(self):
        self.steps.append("begun")
        try:
            yield self._value
        finally:
            self.steps.append("ended")


def test_it_happens_once_and_all_see_its_value(workers):
    run, other = Generated({"tables": 3}), Generated()
    with workers["gw0"].once("schema", run) as first, workers["gw1"].once("schema", other) as second:
        assert first == second == {"tables": 3}
        assert run.steps == ["begun"]
    assert run.steps == ["begun", "ended"]
    assert other.steps == []


def test_different_names_are_different_things(workers):
    with workers["gw0"].once("a", Generated("a")) as a, workers["gw1"].once("b", Generated("b")) as b:
        assert (a, b) == ("a", "b")


def test_who_comes_while_it_is_being_made_waits_for_the_value(workers):
    store, replies = workers.store, []
    store.call("gw0", OnceCall("schema", "enter"), replies.append)
    store.call("gw1", OnceCall("schema", "enter"), replies.append)
    assert replies == [("run", None)]
    store.call("gw0", OnceCall("schema", "done", "made"), replies.append)
    assert replies == [("run", None), ("done", "made"), None]


def test_its_end_waits_until_all_others_have_left(workers):
    run = Generated()
    asked_to_end = threading.Event()
    call = workers.store.call

    def watched(worker, what, reply):
        call(worker, what, reply)
        if what == OnceCall("schema", "end"):
            asked_to_end.set()

    workers.store.call = watched
    inside, leave = threading.Event(), threading.Event()

    def runner():
        with workers["gw0"].once("schema", run):
            inside.set()
            assert leave.wait(10)

    thread = threading.Thread(target=runner, daemon=True)
    thread.start()
    assert inside.wait(10)
    with workers["gw1"].once("schema", Generated()), workers["gw2"].once("schema", Generated()):
        leave.set()
        assert asked_to_end.wait(10)
        assert run.steps == ["begun"]
    thread.join(10)
    assert run.steps == ["begun", "ended"]


def test_after_its_end_it_can_happen_anew(workers):
    for worker in ("gw0", "gw1"):
        with workers[worker].once("schema", Generated(worker)) as value:
            assert value == worker


def failing():
    raise ValueError("no\n such table")
    yield


def test_a_failure_on_the_one_that_runs_it_reaches_the_others_and_can_be_tried_again(workers):
    store, replies = workers.store, []

    def run():
        store.call("gw1", OnceCall("schema", "enter"), replies.append)
        yield from failing()

    with pytest.raises(ValueError, match="no\n such table"), workers["gw0"].once("schema", run):
        pass
    assert replies == [("failed", "it failed on another worker: ValueError: no such table")]
    with workers["gw1"].once("schema", Generated("second")) as value:
        assert value == "second"


def test_the_others_raise_what_failed():
    shared = Shared(lambda _call: ("failed", "it failed on another worker: ValueError: no"))
    with pytest.raises(SharedError, match=r"^shared.once\('schema'\): it failed on another worker: ValueError: no$"):
        shared.once("schema", Generated()).__enter__()


def test_a_failure_inside_the_block_is_no_failure_of_what_happened_once(workers):
    run = Generated()
    with pytest.raises(ZeroDivisionError), workers["gw0"].once("schema", run):
        _ = 1 / 0
    assert run.steps == ["begun", "ended"]
    both = workers["gw0"].once("schema", run), workers["gw1"].once("schema", Generated())
    with pytest.raises(ZeroDivisionError), both[0], both[1]:
        _ = 1 / 0
    assert run.steps == ["begun", "ended"] * 2


def test_a_value_that_is_not_builtin_is_refused_and_fails_the_others(workers):
    run = Generated(Grade.GOOD)
    with pytest.raises(ConfigError, match=r"^shared.once\('schema'\): .* is a Grade"):
        workers["gw0"].once("schema", run).__enter__()
    assert run.steps == ["begun", "ended"]
    with workers["gw1"].once("schema", Generated(1)) as value:
        assert value == 1


def test_nested_in_one_process_it_does_not_wait_for_itself(workers):
    run = Generated()
    with workers["main"].once("schema", run) as outer, workers["main"].once("schema", Generated("other")) as inner:
        assert outer == inner == "made"
    assert run.steps == ["begun", "ended"]
    first, second = workers["main"].once("schema", run), workers["main"].once("schema", Generated("other"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert run.steps == ["begun", "ended"] * 2


def test_nobody_waits_for_a_dead_worker_to_leave(workers):
    run = Generated()
    with workers["gw0"].once("schema", run):
        workers["gw1"].once("schema", Generated()).__enter__()
        workers.store.forget("gw1")
    assert run.steps == ["begun", "ended"]
    leaving = []
    workers.store.call("gw0", OnceCall("schema", "enter"), leaving.append)
    workers.store.call("gw0", OnceCall("schema", "done"), leaving.append)
    workers.store.call("gw1", OnceCall("schema", "enter"), leaving.append)
    del leaving[:]
    workers.store.call("gw0", OnceCall("schema", "end"), leaving.append)
    assert leaving == []
    workers.store.forget("gw1")
    assert leaving == [None]


def test_the_death_of_the_one_that_runs_it_reaches_the_others(workers):
    store, replies = workers.store, []
    store.call("gw0", OnceCall("schema", "enter"), lambda _reply: None)
    store.call("gw1", OnceCall("schema", "enter"), replies.append)
    store.forget("gw0")
    assert replies == [("failed", "gw0, the worker that ran it, is gone")]
    with workers["gw1"].once("schema", Generated("anew")) as value:
        assert value == "anew"


def test_a_worker_that_leaves_what_another_has_begun_anew_takes_nobody_out(workers):
    store = workers.store
    first, nested = workers["gw0"].once("schema", Generated()), workers["gw0"].once("schema", Generated())
    first.__enter__()
    nested.__enter__()
    first.__exit__(None, None, None)
    with workers["gw1"].once("schema", Generated("anew")) as value:
        nested.__exit__(None, None, None)
        assert value == "anew"
    assert store._onces == {}


def test_a_call_says_what_it_is_about():
    calls = []
    pool = Shared(lambda call: calls.append(call) or 2).pool("ids")
    pool.put(1)
    assert len(pool) == 2
    pool.take(leaving=3)
    assert calls == [PoolCall("ids", "put", 1), PoolCall("ids", "size"), PoolCall("ids", "take", leaving=3)]


def test_what_a_body_makes_of_a_member_must_be_plain_or_it_goes_back_as_it_was(workers):
    pool = workers["gw0"].pool("orders")
    pool.put({"id": 1})
    with pytest.raises(ConfigError, match="does not cross processes"), pool.lease() as order:
        order["when"] = object()
    assert len(pool) == 1


def test_a_pool_is_named_by_text(workers):
    with pytest.raises(ConfigError, match="allowed: text"):
        workers["gw0"].pool(5)

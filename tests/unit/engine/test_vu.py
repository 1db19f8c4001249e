from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context

import pytest

from pytest_cdcperf.engine.body import check, group, think
from pytest_cdcperf.engine.current_vu import CurrentVU, acting_as, current_vu, refuse_blocking
from pytest_cdcperf.engine.iteration_id import RandomSource
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError
from pytest_cdcperf.metrics.metric import Counter
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, current_scope

COUNT = Counter("t_vu_count")


def make_vu(number=1, *, is_async=False, **more):
    return VU(number, session_id="r1", scope=Scope(Recorder(), (("run", "r1"),)), is_async=is_async, **more)


def pauses_of(vu):
    pauses = []
    vu.pause = pauses.append
    return pauses


def test_a_vu_is_shown_with_its_number_and_iteration():
    vu, current = make_vu(7), CurrentVU()
    vu.iteration = 12
    with acting_as(vu):
        assert repr(current) == repr(vu) == "<VU 7, iteration 12>"
    assert repr(current) == "<the current VU, known inside the body of a perf test only>"


def test_a_vu_is_current_inside_its_block_only():
    vu = make_vu(7)
    current = CurrentVU()
    with acting_as(vu):
        assert current_vu() is vu
        assert current_scope() is vu.scope
        assert (current.id, current.iteration, current.session_id) == (7, 0, "r1")
        current.state["x"] = 1
    assert vu.state == {"x": 1}
    assert current_vu() is None
    assert current_scope() is None


def test_outside_an_iteration_the_vu_says_where_it_is_known():
    with pytest.raises(AttributeError) as refused:
        _ = CurrentVU().id
    assert str(refused.value) == "vu.id is known inside the body of a perf test only, not in its fixtures"


def test_an_attribute_set_by_one_vu_is_not_seen_by_another():
    current = CurrentVU()
    with acting_as(make_vu(1)):
        try:
            current.customer = 5
        except AttributeError:
            return
    with acting_as(make_vu(2)):
        assert not hasattr(current, "customer")


def drawn(number=1, iteration=0, load="", **source):
    vu = make_vu(number, load=load, source=RandomSource(**source))
    vu.iteration = iteration
    return [vu.random.random(), vu.random.gauss()]


def test_random_numbers_depend_on_seed_test_load_vu_and_iteration():
    assert drawn() == drawn()
    others = [drawn(2), drawn(iteration=1), drawn(load="readers"), drawn(seed="s"), drawn(test="t")]
    assert len({*map(tuple, [drawn(), *others])}) == 6


def test_each_iteration_has_random_numbers_of_its_own_whatever_those_before_it_drew():
    vu = make_vu()
    for number, draws in enumerate([3, 0, 1, 2]):
        vu.iteration = number
        for _ in range(draws):
            vu.random.gauss()
    vu.iteration = 4
    assert [vu.random.random(), vu.random.gauss()] == drawn(iteration=4)


def test_random_numbers_are_the_same_in_other_releases():
    """The numbers of a failure that was reported must come again after an update."""
    assert drawn(17, 203, "readers", seed="8c41f0aa", test="test_x.py::test_y")[0] == 0.027906701427028335


def test_names_that_cannot_be_encoded_have_random_numbers_too():
    assert drawn(load="\ud800") != drawn(load="\ud801")


def test_the_iteration_under_way_is_named_as_replays_take_it():
    vu = make_vu(17, load="readers", source=RandomSource("8c41f0aa"))
    vu.iteration = 203
    assert str(vu.iteration_id) == "8c41f0aa:readers:17:203"


def test_thinking_pauses_and_is_kept_apart():
    vu = make_vu()
    pauses = pauses_of(vu)
    with acting_as(vu):
        think(0.5)
        think(1, 3)
        think("250ms")
    assert pauses[0] == 0.5
    assert 1 <= pauses[1] <= 3
    assert pauses[2] == 0.25
    assert vu.think_ns > 0


@pytest.mark.parametrize(
    "times", [("x",), (-1,), (2, 1), (None,), (float("nan"),), (float("inf"),), (1e10,), (0, "1"), (-1, 1)]
)
def test_what_is_no_time_to_think_is_refused(times):
    vu = make_vu()
    pauses = pauses_of(vu)
    with acting_as(vu), pytest.raises(ConfigError) as refused:
        think(*times)
    assert pauses == []
    given = ", ".join(map(repr, times))
    assert str(refused.value) == (
        f"think({given}): allowed: seconds of at least 0, or text such as '500ms', alone or with the most, "
        "such as think(1, 3)"
    )


def test_outside_a_run_nobody_thinks():
    think(3600)
    asyncio.run(think.aio(3600))


def test_thinking_is_drawn_from_the_vus_own_random():
    def pause():
        vu = make_vu()
        pauses = pauses_of(vu)
        with acting_as(vu):
            think(0, 100)
        return pauses

    assert pause() == pause()


def test_in_once_mode_nobody_thinks_in_an_async_body_either():
    async def main():
        vu = make_vu(is_async=True)
        vu.pause = lambda _seconds: None  # as plugin.once.run_once sets it
        vu.task = asyncio.current_task()
        with acting_as(vu):
            thinking = asyncio.ensure_future(think.aio(3600))
            for _ in range(3):
                await asyncio.sleep(0)
            thought = thinking.done()
            thinking.cancel()
        return thought

    assert asyncio.run(main())


def test_thinking_counts_in_the_vus_own_thread_only():
    vu, paused = make_vu(), []
    vu.pause = lambda seconds: paused.append((seconds, vu.is_thinking))
    with acting_as(vu):
        beside = threading.Thread(target=copy_context().run, args=(think, 0.5))
        beside.start()
        beside.join(10)
        assert vu.think_ns == 0
        think(0.25)
    assert vu.think_ns > 0
    assert paused == [(0.5, False), (0.25, True)]
    assert not vu.is_thinking


def test_a_blocking_pause_in_a_thread_of_an_async_body_is_refused():
    async def body():
        with pytest.raises(BlockingCallError, match=r"^think\(\) blocks"):
            await asyncio.to_thread(think, 0.5)

    with acting_as(make_vu(is_async=True)):
        asyncio.run(body())


def test_thinking_in_an_async_body_counts_in_the_vus_own_task_only():
    async def main():
        vu = make_vu(is_async=True)
        vu.task = asyncio.current_task()
        with acting_as(vu):
            await asyncio.gather(think.aio(0), think.aio(0))
            beside = vu.think_ns
            await think.aio(0)
        return beside, vu.think_ns

    beside, own = asyncio.run(main())
    assert beside == 0
    assert own > 0


def test_a_blocking_call_in_an_async_body_is_refused_by_name():
    with acting_as(make_vu(is_async=True)):
        with pytest.raises(BlockingCallError) as refused:
            think(1)
        with pytest.raises(BlockingCallError, match=r"write: await pg\.aio\.execute"):
            refuse_blocking("pg.execute()", "pg.aio.execute(...)")
    assert str(refused.value) == (
        "think() blocks, which would stall every VU of this async test; write: await think.aio(...)"
    )


def test_a_blocking_call_elsewhere_is_let_through():
    refuse_blocking("x", "y")
    with acting_as(make_vu()):
        refuse_blocking("x", "y")


def test_a_check_is_recorded_under_its_name_and_returned(recorder):
    assert check("sum is right", [1]) is True
    assert check("sum is right", 0) is False
    assert check("status", "ok") is True
    by_name = {name: (state.hits, state.total) for name, state in recorder.drain().by_tag("checks", "check")}
    assert by_name == {"sum is right": (1, 2), "status": (1, 1)}


def test_groups_nest_tag_and_time_what_is_inside():
    vu = make_vu()
    with acting_as(vu):
        with group("outer"):
            COUNT.add(1)
            with group("inner"):
                COUNT.add(2)
                check("c", True)
            COUNT.add(4)
        COUNT.add(8)
    drained = vu.scope.recorder.drain()
    assert {name: state.total for name, state in drained.by_tag("t_vu_count", "group")} == {
        "outer": 5,
        "outer::inner": 2,
    }
    assert drained.select("t_vu_count", {"run": "r1"}).total == 15
    assert drained.select("checks", {"group": "outer::inner", "check": "c"}).hits == 1
    times = {name: state.count for name, state in drained.by_tag("group_duration", "group")}
    assert times == {"outer": 1, "outer::inner": 1}


def test_a_group_is_timed_and_left_where_its_block_raises():
    vu = make_vu()
    with acting_as(vu):
        with pytest.raises(ValueError, match="x"), group("g"):
            raise ValueError("x")
        assert current_scope() is vu.scope
    assert vu.scope.recorder.drain().select("group_duration", {"group": "g"}).count == 1


def test_a_group_outside_an_iteration_is_nothing():
    with group("g"):
        assert current_scope() is None


class Broken:
    def close(self):
        raise OSError("broken")

    cancel = close


def test_resources_are_closed_the_latest_first_and_errors_passed_over():
    resources, closed = Resources(), []
    resources.keep("a", "first", close=closed.append)
    resources.keep("b", Broken(), close=Broken.close)
    resources.keep("c", "third", close=closed.append)
    resources.keep("d", "dropped", close=closed.append)
    assert resources.get("a") == "first"
    assert resources.get("z") is None
    resources.drop("d")
    resources.drop("d")
    assert resources.close_all() == []
    assert closed == ["third", "first"]
    assert resources.get("a") is None


def test_what_is_closed_by_awaiting_is_handed_back():
    closed = []

    async def close(value):
        closed.append(value)

    async def main():
        resources = Resources()
        resources.keep("a", 1, close=close)
        (left,) = resources.close_all()
        await left

    asyncio.run(main())
    assert closed == [1]


def test_cancelling_reaches_all_that_can_be_cancelled():
    resources, cancelled = Resources(), []
    resources.keep("a", Broken(), close=Broken.close, cancel=Broken.cancel)
    resources.keep("b", "b", close=cancelled.append, cancel=cancelled.append)
    resources.keep("c", "c", close=cancelled.append)
    resources.cancel_all()
    assert cancelled == ["b"]


@pytest.mark.parametrize(
    ("name", "passed", "words"),
    [(5, True, "check(5, ...)"), (True, "status is 200", "check(True, ...)"), (None, True, "check(None, ...)")],
)
def test_a_check_whose_name_is_no_text_is_refused(name, passed, words):
    with acting_as(make_vu()), pytest.raises(ConfigError) as refused:
        check(name, passed)
    assert str(refused.value) == f"{words}: allowed: first its name, a text, then what is to be true"


def test_a_group_whose_name_is_no_text_is_refused():
    with acting_as(make_vu()), pytest.raises(ConfigError, match=r"group\(5\): allowed: its name, a text"), group(5):
        pass

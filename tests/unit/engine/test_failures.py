from __future__ import annotations

import json
import threading

import pytest

from pytest_cdcperf.engine.failures import Failures
from pytest_cdcperf.engine.source_lines import user_line
from pytest_cdcperf.metrics.failure import MAX_KINDS, FailureKind, kinds_in_words, merge_kinds
from tests.unit.harness import RULES, new_vu


def caught(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def add(failures, error, at_s=1.0, vu=None):
    failures.add(error, vu or new_vu(), at_s)


def fail(message="x"):
    raise ValueError(message)


def fail_elsewhere():
    raise ValueError("x")


def line_of(function):
    return f"test_failures.py:{function.__code__.co_firstlineno + 1}"


def test_a_kind_is_a_type_and_a_line_and_never_a_message():
    failures = Failures(RULES.describe)
    for number in range(5):
        add(failures, caught(fail, f"message {number}"))
    add(failures, caught(fail_elsewhere))
    add(failures, caught(int, "x"))
    kinds = failures.kinds()
    assert [(kind.type, kind.where, kind.count) for kind in kinds[:2]] == [
        ("ValueError", line_of(fail), 5),
        ("ValueError", line_of(fail_elsewhere), 1),
    ]
    assert len(kinds) == 3


def test_only_the_first_of_a_kind_is_formatted():
    formatted = []
    failures = Failures(lambda error: formatted.append(str(error)) or f"sample of {error}")
    for number in range(3):
        add(failures, caught(fail, f"message {number}"))
    assert formatted == ["message 0"]
    assert failures.kinds()[0].sample == "sample of message 0"


def test_kinds_beyond_the_cap_are_counted_together():
    failures = Failures(RULES.describe)
    for number in range(MAX_KINDS + 7):
        add(failures, type(f"Error{number}", (Exception,), {})())
    add(failures, type("Error3", (Exception,), {})())
    kinds = failures.kinds()
    assert len(kinds) == MAX_KINDS + 1
    assert (kinds[0].type, kinds[0].where, kinds[0].count) == ("further kinds", "beyond the 50 shown", 7)
    assert {kind.type: kind.count for kind in kinds}["Error3"] == 2


def test_the_most_frequent_comes_first():
    failures = Failures(RULES.describe)
    add(failures, caught(fail))
    for _ in range(2):
        add(failures, caught(fail_elsewhere))
    assert [kind.count for kind in failures.kinds()] == [2, 1]


def test_nothing_is_lost_between_threads():
    failures = Failures(RULES.describe)
    error = caught(fail)
    threads = [threading.Thread(target=lambda: [add(failures, error) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kind.count for kind in failures.kinds()] == [8000]


def test_a_kind_knows_its_first_and_last_time_and_the_iteration_of_its_sample():
    failures = Failures(lambda error: f"ValueError: {error}")
    for at_s, vu, iteration in [(2.5, 17, 203), (7.0, 3, 9), (4.0, 4, 12)]:
        add(failures, caught(fail, f"of VU {vu}"), at_s, new_vu(vu, iteration))
    (kind,) = failures.kinds()
    assert (kind.first_s, kind.last_s) == (2.5, 7.0)
    assert (kind.iteration, kind.error) == ("8c41f0aa:readers:17:203", "ValueError: of VU 17")


def test_the_only_kind_is_known_without_its_traceback_until_there_is_another():
    failures = Failures(lambda error: f"a traceback\nValueError: {error}\n")
    assert failures.only_kind() is None
    for number in range(2):
        add(failures, caught(fail, f"number {number}"))
    only = failures.only_kind()
    assert (only.type, only.where, only.count, only.sample) == ("ValueError", line_of(fail), 2, "ValueError: number 0")
    add(failures, caught(fail_elsewhere))
    assert failures.only_kind() is None


def test_the_first_reason_to_skip_is_kept():
    failures = Failures(RULES.describe)
    failures.skip(Exception("first"))
    failures.skip(Exception("second"))
    assert failures.first_skip == "first"
    assert failures.kinds() == []


def test_the_users_line_is_the_innermost_that_is_no_librarys():
    def inner():
        json.loads("{")

    def outer():
        inner()

    assert user_line(caught(outer).__traceback__) == line_of(inner)


def test_a_line_of_generated_code_is_not_the_users():
    def body():
        exec("1 / 0")  # noqa: S102

    assert user_line(caught(body).__traceback__) == line_of(body)


def test_an_error_without_a_traceback_has_no_line():
    assert user_line(None) == ""


@pytest.mark.parametrize("name", ["pytest_cdcperf-demo", "pytest_cdcperf_tests"])
def test_a_directory_named_like_the_package_is_the_users(name):
    from pathlib import Path

    import pytest_cdcperf

    path = Path(pytest_cdcperf.__file__).parent.with_name(name) / "test_user.py"
    code = compile("def body():\n    raise ValueError\n", str(path), "exec")
    namespace = {}
    exec(code, namespace)  # noqa: S102
    assert user_line(caught(namespace["body"]).__traceback__) == "test_user.py:2"


@pytest.mark.parametrize("place", ["site-packages", "dist-packages"])
def test_packages_of_another_installation_are_not_the_users(tmp_path, place):
    path = tmp_path / "lib" / place / "library.py"
    namespace = {}
    exec(compile("def call():\n    raise ValueError\n", str(path), "exec"), namespace)  # noqa: S102

    def body():
        namespace["call"]()

    assert user_line(caught(body).__traceback__) == line_of(body)


def test_the_kinds_of_several_workers_are_no_more_than_those_of_one():
    def worker(first):
        kinds = [FailureKind("ValueError", f"test_it.py:{line}", 2, "x") for line in range(first, first + MAX_KINDS)]
        return [*kinds, FailureKind("further kinds", f"beyond the {MAX_KINDS} shown", 5, "")]

    merged = merge_kinds([*worker(0), *worker(40)])
    assert len(merged) == MAX_KINDS + 1
    assert [kind.count for kind in merged] == [4] * 10 + [2] * (MAX_KINDS - 10) + [2 * 40 + 10]
    assert merged[-1].type == "further kinds"
    assert sum(kind.count for kind in merged) == 4 * MAX_KINDS + 10
    assert merge_kinds([]) == ()


def test_kinds_that_are_counted_together_keep_the_first_and_the_last_time():
    kinds = [FailureKind("E", f"a.py:{line}", 60 - line, "", 10.0 + line, 20.0 + line) for line in range(MAX_KINDS + 2)]
    assert (merge_kinds(kinds)[-1].first_s, merge_kinds(kinds)[-1].last_s) == (60.0, 71.0)


@pytest.mark.parametrize(
    ("type_", "sample", "error"),
    [
        ("ValueError", 'Traceback\n  File "x", line 1\n    raise\nValueError: number 0\n', "ValueError: number 0"),
        ("AssertionError", "Traceback\nAssertionError: 2 is 1\nassert 2 == 1\n", "AssertionError: 2 is 1"),
        ("Lost", "Traceback\nshop.errors.Lost: order 7\n", "Lost: order 7"),
        ("Lost", "", "Lost"),
        ("KeyError", "KeyError\n", "KeyError"),
        ("ValueError", f"ValueError: {'x' * 10_000}", f"ValueError: {'x' * 288}"),
    ],
)
def test_a_kind_says_in_a_line_what_was_raised(type_, sample, error):
    assert FailureKind(type_, "test_it.py:7", 1, sample).error == error


def test_the_most_frequent_kinds_are_said_in_a_line():
    kinds = merge_kinds([FailureKind("A", "a.py:1", 2, "A: first"), FailureKind("B", "b.py:2", 1200, "B: second")])
    assert kinds_in_words(kinds) == "B: second at b.py:2 (1,200), A: first at a.py:1 (2)"
    more = [FailureKind(name, "c.py:3", 1, "") for name in "CDEF"]
    assert kinds_in_words(more[:3]) == "C at c.py:3 (1), D at c.py:3 (1), E at c.py:3 (1)"
    assert kinds_in_words(more) == "C at c.py:3 (1), D at c.py:3 (1), E at c.py:3 (1) and 1 more kind"
    assert kinds_in_words([*kinds, *more]).endswith(", C at c.py:3 (1) and 3 more kinds")
    assert kinds_in_words(()) == ""

"""Both ends of an output of any length."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from _pytest.capture import CaptureIO

from pytest_cdcperf.plugin.output import KEPT_BYTES, bounded


@pytest.fixture
def stream():
    with CaptureIO() as stream:
        yield stream


def test_what_is_held_back_stays_bounded(stream):
    with bounded(stream):
        for _ in range(100):
            stream.write("x" * KEPT_BYTES)
            assert len(stream.write.__self__._tail) <= 2 * KEPT_BYTES
    text = stream.getvalue()
    assert f"[cdcperf: {98 * KEPT_BYTES} bytes left out:" in text
    assert text.count("x") == 2 * KEPT_BYTES


def test_the_order_is_kept(stream):
    with bounded(stream):
        for text in ("x" * (KEPT_BYTES - 1), "two", "1"):
            stream.write(text)
    assert stream.getvalue().endswith("xtwo1")


def test_a_text_longer_than_what_is_kept_is_cut(stream):
    with bounded(stream):
        stream.write("a" * KEPT_BYTES + "-" * 10 + "b" * KEPT_BYTES)
    head, between, tail = stream.getvalue().splitlines()
    assert (head, tail) == ("a" * KEPT_BYTES, "b" * KEPT_BYTES)
    assert between.startswith("[cdcperf: 10 bytes left out: ")


def test_what_is_kept_whole_is_not_changed(stream):
    text = "\N{SNOWMAN}" * (KEPT_BYTES // 2)  # three bytes each: the first part ends within one
    with bounded(stream):
        stream.write(text)
    assert stream.getvalue() == text


def test_who_finds_too_much_waits_for_its_turn(stream):
    asked = []

    def acquire(*, blocking):
        asked.append(blocking)

    with bounded(stream):
        ends = stream.write.__self__
        lock, ends._taking = ends._taking, SimpleNamespace(acquire=acquire)
        for number in range(1000):
            stream.write(f"{number}\n")
        ends._taking = lock
    assert asked == [False] * 999 + [True]
    assert stream.getvalue().split() == [str(number) for number in range(1000)]


def test_texts_that_the_stream_refuses_do_not_end_the_run(stream):
    with bounded(stream):
        stream.write("x" * KEPT_BYTES)
        stream.write("\ud800 no character")
        with pytest.raises(AttributeError):
            stream.write(b"bytes")
    assert stream.getvalue().endswith("? no character")


def test_the_streams_own_method_is_back_and_a_kept_one_writes_on(stream):
    with bounded(stream):
        kept = stream.write
        stream.write("x" * (KEPT_BYTES + 1))
    kept("still")
    stream.write("there")
    assert stream.getvalue().endswith("xstillthere")
    assert "write" not in vars(stream)


def test_threads_lose_nothing(stream):
    with bounded(stream), ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(stream.write, f"{number:9}\n")
    assert sorted(map(int, stream.getvalue().split())) == list(range(400))

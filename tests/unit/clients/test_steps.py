from __future__ import annotations

import asyncio

import pytest

from pytest_cdcperf.clients.steps import adrive, drive


class Driver:
    """Doubles numbers, and refuses negative ones: the driver of a sync client."""

    def __init__(self):
        self.closed = 0

    def double(self, number):
        if number < 0:
            raise ValueError("negative")
        return 2 * number

    def close(self):
        self.closed += 1


class AsyncDriver(Driver):
    async def double(self, number):
        await asyncio.sleep(0)
        return super().double(number)

    async def close(self):
        await asyncio.sleep(0)
        super().close()


def protocol(driver, number):
    try:
        doubled = yield driver.double(number)
        doubled = yield driver.double(doubled)
    except ValueError as error:
        return str(error)
    finally:
        yield driver.close()
    return doubled


def run(driver, number):
    steps = protocol(driver, number)
    return asyncio.run(adrive(steps)) if isinstance(driver, AsyncDriver) else drive(steps)


@pytest.fixture(params=[Driver, AsyncDriver])
def driver(request):
    return request.param()


def test_a_protocol_is_sent_the_answers_of_its_driver(driver):
    assert run(driver, 3) == 12
    assert driver.closed == 1


def test_a_protocol_may_handle_the_errors_of_its_driver(driver):
    assert run(driver, -1) == "negative"
    assert driver.closed == 1


def test_other_errors_reach_the_caller(driver):
    with pytest.raises(TypeError):
        run(driver, None)
    assert driver.closed == 1


def test_a_protocol_without_steps_returns_too():
    def nothing():
        yield from ()
        return 5

    assert drive(nothing()) == asyncio.run(adrive(nothing())) == 5


def test_a_cancelled_protocol_ends_as_a_coroutine_would():
    """It is told at its step, may still take steps to clean up, and the cancellation goes on."""
    driver = AsyncDriver()

    async def hang(_number):
        await asyncio.sleep(3600)

    driver.double = hang

    async def main():
        task = asyncio.ensure_future(adrive(protocol(driver, 1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert driver.closed == 1

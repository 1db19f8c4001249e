"""Runs a protocol that is written once for a sync and an async client.

The protocol is a generator that yields the answer of each call of a driver: of a sync driver the answer itself, of an
async one what is to be awaited for it. It is sent the answer, or thrown the error of the awaiting. So ``yield`` reads
as ``await`` does, and the two clients differ in the driver that they call and in :func:`drive` or :func:`adrive`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")
Steps = Generator[Any, Any, Result]


def drive(steps: Steps[Result]) -> Result:
    """Run the *steps* of a sync client; return what they return.

    >>> def greeting():
    ...     name = yield "Ada"
    ...     return f"Hello {name}"
    >>> drive(greeting())
    'Hello Ada'
    """
    try:
        answer = next(steps)
        while True:
            answer = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def adrive(steps: Steps[Result]) -> Result:
    """Run the *steps* of an async client, awaiting each; return what they return."""
    try:
        pending = next(steps)
        while True:
            try:
                answer = await pending
            except BaseException as error:  # noqa: BLE001  # as at an await: the protocol decides, also when cancelled
                pending = steps.throw(error)
            else:
                pending = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]

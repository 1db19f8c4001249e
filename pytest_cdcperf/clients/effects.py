"""Notes whether the statements of a block changed any row, for an expectation that waits for the change."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Self


class Effects:
    """Notes, inside its block, the statements of this flow of control. Blocks nest."""

    __slots__ = ("_outer", "_statements", "_void")

    def __init__(self) -> None:
        self._statements = 0
        self._void = 0

    @property
    def are_none(self) -> bool:
        """Whether there were statements, and none of them changed a row. What is done elsewhere is not known of."""
        return 0 < self._statements == self._void

    def __enter__(self) -> Self:
        self._outer = _current.get()
        _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _current.get() is self:  # not where the block is left in another context, as some async fixtures are
            _current.set(self._outer)


_current: ContextVar[Effects | None] = ContextVar("cdcperf_effects", default=None)


def note_statement(*, void: bool = False) -> None:
    """Note a statement, *void*: one that changed nothing for sure."""
    effects = _current.get()
    while effects is not None:
        effects._statements += 1  # noqa: SLF001  # of its own module
        effects._void += void  # noqa: SLF001
        effects = effects._outer  # noqa: SLF001

"""The form of a command of ``cdcperf``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One word after ``cdcperf``: *run* gets what *add_arguments* has asked for, and returns the exit code."""

    name: str
    summary: str
    add_arguments: Callable[[ArgumentParser], object]
    run: Callable[[Namespace], int]

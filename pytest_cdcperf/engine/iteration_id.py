"""Names one iteration of a run, so that it can be run again with the same random numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pytest_cdcperf.errors import ConfigError, shown

LONGEST_SEED = 64
SEED_ALLOWED = f"1 to {LONGEST_SEED} printable characters without blanks and ':'"
_ALLOWED = (
    "allowed: SEED:LOAD:VU:ITERATION, as the result shows it beside a failure, such as 8c41f0aa::17:203; "
    "LOAD is empty where the load has no name"
)


def is_seed(text: str) -> bool:
    """Whether *text* can be a seed."""
    return 0 < len(text) <= LONGEST_SEED and text.isprintable() and not re.search(r"[\s:]", text)


@dataclass(frozen=True)
class IterationId:
    """One iteration: the seed of its session, the name of its load, its VU and its number there.

    >>> IterationId.parse("8c41f0aa:readers:17:203")
    IterationId(seed='8c41f0aa', load='readers', vu=17, iteration=203)
    """

    seed: str
    load: str
    vu: int
    iteration: int

    def __str__(self) -> str:
        return f"{self.seed}:{self.load}:{self.vu}:{self.iteration}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the iteration that *text* names. A load's name may hold ':', a seed may not.

        :raises ConfigError: for any other text
        """
        found = re.fullmatch(r"([^:]*):(.*):([1-9]\d{0,8}):(\d{1,15})", text, re.ASCII | re.DOTALL)
        if found is None or not is_seed(found[1]):
            raise ConfigError(f"{shown(text)} is not a valid iteration; {_ALLOWED}")
        return cls(found[1], found[2], int(found[3]), int(found[4]))


@dataclass(frozen=True)
class RandomSource:
    """The source of the random numbers of a run, of which each iteration takes its own.

    Tests of one session write to the same servers, so the numbers depend on the *test* as well as on the *seed*, and on
    the *run* where a test has several.
    """

    seed: str = ""
    test: str = ""
    run: str = ""

    def load_name(self, load: str) -> str:
        """Return the name by which iterations name the *load* of this run: "run-1", "run-1/readers"."""
        return "/".join(filter(None, (self.run, load)))

    def state_of(self, iteration: IterationId) -> bytes:
        """Return what the generator is seeded with at the first number of *iteration*."""
        return f"{self.test}\n{iteration}".encode(errors="surrogatepass")


UNSEEDED = RandomSource()

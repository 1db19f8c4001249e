"""Says why ``-m`` or ``--perf-profile`` has chosen no perf test, of those that were collected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from pytest_cdcperf.errors import shown
from pytest_cdcperf.judging.names import alike
from pytest_cdcperf.load.builtin_profiles import spellings
from pytest_cdcperf.plugin.adoption import profiles_of
from pytest_cdcperf.plugin.hints import few
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.settings import Settings


def why_nothing_is_selected(
    collected: Sequence[PerfFunction], marks: Collection[str], expression: str, settings: Settings
) -> Iterator[str]:
    """Yield a line where none of the *collected* perf tests is what the command line asks for.

    :param marks: of all collected tests
    :param expression: that of ``-m``
    """
    for word in _unknown_words(expression, {*marks, *_marks_of_profiles(settings)}):
        if meant := alike(word, settings.profiles):
            yield f"-m: no test carries the mark {shown(word)}; did you mean the profile {meant[0]}?"
    tests = [item for item in collected if not item.marker.gate]
    if not tests or any(settings.asked & {*profiles_of(item, settings.profiles)} for item in tests):
        return
    if settings.asked:
        marked = " or ".join(f"@pytest.mark.{name}" for name in sorted(settings.asked))
        what = f"carries {marked}" + ", or states neither load nor profile" * settings.exclusive
        yield f"no perf test {what}; --perf-run runs {few([_described(item, settings) for item in tests])}"


def _unknown_words(expression: str, marks: Collection[str]) -> list[str]:
    words = re.findall(r"[\w-]+", expression)
    return [word for word in dict.fromkeys(words) if word not in marks and word not in {"and", "or", "not"}]


def _marks_of_profiles(settings: Settings) -> list[str]:
    return [mark for name in settings.profiles for mark in spellings(name)]


def _described(item: PerfFunction, settings: Settings) -> str:
    own = profiles_of(item, settings.profiles)
    return f"{item.name} ({own[0] if own else 'states its own load' if item.marker.states_a_load else 'no profile'})"

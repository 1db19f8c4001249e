"""Results as annotations of GitHub: a line for each failed test, which GitHub shows at the test in the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunResult

MOST = 10  # GitHub shows no more of one step
_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_ESCAPES_IN_PROPERTIES = {**_ESCAPES, ":": "%3A", ",": "%2C"}


def annotation_lines(results: Sequence[RunResult], path: Callable[[str], str]) -> list[str]:
    """Return a workflow command for each test of which a run did not pass, its reasons as the text, 10 at the most.

    :param path: returns the path of a test's file from the root of the repository, by the one from the root directory
    """
    failed: dict[str, RunResult] = {}
    for result in results:
        if result.verdict is not Verdict.PASSED:
            failed.setdefault(result.facts.location or result.facts.test, result)
    return [_command(result, path) for result in failed.values()][:MOST]


def _command(result: RunResult, path: Callable[[str], str]) -> str:
    view = RunView.of(result)
    properties = {"title": f"{view.verdict} {view.test}"}
    file, _, line = result.facts.location.rpartition(":")
    if file and line.isdecimal():
        properties = {"file": path(file), "line": line, **properties}
    said = ",".join(f"{name}={_escaped(value, _ESCAPES_IN_PROPERTIES)}" for name, value in properties.items())
    return f"::error {said}::{_escaped(chr(10).join(view.reasons), _ESCAPES)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)

"""Names options and limits that will have no effect on the tests under load, before they begin.

A body or a fixture may record what it likes under any name, so that none of it is an error yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pytest_cdcperf.errors import shown
from pytest_cdcperf.judging.names import alike, names_for
from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.metrics.metric import definition, definitions
from pytest_cdcperf.plugin.client_metrics import CLIENTS, client_of, tags_of
from pytest_cdcperf.plugin.fixtures_by_worker import set_up_by_each
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.printable import short_name

_MOST_HINTS, _MOST_TESTS = 10, 3


def hints(items: Sequence[PerfFunction], overrides: Overrides, workers: int = 1) -> list[str]:
    """Return a line for each option that changes nothing and each limit on what nothing records, with the tests.

    And for each fixture of theirs that all *workers* set up, though it may start what there should be once.
    """
    about: dict[str, list[str]] = {}
    for item in items:
        for name in set_up_by_each(item) if workers > 1 else ():
            hint = f"each of {workers} workers sets up {name} for itself; shared.once starts one for all"
            about.setdefault(hint, []).append(item.name)
        if not uses_load_fixture(item):  # else its loads and limits are not known yet
            idle = () if item.marker.gate else overrides.without_effect(item.spec.loads)
            for hint in (*idle, *_unknown_metrics(item), *_unknown_tags(item)):
                about.setdefault(hint, []).append(item.name)
    lines = [f"{hint}: {few(tests)}" for hint, tests in about.items()]
    more = [f"and {len(lines) - _MOST_HINTS} further lines of this kind"] if len(lines) > _MOST_HINTS else []
    return lines[:_MOST_HINTS] + more


def few(tests: Sequence[str]) -> str:
    """Return the names of *tests*, the first three of them, and how many more there are."""
    more = f" and {len(tests) - _MOST_TESTS} more" if len(tests) > _MOST_TESTS else ""
    return ", ".join(map(short_name, tests[:_MOST_TESTS])) + more


def _unknown_metrics(item: PerfFunction) -> Iterator[str]:
    """Yield a line for each limit on a metric that no client of the test records, and that nothing else defines."""
    recorded = _recorded_by_clients(item)
    judged = [*(t.metric for t in item.spec.thresholds), *(rule.metric for rule in item.spec.run_rules)]
    for name in dict.fromkeys(judged):
        # The metrics of a client are defined once its module is imported, by whichever test.
        if name not in recorded and (definition(name) is None or client_of(name) is not None):
            yield f"{_unknown(name, recorded)}; unless the test records it, its limit has no samples"


def _unknown(name: str, recorded: set[str]) -> str:
    client = client_of(name)
    if client is not None:
        return f"metric {name} is recorded by {client.fixture}, which no fixture of the test uses"
    close = alike(name, {*recorded, *(known.name for known in definitions())})
    return f"metric {shown(name)} is not known{f' (did you mean {close[0]}?)' if close else ''}"


def _unknown_tags(item: PerfFunction) -> Iterator[str]:
    """Yield a line for each limit with a tag, or a value of a tag, that samples of its metric do not have."""
    loads = item.spec.loads
    named = [name for name in loads if name]
    of_loads = {tag for load in loads.values() for tag in load.tags} | ({"scenario"} if named else set())
    for threshold in item.spec.thresholds:
        metric, tags = threshold.metric, tags_of(threshold.metric)
        for tag, value in threshold.tags:
            if tags is not None and tag not in {*tags, *of_loads}:
                there = {*tags, *of_loads}
                has = f"; there are {names_for(tag, there)}" if there else ", nor any other"
                yield f"no sample of {metric} has the tag {shown(tag)}{has}"
            elif tag == "scenario" and named and value not in named:
                yield f"{threshold.selector}: no load is called {shown(value)}; there are {names_for(value, named)}"
            elif tag == "name" and metric.startswith("http_req") and "://" in value:
                path = urlsplit(value).path or "/"
                yield f"the tag name of {metric} is a path; write name:{path}, or url:{value} for one host"


def _recorded_by_clients(item: PerfFunction) -> set[str]:
    used, any_of_them = {*item.fixturenames}, item.may_ask_for_any_fixture
    return {name for client in CLIENTS if any_of_them or used & {*client.private} for name in client.metrics}

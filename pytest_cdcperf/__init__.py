"""Load tests with a verdict from ordinary pytest tests. Here are the public names, nothing else.

They are loaded at first use: the plugin is imported in every pytest session of an environment, most of
which have no perf test.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_cdcperf.engine.body import check, group, think
    from pytest_cdcperf.engine.mix import Mix
    from pytest_cdcperf.engine.vu import VU
    from pytest_cdcperf.errors import CdcperfError, ConfigError, ExpectationError
    from pytest_cdcperf.judging.rules.drift import Drift
    from pytest_cdcperf.judging.rules.recovery import Recovery
    from pytest_cdcperf.judging.threshold import Limit
    from pytest_cdcperf.judging.verdict import Verdict
    from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
    from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
    from pytest_cdcperf.metrics.recorder import Counter, Gauge, Rate, Trend
    from pytest_cdcperf.metrics.snapshot import GaugeMerge
    from pytest_cdcperf.plugin.marker import perf
    from pytest_cdcperf.results.result import RunResult

_HOMES = {
    "Mix": "engine.mix",
    "VU": "engine.vu",
    "check": "engine.body",
    "group": "engine.body",
    "think": "engine.body",
    "CdcperfError": "errors",
    "ConfigError": "errors",
    "ExpectationError": "errors",
    "Counter": "metrics.recorder",
    "Gauge": "metrics.recorder",
    "Rate": "metrics.recorder",
    "Trend": "metrics.recorder",
    "GaugeMerge": "metrics.snapshot",
    "Verdict": "judging.verdict",
    "ConstantVUs": "load.closed",
    "PerVUIterations": "load.closed",
    "ConstantArrivalRate": "load.open",
    "RampingArrivalRate": "load.open",
    "RampingVUs": "load.closed",
    "SharedIterations": "load.closed",
    "Limit": "judging.threshold",
    "Recovery": "judging.rules.recovery",
    "Drift": "judging.rules.drift",
    "perf": "plugin.marker",
    "RunResult": "results.result",
}

__all__ = [
    "VU",
    "CdcperfError",
    "ConfigError",
    "ConstantArrivalRate",
    "ConstantVUs",
    "Counter",
    "Drift",
    "ExpectationError",
    "Gauge",
    "GaugeMerge",
    "Limit",
    "Mix",
    "PerVUIterations",
    "RampingArrivalRate",
    "RampingVUs",
    "Rate",
    "Recovery",
    "RunResult",
    "SharedIterations",
    "Trend",
    "Verdict",
    "check",
    "group",
    "perf",
    "think",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.worker_delay import WorkerDelay
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from tests.unit.metrics.windows import window


def test_what_was_lost_is_told_by_phase_and_over_the_run():
    worker = WorkerDelay("gw0")
    worker.add(window(0, generator_lost_s=0.4), {"ramp-up"}, DelayEvidence(span_s=1.0, late_s=0.4))
    worker.add(window(1, generator_lost_s=0.2), {"hold", "ramp-down"}, DelayEvidence(span_s=1.0, late_s=0.2))
    worker.add(window(2), {"hold"})
    worker.add(window(3))
    assert [worker.lost(phase) for phase in ("", "ramp-up", "hold", "ramp-down")] == [
        pytest.approx(0.15),
        pytest.approx(0.4),
        pytest.approx(0.1),
        pytest.approx(0.2),
    ]
    assert worker.evidence().late_s == pytest.approx(0.6)
    assert worker.evidence("hold").span_s == 1.0
    assert worker.evidence("ramp-down").late_s == pytest.approx(0.2)
    assert worker.evidence("other").late_s == worker.lost("other") == 0.0


def test_a_run_of_an_instant_counts_as_a_second():
    worker = WorkerDelay("gw0")
    worker.add(window(0, seconds=0.05, generator_lost_s=0.03))
    assert worker.lost() == pytest.approx(0.03)


def test_figures_of_the_run():
    worker = WorkerDelay("gw0")
    assert (worker.own_ms("p(95)"), worker.lag_p99_ms()) == (None, None)
    worker.add(window(0, ms=[2.0] * 50, metric="generator_delay"))
    worker.add(window(1, ms=[7.0] * 50, metric="generator_lag"))
    assert worker.own_ms("p(95)") == pytest.approx(7.0)
    assert worker.own_ms("max") == 7.0
    assert worker.lag_p99_ms() == pytest.approx(7.0)

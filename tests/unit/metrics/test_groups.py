from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.groups import in_order
from pytest_cdcperf.metrics.metric import (
    Counter,
    Definition,
    Gauge,
    GaugeMerge,
    Kind,
    Trend,
    define,
    definitions,
    group_of,
)


def test_a_metric_is_in_the_group_that_its_definition_names():
    Trend("t_groups_own", group="billing")
    Gauge("t_groups_gauge", group="HTTP")
    Counter("t_groups_none")
    Counter("t_groups_empty", group="")
    names = ("t_groups_own", "t_groups_gauge", "t_groups_none", "t_groups_empty", "t_groups_unknown")
    assert [group_of(name) for name in names] == ["billing", "HTTP", "other", "other", "other"]
    assert group_of(builtin.VUS.name) == "execution"


def test_the_group_goes_with_the_definition_to_another_process():
    Trend("t_groups_here", unit="km", group="trips")
    assert Definition("t_groups_here", Kind.TREND, "km", GaugeMerge.LAST, "trips") in definitions()
    define(Definition("t_groups_far", Kind.GAUGE, "km", GaugeMerge.SUM, "trips"))
    define(Definition("t_groups_far_rate", Kind.RATE, "", GaugeMerge.LAST, "trips"))
    assert [group_of(name) for name in ("t_groups_far", "t_groups_far_rate")] == ["trips", "trips"]


def test_a_group_is_a_text():
    with pytest.raises(ConfigError, match=r"metric 't_groups_bad': group=5; allowed: a text, such as 'HTTP'"):
        Trend("t_groups_bad", group=5)


def test_groups_are_shown_in_one_order_with_those_of_a_project_before_the_rest():
    groups = ["other", "billing", "execution", "accounts", "gRPC", "change data capture", "billing"]
    assert in_order(groups) == ["change data capture", "gRPC", "execution", "accounts", "billing", "other"]

"""The environment variables of api_load and of its services."""

from __future__ import annotations

import pytest

from tests_perf.services.targets import SERVICES, Targets, targets_of, variable_of


def test_without_a_word_it_is_ten_users_on_the_first_service_for_a_minute() -> None:
    assert targets_of({}) == Targets(("product-service",), vus=10, duration_s=60)


def test_each_name_is_itself_and_all_services_is_all() -> None:
    assert [targets_of({"TARGET_SERVICE": name}).services for name in SERVICES] == [(name,) for name in SERVICES]
    assert targets_of({"TARGET_SERVICE": "all-services"}).services == SERVICES
    assert variable_of("analytics-service") == "ANALYTICS_SERVICE_URL"


def test_what_cannot_be_used_is_said_with_what_is_allowed_all_at_once() -> None:
    faults = targets_of({"TARGET_SERVICE": "cart", "TARGET_VUS": "0", "DURATION": "5m"}).faults
    assert faults == (
        "TARGET_SERVICE=cart; allowed: product-service, user-service, checkout-service, analytics-service, "
        "all-services",
        "TARGET_VUS=0; allowed: a number of virtual users, such as 10",
        "DURATION=5m; allowed: a number of seconds, such as 60",
    )


@pytest.mark.parametrize("text", ["-1", "1.5", "٣", "ten"])
def test_a_count_is_written_in_digits(text: str) -> None:
    assert len(targets_of({"TARGET_VUS": text}).faults) == 1

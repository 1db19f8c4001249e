"""The environment variables of the four services and of api_load: TARGET_SERVICE, TARGET_VUS, DURATION."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SERVICES = ("product-service", "user-service", "checkout-service", "analytics-service")
ALL_SERVICES = "all-services"


@dataclass(frozen=True)
class Targets:
    """Whom api_load asks, with how many users, for how long. *faults*: what it was told and cannot use.

    They are for the test to refuse: other programs read variables of these names too, so a value that is
    strange to us must not stop the other scenarios.
    """

    services: tuple[str, ...]
    vus: int
    duration_s: int
    faults: tuple[str, ...] = ()


def targets_of(environ: Mapping[str, str]) -> Targets:
    """Read TARGET_SERVICE (product-service), TARGET_VUS (10) and DURATION (60 seconds)."""
    faults: list[str] = []

    def count(name: str, default: int, what: str) -> int:
        text = environ.get(name) or str(default)
        if text.isascii() and text.isdigit() and int(text) > 0:
            return int(text)
        faults.append(f"{name}={text}; allowed: a number of {what}, such as {default}")
        return default

    name = environ.get("TARGET_SERVICE") or SERVICES[0]
    if name not in (*SERVICES, ALL_SERVICES):
        faults.append(f"TARGET_SERVICE={name}; allowed: {', '.join(SERVICES)}, {ALL_SERVICES}")
    return Targets(
        services=SERVICES if name == ALL_SERVICES else (name,),
        vus=count("TARGET_VUS", 10, "virtual users"),
        duration_s=count("DURATION", 60, "seconds"),
        faults=tuple(faults),
    )


def variable_of(service: str) -> str:
    """Return the name of the variable that says where *service* is: product-service, PRODUCT_SERVICE_URL."""
    return f"{service.replace('-', '_').upper()}_URL"

"""What of others is in the page: exactly what they published."""

import hashlib
from importlib.resources import files

import pytest

from pytest_cdcperf.reporting.html.assets import asset

UPLOT_1_6_32 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.mark.parametrize("name", UPLOT_1_6_32)
def test_the_files_of_uplot_are_those_of_npm(name):
    found = files("pytest_cdcperf.reporting.html").joinpath("vendor", name).read_bytes()
    assert hashlib.sha256(found).hexdigest() == UPLOT_1_6_32[name]


def test_our_script_is_small_and_nothing_in_scripts_ends_their_element():
    assert len(asset("script.js").encode()) < 15_000
    for name in ("script.js", "vendor/uPlot.iife.min.js"):
        assert "</script" not in asset(name).lower()
    assert "</style" not in asset("style.css", "vendor/uPlot.min.css").lower()

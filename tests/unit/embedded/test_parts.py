"""What a log's last words are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cdcperf.embedded.parts import last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "no word in its log"),
        ("first\nlast\n\n", "last"),
        ("LOG:  starting\nFATAL:  no   memory\nLOG:  database system is shut down\n", "FATAL: no memory"),
        ("Traceback (most recent call last):\n  x\nImportError: no module\n", "ImportError: no module"),
        ("io.debezium.DebeziumException: lost\n\tat io.debezium.X\n", "io.debezium.DebeziumException: lost"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_last_line_that_complains_or_else_the_last(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "part.log").write_text(log)
    assert last_words(tmp_path / "part.log") == words


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert last_words(tmp_path / "none.log").startswith("no log: ")

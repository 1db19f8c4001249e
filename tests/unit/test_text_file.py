"""Reading a text file, and the message for a file that is not text."""

from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.text_file import read_text


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_utf_8_is_read_with_its_line_ends(tmp_path, mark):
    (tmp_path / "x").write_bytes(mark + "Zürich\r\n\ufeff".encode())
    assert read_text(tmp_path / "x") == "Zürich\r\n\ufeff"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("one\ntwo\nZürich\n".encode("cp1252"), "line 3: the byte 0xfc is not UTF-8; save the file as UTF-8"),
        ("CREATE".encode("utf-16"), "is UTF-16, as PowerShell's > writes it; save it as UTF-8"),
    ],
)
def test_another_encoding_is_named_with_its_line(tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_text(tmp_path / "x")
    assert str(caught.value) == words


def test_what_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot be read: Is a directory$"):
        read_text(tmp_path)

"""Text files of the user's: in UTF-8, with or without a byte order mark."""

from __future__ import annotations

from pathlib import Path

from pytest_cdcperf.errors import ConfigError

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path) -> str:
    """Return the text of *path*.

    :raises ConfigError: where it cannot be read or is not UTF-8, with the line
    """
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        if content.startswith(_UTF_16):
            raise ConfigError("is UTF-16, as PowerShell's > writes it; save it as UTF-8") from None
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None

"""A user without a name is lent one for initdb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_cdcperf.embedded import nameless

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such users")
NOBODY = 3_999_999_999


@pytest.fixture
def uid(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    return NOBODY


def test_a_user_with_an_entry_has_a_name(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not nameless.is_nameless()


def test_a_user_without_an_entry_has_none(uid):
    assert nameless.is_nameless()


def test_libnss_wrapper_is_used_where_it_is_installed(uid, monkeypatch, tmp_path):
    (tmp_path / "libnss_wrapper.so").touch()
    monkeypatch.setattr(nameless, "_WRAPPERS", (str(tmp_path / "libnss_*.so")[1:],))
    monkeypatch.setenv("LD_PRELOAD", "/theirs.so")
    with nameless.named(["initdb", "-D", "data"], tmp_path) as (command, environment):
        assert command == ["initdb", "-D", "data"]
        assert environment["LD_PRELOAD"] == f"{tmp_path}/libnss_wrapper.so /theirs.so"
        entry = Path(environment["NSS_WRAPPER_PASSWD"]).read_text()
        assert entry.split(":")[:3] == ["postgres", "x", str(uid)]
        assert Path(environment["NSS_WRAPPER_GROUP"]).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["libnss_wrapper.so"]


@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux'")
def test_without_it_the_command_runs_as_somebody_who_has_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr(nameless, "_WRAPPERS", ())
    asked = [sys.executable, "-c", "import os, pwd; print(pwd.getpwuid(os.geteuid()).pw_uid)"]
    with nameless.named(asked, tmp_path) as (command, environment):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "no user namespace" in done.stderr:
        pytest.skip(done.stderr)
    assert int(done.stdout) == nameless._somebody() != 0

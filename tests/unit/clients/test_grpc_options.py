from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_cdcperf.clients.grpc import GrpcClient
from pytest_cdcperf.clients.grpc_options import GrpcOptions
from pytest_cdcperf.errors import ConfigError


def test_a_client_of_the_same_options_is_the_same_client(tmp_path):
    client = GrpcClient(tmp_path)
    one = client.with_options(address="a:1", metadata={"Key": "v"}, timeout="2s")
    assert one is not client
    assert client.with_options(address="a:1").with_options(metadata=[("key", "v")], timeout=2) is one
    assert one.aio is client.aio.with_options(address="a:1", metadata={"key": "v"}, timeout=2.0)
    assert client.with_options() is client


def test_options_are_kept_but_for_those_that_change(tmp_path):
    changed = GrpcOptions(address="a:1", timeout=3.0).changed(tmp_path, {"metadata": {"K": "v"}})
    assert changed == GrpcOptions(address="a:1", timeout=3.0, metadata=(("k", "v"),))
    assert GrpcOptions().timeout == 60


def test_certificates_are_read_below_the_root_and_mean_tls(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"PEM")
    changed = GrpcOptions().changed(tmp_path, {"root_certificates": "ca.pem"})
    assert (changed.tls, changed.root_certificates) == (True, b"PEM")
    assert GrpcOptions().credentials is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"adress": "a:1"}, "no option adress; allowed: address, tls"),
        ({"address": "http://a:1"}, "is a URL; write 'host:port'"),
        ({"timeout": "soon"}, "'soon' is no duration"),
        ({"connections": "many"}, "allowed: 'per_vu', 'shared'"),
        ({"root_certificates": "nix.pem"}, "nix.pem' cannot be read: No such file"),
    ],
)
def test_what_cannot_be_meant_is_one_line(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words) as caught:
        GrpcOptions().changed(tmp_path, settings)
    assert "\n" not in str(caught.value)


def test_without_an_address_nothing_is_made(tmp_path):
    for make in (lambda client: client.service("a.B"), lambda client: client.stub(object)):
        with pytest.raises(ConfigError, match=r"no address; give address='host:port'"):
            make(GrpcClient(tmp_path))


def test_the_driver_s_settings_leave_the_environment_as_it_was():
    script = "import os; was = dict(os.environ); import pytest_cdcperf.clients.grpc; assert dict(os.environ) == was"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("module", "named"), [("google.protobuf", "protobuf"), ("grpc_tools", "grpc_tools")])
def test_a_missing_extra_is_one_line_with_what_to_install(tmp_path, module, named):
    (tmp_path / "a.proto").write_text("")
    script = (
        f"import sys; sys.modules[{module!r}] = None; from pathlib import Path\n"
        "from pytest_cdcperf.clients.grpc import GrpcClient; from pytest_cdcperf.errors import MissingExtraError\n"
        f"try: GrpcClient(Path({str(tmp_path)!r})).service('a.B', proto='a.proto', address='a:1')\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"needs the package {named!r}" in done.stdout, done.stderr
    assert "pip install 'pytest-cdcperf[grpc]'" in done.stdout

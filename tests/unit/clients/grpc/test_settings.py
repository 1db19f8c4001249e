from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.clients.grpc.settings import GrpcSettings
from pytest_cdcperf.errors import ConfigError


def test_a_client_of_the_same_options_is_the_same_client(tmp_path):
    client = GrpcClient(tmp_path)
    one = client.with_options(address="a:1", metadata={"Key": "v"}, timeout="2s")
    assert one is not client
    assert client.with_options(address="a:1").with_options(metadata=[("key", "v")], timeout=2) is one
    assert one.aio is client.aio.with_options(address="a:1", metadata={"key": "v"}, timeout=2.0)
    assert client.with_options() is client


def test_options_are_kept_but_for_those_that_change(tmp_path):
    changed = GrpcSettings(address="a:1", timeout=3.0).changed(tmp_path, {"metadata": {"K": "v"}})
    assert changed == GrpcSettings(address="a:1", timeout=3.0, metadata=(("k", "v"),))
    assert GrpcSettings().timeout == 60


def test_options_of_the_user_s_own_win_and_bring_back_the_whole_stack(tmp_path):
    assert dict(GrpcSettings().channel_arguments)["grpc.minimal_stack"] == 1
    changed = GrpcSettings().changed(tmp_path, {"channel_options": {"grpc.enable_retries": 1}})
    arguments = dict(changed.channel_arguments)
    assert (arguments["grpc.minimal_stack"], arguments["grpc.enable_retries"]) == (0, 1)
    assert len(arguments) == len(changed.channel_arguments)


def test_certificates_are_read_below_the_root_and_mean_tls(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"PEM")
    changed = GrpcSettings().changed(tmp_path, {"root_certificates": "ca.pem"})
    assert (changed.tls, changed.root_certificates) == (True, b"PEM")
    assert GrpcSettings().credentials is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"adress": "a:1"}, "no option adress; allowed: address, tls"),
        ({"address": "http://a:1"}, "is a URL; write 'host:port'"),
        ({"timeout": "soon"}, "timeout='soon' is not a valid duration"),
        ({"connections": "many"}, "allowed: 'per_vu', 'shared'"),
        ({"root_certificates": "nix.pem"}, "nix.pem' cannot be read: No such file"),
        ({"root_certificates": 5}, "root_certificates is of type int; allowed: PEM as bytes, or the path of a file"),
        ({"private_key": "a\0b"}, "cannot be read: embedded null byte"),
        ({"address": 5}, "address 5 is not a valid address; allowed: text, 'host:port'"),
        ({"address": "a\ud800:1"}, "is not a valid address"),
        ({"tls": "yes"}, "tls='yes'; allowed: True or False"),
        (
            {"timeout": -1},
            "timeout=-1 is not a valid duration; allowed: seconds of at least 0, or a ",
        ),
        ({"timeout": 0}, "timeout=0; allowed: a duration above zero"),
        ({"timeout": "0s"}, "timeout='0s'; allowed: a duration above zero"),
        ({"timeout": float("inf")}, "timeout=inf is too long; allowed: at most 30d"),
        ({"timeout": float("nan")}, "timeout=nan is not a valid duration"),
        ({"timeout": [1]}, r"\[1\] is not a valid duration"),
        ({"connections": 5}, "connections=5; allowed: 'per_vu', 'shared'"),
        ({"connections": []}, r"connections=\[\]"),
        ({"metadata": 5}, "metadata of type int is not valid metadata; allowed: a mapping, or pairs"),
        ({"metadata": ["token"]}, "metadata of type list is not valid metadata; allowed: a mapping, or pairs"),
        ({"metadata": {5: "x"}}, "metadata of type dict is not valid metadata"),
        ({"metadata": {b"a": "x"}}, "metadata name b'a' cannot be sent; allowed: letters, digits"),
        ({"metadata": {"a b": "x"}}, "metadata name 'a b' cannot be sent; allowed: letters, digits"),
        ({"metadata": {"a": 5}}, "metadata 'a' is of type int; allowed: text"),
        ({"metadata": {"a": "x\n"}}, "metadata 'a' holds other than printable ASCII; name it a-bin"),
        ({"metadata": {"a": b"\xff"}}, "metadata 'a' holds other than printable ASCII; name it a-bin"),
        ({"metadata": {"a-bin": "x"}}, "metadata 'a-bin' is of type str; allowed: bytes"),
        ({"channel_options": 5}, "channel_options 5 are not options; allowed: gRPC's names"),
        ({"channel_options": {5: 1}}, "channel_options 5: 1 is not an option; allowed: gRPC's names"),
        ({"channel_options": {"grpc.x": None}}, "channel_options 'grpc.x': None is not an option; allowed"),
    ],
)
def test_an_invalid_option_is_one_line(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words) as caught:
        GrpcSettings().changed(tmp_path, settings)
    assert "\n" not in str(caught.value)


def test_without_an_address_nothing_is_made(tmp_path):
    for make in (lambda client: client.service("a.B"), lambda client: client.stub(object)):
        with pytest.raises(ConfigError, match=r"no address; give address='host:port'"):
            make(GrpcClient(tmp_path))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (5, {}),
        ([], {}),
        ("a.B", {"proto": 5}),
        ("a.B", {"proto": []}),
        ("a.B", {"proto_path": 5}),
        ("a.B", {"proto": "a.proto", "proto_path": [5]}),
    ],
)
def test_an_invalid_service_is_one_line(tmp_path, name, more):
    with pytest.raises(ConfigError) as caught:
        GrpcClient(tmp_path).with_options(address="a:1").service(name, **more)
    assert str(caught.value).startswith(f"grpc_client.service({name!r}, proto=")
    assert str(caught.value).endswith("allowed: 'package.Service', the path of a .proto file, and directories")


def test_a_stub_that_is_not_a_class_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"grpc_client.stub\(5\): allowed: a generated class"):
        GrpcClient(tmp_path).with_options(address="a:1").stub(5)


def test_the_driver_s_settings_leave_the_environment_as_it_was():
    script = (
        "import os; was = dict(os.environ); import pytest_cdcperf.clients.grpc.client; assert dict(os.environ) == was"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("module", "named"), [("google.protobuf", "protobuf"), ("grpc_tools", "grpc_tools")])
def test_a_missing_extra_is_one_line_with_what_to_install(tmp_path, module, named):
    if module != "google.protobuf":
        pytest.importorskip("google.protobuf", reason="needs the extra grpc, less one package")
    (tmp_path / "a.proto").write_text("")
    script = (
        f"import sys; sys.modules[{module!r}] = None; from pathlib import Path\n"
        "from pytest_cdcperf.clients.grpc.client import GrpcClient\n"
        "from pytest_cdcperf.errors import MissingExtraError\n"
        f"try: GrpcClient(Path({str(tmp_path)!r})).service('a.B', proto='a.proto', address='a:1')\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"needs the package {named!r}" in done.stdout, done.stderr
    assert "pip install 'pytest-cdcperf[grpc]'" in done.stdout

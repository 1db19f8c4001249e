from __future__ import annotations

import subprocess

import pytest

from pytest_cdcperf.clients.grpc.descriptors import Protos
from pytest_cdcperf.errors import ConfigError

ADDER = 'syntax = "proto3"; package lab; import "google/protobuf/timestamp.proto"; IMPORT'
ADDER += " service Adder { rpc Add (Pair) returns (Pair); rpc Many (stream Pair) returns (stream Pair); }"
ADDER += " message Pair { int32 x = 1; google.protobuf.Timestamp at = 2; }"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "adder.proto").write_text(ADDER.replace("IMPORT", ""))
    return tmp_path


def test_methods_have_their_paths_kinds_and_messages(root):
    methods = Protos(root).load("protos/adder.proto").methods("lab.Adder")
    assert list(methods) == ["Add", "Many"]
    add, many = methods["Add"], methods["Many"]
    assert add.path == "/lab.Adder/Add"
    assert (add.client_streaming, add.server_streaming) == (False, False)
    assert (many.client_streaming, many.server_streaming) == (True, True)
    message = add.request(x=3, at={"seconds": 5})
    assert add.deserialize(add.serialize(message)) == message


def test_two_protos_of_one_name_do_not_meet(root, tmp_path):
    (tmp_path / "other").mkdir()
    other = 'syntax = "proto3"; package lab; service Adder { rpc Sub (Pair) returns (Pair); }'
    other += " message Pair { string s = 1; }"
    (tmp_path / "other" / "adder.proto").write_text(other)
    protos = Protos(root)
    first, second = (protos.load(f"{place}/adder.proto").methods("lab.Adder") for place in ("protos", "other"))
    assert first["Add"].request(x=1).x == 1
    assert second["Sub"].request(s="one").s == "one"


def test_a_file_is_compiled_once_and_a_fault_is_kept_too(root, monkeypatch):
    (root / "broken.proto").write_text("syntax = 'proto3';\nmessage {")
    protos, runs, run = Protos(root), [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: runs.append(args) or run(*args, **more))
    assert protos.load("protos/adder.proto") is protos.load("protos/adder.proto")
    for _ in range(2):
        with pytest.raises(
            ConfigError, match=r"broken\.proto cannot be compiled: .*:2:9: Expected message name"
        ) as caught:
            protos.load("broken.proto")
        assert "\n" not in str(caught.value)
    assert len(runs) == 2


def test_imports_are_looked_up_beside_the_file_in_the_root_and_in_proto_path(root):
    (root / "shared").mkdir()
    (root / "shared" / "unit.proto").write_text('syntax = "proto3"; package lab; message Unit { int32 n = 1; }')
    for name, imported, path in (
        ("rooted", "shared/unit.proto", ()),
        ("named", "unit.proto", ("shared",)),
        ("both", "unit.proto", ("protos", "shared")),
    ):
        (root / "protos" / f"{name}.proto").write_text(ADDER.replace("IMPORT", f'import "{imported}";'))
        file = f"{name}.proto" if name == "both" else str(root / "protos" / f"{name}.proto")
        assert "Add" in Protos(root).load(file, path).methods("lab.Adder")
    with pytest.raises(ConfigError, match=r"cannot be compiled: .*unit\.proto"):
        Protos(root).load("protos/both.proto")


def test_modules_beside_the_tests_are_not_the_compilers(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", str(root))
    for name in ("types", "logging", "enum", "re", "google"):
        (root / f"{name}.py").write_text("raise ImportError('a module beside a test was imported')")
    assert "Add" in Protos(root).load("protos/adder.proto").methods("lab.Adder")


def test_a_missing_file_is_said_with_the_directories(root):
    with pytest.raises(ConfigError) as caught:
        Protos(root).load("nix.proto")
    assert str(caught.value) == (f"proto file 'nix.proto' is not there; searched: {root}; name others with proto_path=")
    with pytest.raises(ConfigError, match=rf"searched: {root}/a, {root}/b;"):
        Protos(root).load("nix.proto", ["a", "b"])


def test_an_unknown_service_is_said_with_those_that_there_are(root):
    with pytest.raises(ConfigError, match=r"adder\.proto has no service 'lab\.Nix'; it has: lab\.Adder$"):
        Protos(root).load("protos/adder.proto").methods("lab.Nix")

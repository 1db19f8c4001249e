"""Requests as files for k6, ghz and grpcurl hold them, and as Python writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pytest_cdcperf.clients.grpc.descriptors import Protos
from pytest_cdcperf.clients.grpc.json import message_from
from pytest_cdcperf.clients.grpc.methods import GrpcMethod
from pytest_cdcperf.errors import ConfigError

FORMS = """
syntax = "proto3";
package forms;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Size { SMALL = 0; LARGE = 1; }
message Part { int64 big = 1; bytes raw = 2; }
message Order {
  int64 big = 1;
  bytes raw = 2;
  int32 user_id = 3;
  google.protobuf.Timestamp at = 4;
  google.protobuf.Duration took = 5;
  google.protobuf.Struct free = 6;
  google.protobuf.StringValue note = 7;
  google.protobuf.FieldMask mask = 8;
  double ratio = 9;
  Size size = 10;
  repeated Part parts = 11;
  google.protobuf.Any any = 12;
  google.protobuf.Value value = 13;
  map<int32, Part> by_number = 14;
  google.protobuf.Int64Value count = 15;
  int32 timeout = 16;
  string metadata = 17;
}
service Forms { rpc Send (Order) returns (Order); }
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    directory = tmp_path_factory.mktemp("forms")
    (directory / "forms.proto").write_text(FORMS)
    return Protos(directory).load("forms.proto").methods("forms.Forms")["Send"]


@pytest.fixture
def method(spec):
    return GrpcMethod(SimpleNamespace(settings=SimpleNamespace(timeout=60, metadata=())), spec)


@pytest.mark.parametrize(
    ("as_json", "as_python"),
    [
        ({"big": "9007199254740993"}, {"big": 9007199254740993}),
        ({"raw": "aGVsbG8="}, {"raw": b"hello"}),
        ({"userId": 3}, {"user_id": 3}),
        ({"userId": 3.0}, {"user_id": 3}),
        ({"at": "2026-01-02T03:04:05.5Z"}, {"at": datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)}),
        ({"at": "2026-01-02T04:04:05+01:00"}, {"at": {"seconds": 1767323045}}),
        ({"took": "1.5s"}, {"took": timedelta(seconds=1.5)}),
        ({"free": {"a": [1, None, "x"]}}, {"free": {"a": [1, None, "x"]}}),
        ({"note": "n"}, {"note": {"value": "n"}}),
        ({"count": "5"}, {"count": {"value": 5}}),
        ({"mask": "a,bC"}, {"mask": {"paths": ["a", "b_c"]}}),
        ({"ratio": "NaN"}, {"ratio": float("nan")}),
        ({"size": "LARGE"}, {"size": 1}),
        ({"parts": [{"big": "1", "raw": "AA=="}]}, {"parts": [{"big": 1, "raw": b"\0"}]}),
        ({"byNumber": {"7": {"big": "1"}}}, {"by_number": {7: {"big": 1}}}),
        ({"value": 5}, {"value": {"number_value": 5}}),
        ({"note": None, "userId": None}, {}),
        # both in one
        (
            {"userId": 3, "at": {"seconds": 5}, "took": timedelta(seconds=1), "raw": b"\xff", "parts": ({"big": "1"},)},
            {"user_id": 3, "at": {"seconds": 5}, "took": {"seconds": 1}, "raw": b"\xff", "parts": [{"big": 1}]},
        ),
        ({"parts": [{"big": "1", "raw": b"\xff\xfe"}]}, {"parts": [{"big": 1, "raw": b"\xff\xfe"}]}),
    ],
    ids=lambda form: next(iter(form), ""),
)
def test_a_field_may_be_as_json_or_as_python_has_it(spec, method, as_json, as_python):
    wanted = spec.request(**as_python).SerializeToString(deterministic=True)
    assert method.message(as_json, {}).SerializeToString(deterministic=True) == wanted
    assert method.message(None, as_json).SerializeToString(deterministic=True) == wanted
    assert message_from(spec.request, as_python).SerializeToString(deterministic=True) == wanted


def test_any_message_of_the_files_may_be_in_an_any(method):
    sent = method.message({"any": {"@type": "type.googleapis.com/forms.Part", "big": "5"}}, {})
    assert sent.any.type_url == "type.googleapis.com/forms.Part"
    assert sent.any.value == b"\x08\x05"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nix": 1}, r"forms\.Order: nix=1: no field 'nix'; its fields: big, raw, user_id, "),
        ({"userId": "three"}, r"forms\.Order: userId='three': .*'three'"),
        ({"parts": [{"raw": "abcde"}]}, r"forms\.Order: parts=\[\{'raw': 'abcde'\}\]: .*parts field.*raw field"),
        ({"parts": [{"nix": 1}]}, r"forms\.Order: parts=.*has no field named \"nix\""),
        ({"user_id": 2**40}, r"forms\.Order: user_id=1099511627776: Value out of range"),
        ({"size": "HUGE"}, r"forms\.Order: size='HUGE': unknown enum label"),
        ({"at": "yesterday"}, r"forms\.Order: at='yesterday': .*"),
        ({1: 2}, r"forms\.Order: "),
        ({"raw": object()}, r"forms\.Order: raw=<object "),
    ],
    ids=lambda given: str(given)[:30] if isinstance(given, dict) else "",
)
def test_what_has_neither_form_is_refused_in_one_line_with_the_field(method, given, words):
    with pytest.raises(ConfigError, match=f"^{words}") as caught:
        method.message(given, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["timeout", "metadata"])
def test_an_option_that_is_a_field_as_well_is_refused_where_it_could_be_either(method, name):
    options = {"timeout": None, "metadata": None, name: "5s"}
    with pytest.raises(
        ConfigError, match=rf"forms\.Forms/Send>: {name}= is an option of the call, and its request has"
    ):
        method.request(None, {"user_id": 3}, **options)
    sent = method.request({"user_id": 3, "timeout": 7}, {}, **options)
    assert (sent.user_id, sent.timeout) == (3, 7)
    assert method.request(None, {"user_id": 3}, timeout=None, metadata=None).user_id == 3

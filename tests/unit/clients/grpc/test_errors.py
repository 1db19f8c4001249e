from __future__ import annotations

import subprocess
import sys

import grpc
import pytest

from pytest_cdcperf import errors
from pytest_cdcperf.clients.grpc.errors import error_of, new_error


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_each_status_has_a_class_that_is_the_driver_s_error_as_well(code):
    error = new_error("/shop.Orders/Get", code, "too\nbad")
    assert isinstance(error, getattr(errors, type(error).__name__))
    assert isinstance(error, grpc.RpcError)
    assert type(error).__name__.lower() == f"grpc{code.name.replace('_', '').lower()}error"
    assert str(error) == f"shop.Orders/Get: {code.name}: too bad"
    assert (error.code(), error.details()) == (code, "too\nbad")


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        ("DNS resolution failed for nowhere:1", errors.GrpcDNSError),
        ("failed to connect to all addresses; SSL_ERROR_SSL", errors.GrpcTLSError),
        ("connect: Connection refused (111)", errors.GrpcConnectionRefusedError),
        ("recvmsg: Connection reset by peer", errors.GrpcConnectionResetError),
        ("going away", errors.GrpcUnavailableError),
    ],
)
def test_the_driver_s_words_say_why_a_server_is_unavailable(details, kind):
    error = new_error("/shop.Orders/Get", grpc.StatusCode.UNAVAILABLE, details)
    assert type(error).__name__ == kind.__name__
    assert isinstance(error, kind | errors.GrpcUnavailableError)


def test_a_deadline_is_a_timeout_as_with_http():
    assert isinstance(new_error("/a/b", grpc.StatusCode.DEADLINE_EXCEEDED, ""), TimeoutError)
    assert issubclass(errors.HttpTimeoutError, TimeoutError)


def test_an_error_without_a_status_is_unknown():
    assert isinstance(error_of("/a/b", grpc.RpcError("strange")), errors.GrpcUnknownError)


def test_long_details_are_shortened():
    error = new_error("/a/b", grpc.StatusCode.INTERNAL, "x" * 2_500)
    assert str(error).endswith("xxx... [1,500 more characters]")
    assert len(error.details()) == 2_500


def test_the_errors_are_there_without_the_driver():
    script = "import sys, pytest_cdcperf.errors as e; e.GrpcNotFoundError('x'); assert 'grpc' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)

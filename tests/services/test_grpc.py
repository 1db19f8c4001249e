"""The gRPC client against real servers, sync and async."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import trustme

from pytest_cdcperf import errors
from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.errors import BlockingCallError, ConfigError, GrpcError, UnknownMethodError, UnreachableError
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations
from tests.services.grpc_server import PROTOS, Server, serving
from tests.services.harness import User, refused_port, relayed, run_body, until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(reflection=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[GrpcClient]:
    root = GrpcClient(PROTOS)
    yield root.with_options(address=server.address)
    root.close()


class Lab:
    """The service as one virtual user calls it, through the sync or the async client."""

    def __init__(self, user: User, client: GrpcClient, make: Callable[[Any], Any] | None = None) -> None:
        mine = client.aio if user.is_async else client
        self.user = user
        self.service = make(mine) if make else mine.service("lab.Lab", proto="lab.proto")

    def call(self, rpc: str, *args: Any, how: str = "__call__", **more: Any) -> Any:
        with acting_as(self.user.vu):
            answer = getattr(getattr(self.service, rpc), how)(*args, **more)
            return self.user._loop.run_until_complete(answer) if self.user.is_async else answer

    def replies(self, rpc: str, *args: Any, **more: Any) -> list[int]:
        """Return all numbers of a stream of replies."""
        with acting_as(self.user.vu):
            if not self.user.is_async:
                return [reply.n for reply in getattr(self.service, rpc)(*args, **more)]

            async def drain() -> list[int]:
                return [reply.n async for reply in getattr(self.service, rpc)(*args, **more)]

            return self.user._loop.run_until_complete(drain())

    def trailing(self, call: Any) -> dict[str, Any]:
        found = call.trailing_metadata()
        return dict(self.user._loop.run_until_complete(found) if self.user.is_async else found)


@pytest.fixture
def lab(user: User, client: GrpcClient) -> Lab:
    return Lab(user, client)


class TestUnary:
    def test_fields_by_name_a_mapping_and_a_message_are_one(self, lab: Lab) -> None:
        assert lab.call("Add", x=1, y=2).n == 3
        assert lab.call("Add", {"x": 1, "y": 2}).n == 3
        request = lab.service.Add._spec.request(x=1, y=2)
        assert lab.call("Add", request).n == 3
        assert lab.call("Add").n == 0

    def test_each_call_is_a_sample_of_service_method_and_status(self, lab: Lab) -> None:
        lab.call("Add", x=1)
        lab.call("Add", x=2)
        with pytest.raises(GrpcError):
            lab.call("Fail", n=5)
        measured = lab.user.measured
        assert measured.count("grpc_req_duration", service="lab.Lab", method="Add", status="OK") == 2
        assert measured.count("grpc_req_duration", service="lab.Lab", method="Fail", status="NOT_FOUND") == 1
        assert measured.count("grpc_req_duration") == measured.count("grpc_req_duration", ok="true") == 2
        assert measured.count("grpc_req_duration", ok="false") == 1
        assert measured.of("grpc_req_duration").min > 0
        assert measured.count("grpc_errors") == 1
        assert measured.count("grpc_errors", method="Fail", status="NOT_FOUND") == 1
        assert measured.count("grpc_streams") == 0

    def test_metadata_goes_out_and_trailing_metadata_comes_back(self, user: User, client: GrpcClient) -> None:
        lab = Lab(user, client.with_options(metadata={"Note": "of the client"}))
        first = lab.trailing(lab.call("Add", x=1, how="with_call")[1])
        reply, call = lab.call("Add", x=1, y=1, how="with_call", metadata={"other": "x"})
        second = lab.trailing(call)
        assert reply.n == 2
        assert second["note"] == "of the client"
        assert int(second["sequence"]) == int(first["sequence"]) + 1
        assert user.measured.count("grpc_req_duration") == 2

    def test_a_status_is_an_exception_of_the_driver_s_kind_in_one_line(self, lab: Lab) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            lab.call("Fail", n=7)
        error = caught.value
        assert isinstance(error, errors.GrpcPermissionDeniedError)
        assert str(error) == "lab.Lab/Fail: PERMISSION_DENIED: as you wish"
        assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "as you wish")
        assert dict(error.trailing_metadata())["reason"] == "asked for"

    @pytest.mark.parametrize("kilobytes", [12, 200])
    def test_a_status_is_told_whatever_comes_with_it(self, lab: Lab, kilobytes: int) -> None:
        for _ in range(3):  # gRPC's own limits are between 8 and 16 kB, by chance
            with pytest.raises(GrpcError) as caught:
                lab.call("Fail", n=100 * kilobytes + 5)
            assert isinstance(caught.value, errors.GrpcNotFoundError)
            assert len(dict(caught.value.trailing_metadata())["filler-bin"]) == 1000 * kilobytes
            assert len(caught.value.details()) == 1000 * kilobytes + len("as you wish")

    def test_a_deadline_that_passes_is_a_timed_error(self, lab: Lab) -> None:
        for timeout in ("50ms", 0.05):
            with pytest.raises(GrpcError) as caught:
                lab.call("Wait", n=2000, timeout=timeout)
            assert isinstance(caught.value, errors.GrpcDeadlineExceededError)
        durations = lab.user.measured.of("grpc_req_duration", status="DEADLINE_EXCEEDED")
        assert durations.count == 2
        assert 40 < durations.min < 2000
        assert lab.user.measured.count("grpc_req_duration") == 2  # a call that took too long is none that failed fast

    def test_the_client_s_deadline_holds_where_the_call_has_none(self, user: User, client: GrpcClient) -> None:
        lab = Lab(user, client.with_options(timeout="50ms"))
        with pytest.raises(GrpcError, match="DEADLINE_EXCEEDED"):
            lab.call("Wait", n=2000)
        assert lab.call("Wait", n=100, timeout="10s").n == 100

    def test_a_method_that_is_not_served_is_unimplemented(self, lab: Lab) -> None:
        with pytest.raises(GrpcError) as caught:
            lab.call("Absent", n=1)
        assert isinstance(caught.value, errors.GrpcUnimplementedError)

    def test_what_the_serializers_of_a_stub_choke_on_is_internal(
        self, users: Callable[..., User], client: GrpcClient
    ) -> None:
        user = users("def")  # grpcio's async API sends nothing instead, and says so in the log only

        def choke(_what: Any) -> Any:
            raise ValueError("nonsense")

        def made(**serializers: Any) -> Callable[[Any], Any]:
            return lambda client: client.stub(
                lambda channel: SimpleNamespace(Add=channel.unary_unary("/lab.Lab/Add", **serializers))
            )

        for serializers in (
            {"request_serializer": choke, "response_deserializer": bytes},
            {"request_serializer": bytes, "response_deserializer": choke},
        ):
            with pytest.raises(grpc.RpcError) as caught:
                Lab(user, client, made(**serializers)).call("Add", b"")
            assert isinstance(caught.value, errors.GrpcInternalError)
        assert user.measured.count("grpc_errors", status="INTERNAL") == 2

    def test_invalid_arguments_are_refused_before_anything_is_sent(self, lab: Lab) -> None:
        for args, fields, words in (
            ((), {"z": 1}, r"lab\.Pair: .*z.*; its fields: x, y"),
            ((), {"x": "one"}, r"lab\.Pair: .*; its fields: x, y"),
            (({"z": 1},), {}, r"its fields: x, y"),
            ((7,), {}, r"lab\.Lab/Add> takes a lab\.Pair .*, not 7"),
            ((), {"timeout": "soon"}, r"'soon' is not a valid duration"),
        ):
            with pytest.raises(ConfigError, match=words):
                lab.call("Add", *args, **fields)
        with pytest.raises(UnknownMethodError, match=r"lab\.Lab has no method 'Sub'; it has: Add, Wait, Fail, Count"):
            lab.call("Sub")
        assert lab.user.measured.count("grpc_req_duration") == 0

    def test_a_compressed_reply_is_read(self, user: User, client: GrpcClient) -> None:
        with serving(compression=grpc.Compression.Gzip.value) as server:
            lab = Lab(user, client.with_options(address=server.address))
            assert lab.call("Add", x=1, y=2).n == 3

    def test_outside_an_iteration_the_sync_client_works(self, client: GrpcClient) -> None:
        assert client.service("lab.Lab", proto="lab.proto").Add(x=2, y=2).n == 4


class TestStreams:
    def counted(self, user: User) -> tuple[float, ...]:
        measured = user.measured
        names = ("grpc_streams", "grpc_streams_msgs_sent", "grpc_streams_msgs_received", "grpc_stream_duration")
        return tuple(measured.count(name) for name in names)

    def test_many_replies(self, lab: Lab) -> None:
        assert lab.replies("Count", n=3) == [1, 2, 3]
        assert self.counted(lab.user) == (1, 1, 3, 1)
        assert lab.user.measured.count("grpc_stream_duration", method="Count", status="OK") == 1

    def test_many_requests(self, lab: Lab) -> None:
        assert lab.call("Total", ({"n": n} for n in (1, 2, 3))).n == 6
        assert lab.call("Total", []).n == 0
        assert self.counted(lab.user) == (2, 3, 2, 2)

    def test_many_of_both(self, lab: Lab) -> None:
        assert lab.replies("Double", [{"n": 1}, {"n": 2}]) == [2, 4]
        assert self.counted(lab.user) == (1, 2, 2, 1)
        assert lab.user.measured.count("grpc_req_duration") == 0

    def test_requests_may_be_awaited_ones(self, client: GrpcClient, users: Callable[..., User]) -> None:
        async def numbers() -> Any:
            for n in (1, 2, 3):
                yield {"n": n}

        lab = Lab(users("async def"), client)
        assert lab.call("Total", numbers()).n == 6
        assert lab.replies("Double", numbers()) == [2, 4, 6]

    def test_a_deadline_in_the_middle_is_one_error(self, lab: Lab) -> None:
        with pytest.raises(GrpcError, match="DEADLINE_EXCEEDED"):
            lab.replies("Count", n=100, timeout="1s")
        assert self.counted(lab.user) == (1, 1, 99, 1)
        assert lab.user.measured.count("grpc_errors", method="Count", status="DEADLINE_EXCEEDED") == 1

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_what_the_requests_raise_is_what_the_body_sees(self, lab: Lab) -> None:
        def broken() -> Iterator[Any]:
            yield {"n": 1}
            raise LookupError("no more")

        with pytest.raises(LookupError, match="no more"):
            lab.call("Total", broken())
        with pytest.raises(LookupError, match="no more"):
            lab.replies("Double", broken())
        assert lab.user.measured.count("grpc_errors") == 2

    def test_a_stream_that_is_left_early_can_be_cancelled(self, client: GrpcClient, users: Callable[..., User]) -> None:
        lab = Lab(users("def"), client)
        with acting_as(lab.user.vu):
            replies = lab.service.Count(n=100)
            assert next(replies).n == 1
            replies.cancel()
            with pytest.raises(GrpcError, match="CANCELLED"):
                list(replies)


class TestServices:
    def test_reflection_finds_what_the_proto_says(self, user: User, client: GrpcClient) -> None:
        lab = Lab(user, client, lambda client: client.service("lab.Lab"))
        assert lab.call("Add", x=1, y=2).n == 3
        assert lab.replies("Count", {"n": 2}) == [1, 2]

    def test_reflection_names_the_services_that_there_are(self, client: GrpcClient) -> None:
        with pytest.raises(ConfigError, match=r"has no service 'lab\.Nix'; it has: .*lab\.Lab"):
            client.service("lab.Nix")

    def test_a_server_without_reflection_is_said_in_one_line(self) -> None:
        with serving() as silent, pytest.raises(ConfigError, match=r"has no reflection, .*give proto='FILE\.proto'"):
            GrpcClient(PROTOS).service("lab.Lab", address=silent.address)

    def test_a_server_that_is_not_there_cannot_be_asked(self) -> None:
        with pytest.raises(
            UnreachableError, match=r"gRPC server at 127\.0\.0\.1:\d+ cannot be used: .*refused"
        ) as caught:
            GrpcClient(PROTOS).service("lab.Lab", address=f"127.0.0.1:{refused_port()}")
        assert "\n" not in str(caught.value)

    def test_generated_stubs_are_measured_alike(self, user: User, client: GrpcClient, generated: Any) -> None:
        lab = Lab(user, client, lambda client: client.stub(generated.grpc.LabStub))
        pair, number = generated.messages.Pair, generated.numbers.Number
        assert lab.call("Add", pair(x=1, y=2), timeout=5).n == 3
        assert lab.replies("Count", number(n=2)) == [1, 2]
        assert lab.call("Total", [number(n=2), number(n=3)]).n == 5
        assert lab.replies("Double", iter([number(n=2)])) == [4]
        assert user.measured.count("grpc_req_duration", service="lab.Lab", method="Add") == 1
        assert user.measured.count("grpc_streams") == 3

    @pytest.fixture(scope="class")
    @classmethod
    def generated(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        """The modules that protoc writes."""
        directory = tmp_path_factory.mktemp("generated")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}"]
        out = [f"--python_out={directory}", f"--grpc_python_out={directory}", "lab.proto", "number.proto"]
        subprocess.run([*command, *out], check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(directory)

            class Generated:
                grpc = importlib.import_module("lab_pb2_grpc")
                messages = importlib.import_module("lab_pb2")
                numbers = importlib.import_module("number_pb2")

            yield Generated


class TestTls:
    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A directory with ca.pem, and key.pem and chain.pem of "localhost"."""
        directory = tmp_path_factory.mktemp("tls")
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(directory / "ca.pem")
        certificate.private_key_pem.write_to_path(directory / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(directory / "chain.pem")
        return directory

    @pytest.fixture(scope="class")
    @classmethod
    def secured(cls, authority: Path) -> Iterator[Server]:
        with serving(key=str(authority / "key.pem"), chain=str(authority / "chain.pem")) as running:
            yield running

    def test_a_server_that_is_trusted_is_used(self, user: User, authority: Path, secured: Server) -> None:
        client = GrpcClient(authority).with_options(address=secured.address, root_certificates="ca.pem")
        lab = Lab(user, client, lambda client: client.service("lab.Lab", proto=str(PROTOS / "lab.proto")))
        assert lab.call("Add", x=1, y=2).n == 3

    def test_one_that_is_not_trusted_is_a_tls_failure(self, user: User, secured: Server) -> None:
        lab = Lab(user, GrpcClient(PROTOS).with_options(address=secured.address, tls=True))
        with pytest.raises(GrpcError) as caught:
            lab.call("Add", x=1, y=2)
        assert isinstance(caught.value, errors.GrpcTLSError)
        assert "\n" not in str(caught.value)
        assert user.measured.count("grpc_errors", status="UNAVAILABLE") == 1

    def test_plaintext_to_a_tls_server_fails_by_kind(self, user: User, secured: Server) -> None:
        lab = Lab(user, GrpcClient(PROTOS).with_options(address=secured.address))
        with pytest.raises(GrpcError, match="UNAVAILABLE"):
            lab.call("Add", x=1, y=2)


class TestSyncAndAsync:
    def test_the_sync_client_is_refused_in_an_async_body(self, client: GrpcClient) -> None:
        lab = client.service("lab.Lab", proto="lab.proto")

        async def body() -> None:
            lab.Add(x=1)

        outcome, _ = run_body(PerVUIterations(), body)
        (kind,) = outcome.failures
        assert kind.type == BlockingCallError.__name__
        assert "await grpc_client.aio." in kind.sample

    def test_reflection_is_refused_in_an_async_body(self, client: GrpcClient) -> None:
        async def body() -> None:
            client.with_options(timeout="7s").aio.service("lab.Lab")

        outcome, _ = run_body(PerVUIterations(), body)
        assert [kind.type for kind in outcome.failures] == [BlockingCallError.__name__]

    def test_the_async_client_is_refused_outside_an_async_body(self, client: GrpcClient) -> None:
        lab = client.aio.service("lab.Lab", proto="lab.proto")
        with pytest.raises(BlockingCallError, match="async perf test only"):
            lab.Add(x=1).send(None)

    @pytest.mark.parametrize(("connections", "expected"), [("per_vu", 3), ("shared", 1)])
    @pytest.mark.parametrize("body_kind", ["def", "async def"])
    def test_each_user_has_a_connection_unless_they_share_one(
        self, server: Server, body_kind: str, connections: str, expected: int
    ) -> None:
        with relayed(server.port) as relay:
            client = GrpcClient(PROTOS).with_options(address=f"127.0.0.1:{relay.port}", connections=connections)
            lab = (client.aio if body_kind == "async def" else client).service("lab.Lab", proto="lab.proto")

            def body() -> None:
                assert lab.Add(x=1).n == 1

            async def body_aio() -> None:
                assert (await lab.Add(x=1)).n == 1

            load = PerVUIterations(vus=3, iterations=5)
            outcome, total = run_body(load, body if body_kind == "def" else body_aio)
            assert outcome.failures == []
            assert total.select("grpc_req_duration").count == 15
            assert relay.accepted == expected
            assert until(lambda: not relay._pairs), "closed with the run"


class TestInterruption:
    @pytest.mark.parametrize("rpc", ["Wait", "Count"])
    @pytest.mark.parametrize("body_kind", ["def", "async def"])
    def test_a_vu_that_is_blocked_in_a_call_is_interrupted(self, client: GrpcClient, body_kind: str, rpc: str) -> None:
        lab = (client.aio if body_kind == "async def" else client).service("lab.Lab", proto="lab.proto")

        def body() -> None:
            if rpc == "Wait":
                lab.Wait(n=15_000)
            else:
                list(lab.Count(n=100))

        async def body_aio() -> None:
            if rpc == "Wait":
                await lab.Wait(n=15_000)
            else:
                async for _ in lab.Count(n=100):
                    pass

        load = ConstantVUs(vus=2, duration="300ms", graceful_stop="100ms")
        outcome, total = run_body(load, body if body_kind == "def" else body_aio)
        assert outcome.stuck_vus == []
        assert [(kind.type, kind.count) for kind in outcome.failures] == [("IterationTimeoutError", 2)]
        assert total.select("iterations_interrupted").total == 2
        assert total.select("grpc_errors") is None

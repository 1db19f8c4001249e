"""Records gRPC calls: unary ones by ``grpc_req_duration``, streams by ``grpc_stream_duration`` and their messages."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.errors import error_of, status_of
from pytest_cdcperf.clients.recording import CallRecorder
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.groups import GRPC
from pytest_cdcperf.metrics.metric import Counter, Metric, Tags, Trend
from pytest_cdcperf.metrics.scope import Scope, current_scope

GRPC_REQ_DURATION = Trend("grpc_req_duration", unit="ms", group=GRPC)
GRPC_STREAM_DURATION = Trend("grpc_stream_duration", unit="ms", group=GRPC)  # from the opening to the status
GRPC_ERRORS = Counter("grpc_errors", group=GRPC)
GRPC_STREAMS = Counter("grpc_streams", group=GRPC)
GRPC_STREAMS_MSGS_SENT = Counter("grpc_streams_msgs_sent", group=GRPC)
GRPC_STREAMS_MSGS_RECEIVED = Counter("grpc_streams_msgs_received", group=GRPC)


class MethodRecorder:
    """Records the calls of one method, by the status that they end with."""

    def __init__(self, path: str, *, streams: bool) -> None:
        self.path = path
        service, _, method = path.lstrip("/").rpartition("/")
        self.tags: Tags = (("method", method), ("service", service))
        duration = GRPC_STREAM_DURATION if streams else GRPC_REQ_DURATION
        self._by_status: Mapping[str, CallRecorder] = {
            code.name: CallRecorder(duration, GRPC_ERRORS, (*self.tags, ("status", code.name)))
            for code in grpc.StatusCode
        }
        self._ok = self._by_status["OK"]

    def ended(self, begin_ns: int, status: str) -> None:
        """Record a call that ended with *status*: whichever it is, it is timed."""
        if status == "OK":
            self._ok.succeeded(begin_ns)
        else:
            self._by_status[status].failed(begin_ns, timed_out=status == "DEADLINE_EXCEEDED")


class UnaryCall:
    """One unary call, as it is recorded."""

    def __init__(self, recorder: MethodRecorder) -> None:
        self._recorder = recorder
        self._begin_ns = 0

    def begin(self) -> None:
        """Note that the call begins now."""
        self._begin_ns = time.perf_counter_ns()

    def replied(self) -> None:
        """Record that the call's one reply came."""
        self.ended()

    def ended(self, status: str = "OK") -> None:
        """Record the end."""
        self._recorder.ended(self._begin_ns, status)

    def failed(self, error: grpc.RpcError) -> Exception:
        """Record the end by *error*; return what to raise."""
        self.ended(status_of(error).name)
        return error_of(self._recorder.path, error)

    def cancelled(self, error: BaseException) -> BaseException:
        """Record the end by *error*, the cancellation of the task; return what to raise."""
        self.ended("CANCELLED")
        return error


class StreamCall(UnaryCall):
    """One stream, as it is recorded. Its requests may be drawn in another thread: the scope is that of its beginning.

    *fault* is what the user's own requests raised. The driver drops it and says that the call was cancelled.
    """

    def __init__(self, recorder: MethodRecorder) -> None:
        super().__init__(recorder)
        self.fault: Exception | None = None
        self._scope: Scope | None = None
        self._open = True

    def begin(self) -> None:
        """Note that the stream is opened now."""
        super().begin()
        self._scope = current_scope()
        self.count(GRPC_STREAMS)

    def count(self, metric: Metric) -> None:
        """Count a message, or the stream itself."""
        if self._scope is not None:
            self._scope.sink(metric, self._recorder.tags)(1)

    def sent(self) -> None:
        """Count a request."""
        self.count(GRPC_STREAMS_MSGS_SENT)

    def received(self) -> None:
        """Count a reply."""
        self.count(GRPC_STREAMS_MSGS_RECEIVED)

    def replied(self) -> None:
        """Record that the one reply of a stream of requests came."""
        self.received()
        self.ended()

    def ended(self, status: str = "OK") -> None:
        """Record the end, once."""
        if self._open:
            self._open = False
            super().ended(status)

    def failed(self, error: grpc.RpcError) -> Exception:
        """Record the end by *error*; return what to raise."""
        failure = super().failed(error)
        return self.fault or failure

    def cancelled(self, error: BaseException) -> BaseException:
        """Record the end by *error*; return what to raise."""
        super().cancelled(error)
        return self.fault or error

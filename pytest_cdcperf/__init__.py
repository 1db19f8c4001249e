"""Load tests with a verdict from ordinary pytest tests. Here are the public names, nothing else.

They are imported at first use: the plugin is loaded in every pytest session of an environment, and most sessions
have no perf test. A type checker reads the imports below instead, and so finds a name that does not exist.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# The public names by the module that defines each.
_NAMES = {
    "cdc.arrival": "Arrival",
    "cdc.expect": "AsyncCdc Cdc",
    "clients.grpc.client": "AsyncGrpcClient GrpcClient",
    "clients.grpc.services": "GrpcService",
    "clients.grpc.waiting": "AsyncGrpcReplies GrpcReplies",
    "clients.http.client": "AsyncHttpClient HttpClient",
    "clients.http.requests_session": "PerVUSession",
    "clients.http.response": "HttpHeaders HttpResponse",
    "clients.mongo": "AsyncMongo Mongo",
    "clients.postgres.aio": "AsyncPostgres",
    "clients.postgres.client": "Postgres",
    "clients.postgres.connection": "PostgresTimeoutError",
    "clients.postgres.server": "PostgresUnreachableError",
    "cluster.shared_state": "Pool Shared",
    "engine.body": "check group think",
    "engine.mix": "Mix",
    "engine.vu": "VU",
    "errors": (
        "BlockingCallError CdcperfError ConfigError CoordinatorLostError ExpectationError GrpcAbortedError "
        "GrpcAlreadyExistsError GrpcCancelledError GrpcConnectionRefusedError GrpcConnectionResetError "
        "GrpcDNSError GrpcDataLossError GrpcDeadlineExceededError GrpcError GrpcFailedPreconditionError "
        "GrpcInternalError GrpcInvalidArgumentError GrpcNotFoundError GrpcOutOfRangeError "
        "GrpcPermissionDeniedError GrpcResourceExhaustedError GrpcTLSError GrpcUnauthenticatedError "
        "GrpcUnavailableError GrpcUnimplementedError GrpcUnknownError HttpBodyError HttpCancelledError "
        "HttpConnectionRefusedError HttpConnectionResetError HttpDNSError HttpError HttpHeaderError "
        "HttpProtocolError HttpStatusError HttpTLSError HttpTimeoutError HttpTransportError IterationTimeoutError "
        "LoadRefusedError MissingExtraError NeverAwaitedError ServiceError SharedError StackError ThreadLimitError "
        "UnitError UnknownMethodError UnreachableError"
    ),
    "events": "Event Listener Live LimitCrossed Notice RunFinished RunStarted WindowMerged WorkerLost",
    "judging.rules.drift": "Drift",
    "judging.rules.recovery": "Recovery",
    "judging.parser": "Limit",
    "judging.threshold": "Outcome Threshold ThresholdResult",
    "judging.verdict": "Verdict",
    "load.base": "Load",
    "load.closed": "ConstantVUs PerVUIterations RampingVUs SharedIterations",
    "load.open": "ConstantArrivalRate RampingArrivalRate",
    "load.stages": "Stage",
    "metrics.failure": "FailureKind",
    "metrics.metric": "Counter Gauge GaugeMerge Metric Rate Trend",
    "metrics.timeline": "Window",
    "plugin.load_fixture": "LoadRunner",
    "plugin.marker": "perf",
    "redaction": "hide",
    "results.figures": "MetricView",
    "results.result": "RunFacts RunResult WorkerPart",
    "servers": "MongoAddress PostgresAddress",
}

if TYPE_CHECKING:
    from pytest_cdcperf.cdc.arrival import Arrival as Arrival
    from pytest_cdcperf.cdc.expect import AsyncCdc as AsyncCdc, Cdc as Cdc
    from pytest_cdcperf.clients.grpc.client import (
        AsyncGrpcClient as AsyncGrpcClient,
        GrpcClient as GrpcClient,
    )
    from pytest_cdcperf.clients.grpc.services import GrpcService as GrpcService
    from pytest_cdcperf.clients.grpc.waiting import AsyncGrpcReplies as AsyncGrpcReplies, GrpcReplies as GrpcReplies
    from pytest_cdcperf.clients.http.client import AsyncHttpClient as AsyncHttpClient, HttpClient as HttpClient
    from pytest_cdcperf.clients.http.requests_session import PerVUSession as PerVUSession
    from pytest_cdcperf.clients.http.response import HttpHeaders as HttpHeaders, HttpResponse as HttpResponse
    from pytest_cdcperf.clients.mongo import AsyncMongo as AsyncMongo, Mongo as Mongo
    from pytest_cdcperf.clients.postgres.aio import AsyncPostgres as AsyncPostgres
    from pytest_cdcperf.clients.postgres.client import Postgres as Postgres
    from pytest_cdcperf.clients.postgres.connection import PostgresTimeoutError as PostgresTimeoutError
    from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError as PostgresUnreachableError
    from pytest_cdcperf.cluster.shared_state import Pool as Pool, Shared as Shared
    from pytest_cdcperf.engine.body import check as check, group as group, think as think
    from pytest_cdcperf.engine.mix import Mix as Mix
    from pytest_cdcperf.engine.vu import VU as VU
    from pytest_cdcperf.errors import (
        BlockingCallError as BlockingCallError,
        CdcperfError as CdcperfError,
        ConfigError as ConfigError,
        CoordinatorLostError as CoordinatorLostError,
        ExpectationError as ExpectationError,
        GrpcAbortedError as GrpcAbortedError,
        GrpcAlreadyExistsError as GrpcAlreadyExistsError,
        GrpcCancelledError as GrpcCancelledError,
        GrpcConnectionRefusedError as GrpcConnectionRefusedError,
        GrpcConnectionResetError as GrpcConnectionResetError,
        GrpcDNSError as GrpcDNSError,
        GrpcDataLossError as GrpcDataLossError,
        GrpcDeadlineExceededError as GrpcDeadlineExceededError,
        GrpcError as GrpcError,
        GrpcFailedPreconditionError as GrpcFailedPreconditionError,
        GrpcInternalError as GrpcInternalError,
        GrpcInvalidArgumentError as GrpcInvalidArgumentError,
        GrpcNotFoundError as GrpcNotFoundError,
        GrpcOutOfRangeError as GrpcOutOfRangeError,
        GrpcPermissionDeniedError as GrpcPermissionDeniedError,
        GrpcResourceExhaustedError as GrpcResourceExhaustedError,
        GrpcTLSError as GrpcTLSError,
        GrpcUnauthenticatedError as GrpcUnauthenticatedError,
        GrpcUnavailableError as GrpcUnavailableError,
        GrpcUnimplementedError as GrpcUnimplementedError,
        GrpcUnknownError as GrpcUnknownError,
        HttpBodyError as HttpBodyError,
        HttpCancelledError as HttpCancelledError,
        HttpConnectionRefusedError as HttpConnectionRefusedError,
        HttpConnectionResetError as HttpConnectionResetError,
        HttpDNSError as HttpDNSError,
        HttpError as HttpError,
        HttpHeaderError as HttpHeaderError,
        HttpProtocolError as HttpProtocolError,
        HttpStatusError as HttpStatusError,
        HttpTLSError as HttpTLSError,
        HttpTimeoutError as HttpTimeoutError,
        HttpTransportError as HttpTransportError,
        IterationTimeoutError as IterationTimeoutError,
        LoadRefusedError as LoadRefusedError,
        MissingExtraError as MissingExtraError,
        NeverAwaitedError as NeverAwaitedError,
        ServiceError as ServiceError,
        SharedError as SharedError,
        StackError as StackError,
        ThreadLimitError as ThreadLimitError,
        UnitError as UnitError,
        UnknownMethodError as UnknownMethodError,
        UnreachableError as UnreachableError,
    )
    from pytest_cdcperf.events import (
        Event as Event,
        Listener as Listener,
        Live as Live,
        LimitCrossed as LimitCrossed,
        Notice as Notice,
        RunFinished as RunFinished,
        RunStarted as RunStarted,
        WindowMerged as WindowMerged,
        WorkerLost as WorkerLost,
    )
    from pytest_cdcperf.judging.parser import Limit as Limit
    from pytest_cdcperf.judging.rules.drift import Drift as Drift
    from pytest_cdcperf.judging.rules.recovery import Recovery as Recovery
    from pytest_cdcperf.judging.threshold import (
        Outcome as Outcome,
        Threshold as Threshold,
        ThresholdResult as ThresholdResult,
    )
    from pytest_cdcperf.judging.verdict import Verdict as Verdict
    from pytest_cdcperf.load.base import Load as Load
    from pytest_cdcperf.load.closed import (
        ConstantVUs as ConstantVUs,
        PerVUIterations as PerVUIterations,
        RampingVUs as RampingVUs,
        SharedIterations as SharedIterations,
    )
    from pytest_cdcperf.load.open import (
        ConstantArrivalRate as ConstantArrivalRate,
        RampingArrivalRate as RampingArrivalRate,
    )
    from pytest_cdcperf.load.stages import Stage as Stage
    from pytest_cdcperf.metrics.failure import FailureKind as FailureKind
    from pytest_cdcperf.metrics.metric import (
        Counter as Counter,
        Gauge as Gauge,
        GaugeMerge as GaugeMerge,
        Metric as Metric,
        Rate as Rate,
        Trend as Trend,
    )
    from pytest_cdcperf.metrics.timeline import Window as Window
    from pytest_cdcperf.plugin.load_fixture import LoadRunner as LoadRunner
    from pytest_cdcperf.plugin.marker import perf as perf
    from pytest_cdcperf.redaction import hide as hide
    from pytest_cdcperf.results.figures import MetricView as MetricView
    from pytest_cdcperf.results.result import (
        RunFacts as RunFacts,
        RunResult as RunResult,
        WorkerPart as WorkerPart,
    )
    from pytest_cdcperf.servers import MongoAddress as MongoAddress, PostgresAddress as PostgresAddress
else:
    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
    __all__ = sorted(_HOMES)  # noqa: PLE0605

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pytest_cdcperf.interpreter import standard_library_first  # noqa: PLC0415  # start-up

        with standard_library_first():  # the module may import a driver
            value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

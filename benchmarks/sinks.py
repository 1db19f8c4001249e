"""Latencies of arrivals beside the truth, on sinks with change streams and without.

Rows go through the embedded pipeline. An independent watcher, which follows the embedded sink by a change stream of
its own, tells when each has arrived there; for FerretDB it writes each to that one and tells when that was
acknowledged. So the truth has at most the watcher's own lag in it. Beside it stand our figures, in milliseconds, and
what of the sink's time the look-ups took: commands a second.
"""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

import pymongo.monitoring
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from benchmarks import ferretdb
from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.open import ConstantArrivalRate
from pytest_cdcperf.servers import MongoAddress
from tests.services.wire_relay import NOT_IMPLEMENTED, through, wire_relayed

LOADS = ((1, 5), (10, 18), (10, 40))  # VUs at most, rows a second
SECONDS = 15
SCHEMA = "CREATE TABLE note (id uuid PRIMARY KEY, text text)"


class Truth:
    """When each row was in the sink."""

    def __init__(self, followed: MongoAddress, copied_to: MongoAddress | None = None) -> None:
        self.arrived: dict[str, float] = {}
        self._client: MongoClient[dict[str, Any]] = MongoClient(followed.uri)
        self._notes = self._client[followed.database]["note"]
        self._copies = None
        if copied_to is not None:
            self._copies = MongoClient[dict[str, Any]](copied_to.uri)[copied_to.database]["note"]
        self._stream = self._notes.watch(max_await_time_ms=200)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        self._thread.join()
        self._client.close()

    def _follow(self) -> None:
        while not self._closed.is_set():
            event = self._stream.try_next()
            if event is None:
                continue
            if self._copies is not None:
                self._copies.replace_one({"_id": event["documentKey"]["_id"]}, event["fullDocument"], upsert=True)
            self.arrived[event["documentKey"]["_id"]] = time.perf_counter()


class Finds(CommandListener):
    """Counts the reads of all clients of this process."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        """A command is sent."""
        self.count += event.command_name == "find"

    def succeeded(self, event: object) -> None:
        """Ignore it."""

    def failed(self, event: object) -> None:
        """Ignore it."""


def relay_refusing(address: MongoAddress, here: Connection) -> None:
    """Relay to *address* all but change streams; say where, and go when told to."""
    with wire_relayed(address) as relay:
        relay.refusal = NOT_IMPLEMENTED
        here.send(through(relay, address))
        here.recv()


@contextmanager
def refusing(address: MongoAddress) -> Iterator[MongoAddress]:
    """Return a way to *address* that refuses change streams, by a process of its own."""
    here, there = Pipe()
    process = Process(target=relay_refusing, args=(address, there), daemon=True)
    process.start()
    yield here.recv()
    here.send(None)
    process.join()


def measure(pg: Postgres, address: MongoAddress, truth: Truth, finds: Finds, vus: int, rate: int) -> str:
    """Return a line of the table."""
    mongo = Mongo(address)
    watch = SinkWatch(mongo)
    cdc = Cdc(mongo, watch)
    ours: dict[str, tuple[float, float]] = {}  # when the block was left, and how long the arrival took from then on

    def body() -> None:
        key = str(uuid.uuid4())
        with cdc.expect("note", key, text="hello", timeout="20s") as arrival:
            pg.insert("note", {"id": key, "text": "hello"})
        ours[key] = (time.perf_counter() - arrival.propagation_ms * 1e-3, arrival.propagation_ms)

    before = finds.count
    load = ConstantArrivalRate(rate=rate, duration=f"{SECONDS}s", vus=vus)
    Run({"": load}, Body(body), session_id="benchmark", on_window=lambda _: None).execute()
    (resolution, *_) = [note.partition("looked up ")[2].partition(", so")[0] for note in watch.notes()] or ["-"]
    watch.close()
    mongo.close()
    true_ms = [(truth.arrived[key] - left_s) * 1e3 for key, (left_s, _) in ours.items()]
    own_ms = [latency_ms for _, latency_ms in ours.values()]
    late_ms = sorted(own - true for own, true in zip(own_ms, true_ms, strict=True))
    return (
        f"{vus:>4} {len(ours) / SECONDS:>6.1f} | {_percentiles(true_ms)} | {_percentiles(own_ms)} | "
        f"{late_ms[len(late_ms) // 2]:>8.1f} | {(finds.count - before) / SECONDS:>7.0f} | {resolution}"
    )


def _percentiles(values: list[float]) -> str:
    cuts = quantiles(values, n=20)
    return f"{cuts[9]:>6.0f} / {cuts[18]:>5.0f}"


def main() -> None:
    """Print a table for each sink."""
    finds = Finds()
    pymongo.monitoring.register(finds)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        embedded = stack.enter_context(EmbeddedStack.start(StackConfig(directory / "logs", SCHEMA)))
        pg = Postgres(embedded.services.postgres)
        stack.callback(pg.close)
        nx = embedded.services.mongo
        sinks = [("nx-27017", nx, None), ("nx-27017, streams refused", stack.enter_context(refusing(nx)), None)]
        if ferretdb.available():
            copy = stack.enter_context(ferretdb.serving(directory))
            sinks.append((f"FerretDB {ferretdb.VERSION}", copy, copy))
        for name, address, copied_to in sinks:
            print(
                f"-- {name}\n VUs rows/s | true p50 / p95 | ours p50 / p95 | late p50 | finds/s | looked up", flush=True
            )
            truth = Truth(nx, copied_to)
            for vus, rate in LOADS:
                print(measure(pg, address, truth, finds, vus, rate), flush=True)
            truth.close()

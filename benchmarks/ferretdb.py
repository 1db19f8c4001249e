"""FerretDB 1.24, a MongoDB-wire server without change streams, from Go's modules."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_cdcperf.servers import MongoAddress

VERSION = "v1.24.2"
_MODULE = f"github.com/FerretDB/FerretDB@{VERSION}"
BUILT = Path(__file__).parents[1] / "build" / f"ferretdb-{VERSION}"
_TIMEOUT_S = 30.0


def available() -> bool:
    """Whether it was built before or can be; says so where it cannot."""
    found = BUILT.exists() or _go() is not None
    if not found:
        print(f"Go is not installed here: with it, FerretDB {VERSION} stands beside nx-27017")
    return found


@contextmanager
def serving(directory: Path) -> Iterator[MongoAddress]:
    """Build it where that was not done yet, which takes some minutes, and run it with its data in *directory*."""
    if not BUILT.exists():
        _build(_go() or "go", directory / "source")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = directory / "ferretdb"
    data.mkdir()
    command = [BUILT, "--handler=sqlite", f"--sqlite-url=file:{data}/", f"--listen-addr=127.0.0.1:{port}"]
    command += ["--telemetry=disable", "--debug-addr=-", f"--state-dir={data}", "--log-level=error"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _TIMEOUT_S
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"FerretDB did not come up: exit status {server.poll()}")
            time.sleep(0.05)
        yield MongoAddress(f"mongodb://127.0.0.1:{port}/cdc_materialized?directConnection=true")
    finally:
        server.terminate()
        server.wait(_TIMEOUT_S)


def _build(go: str, source: Path) -> None:
    print(f"building FerretDB {VERSION}, once ...", flush=True)
    told = subprocess.run([go, "mod", "download", "-json", _MODULE], check=True, capture_output=True, text=True)
    shutil.copytree(json.loads(told.stdout)["Dir"], source)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755)
    (source / "build" / "version" / "version.txt").write_text(f"{VERSION}\n")  # which it panics without
    BUILT.parent.mkdir(exist_ok=True)
    subprocess.run([go, "build", "-o", BUILT, "./cmd/ferretdb"], cwd=source, check=True)


def _go() -> str | None:
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Passwords and tokens in every place where one can stand, and every way to fail: no output shows any of them.

Each is of two words with what needs escaping between them, and both words are searched for: neither a whole secret
nor a piece of it is shown, escaped or shortened in whatever way.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from pytest_cdcperf.clients.postgres.libpq import parameters_of
from pytest_cdcperf.servers import PostgresAddress
from tests.services.conftest import GuardedPostgres
from tests.services.harness import refused_port
from tests.services.http_server import http_server


def secret(place: str, between: str = "-") -> str:
    return f"Head{place}{between}Tail{place}"


ODD = " @:/'\\\"%\n&=ü "
PG = secret("Pg", ODD.replace("\n", ""))
SECRETS = {
    "URI": secret("Uri", ODD),
    "AWS": secret("Aws"),
    "TLS": secret("Tls"),
    "DSN": secret("Dsn", " \\\\ "),
    "BEARER": secret("Bearer", "." * 3 + "x" * 600),
    "BASIC": secret("Basic", ":@ "),
    "KEY": secret("Key", "/+="),
    "COOKIE": secret("Cookie"),
    "GRPC": secret("Grpc", "~"),
    "BASE": secret("Base", "!"),
    "QUERY": secret("Query", "_"),
    "FRAGMENT": secret("Fragment", "."),
    "FTP": secret("Ftp"),
    "SLASHES": secret("Slashes"),
    "ANSWER": secret("Answer", ", "),
    "FIXTURE": secret("Fixture"),
    "PEM": f"-----BEGIN PRIVATE KEY-----\n{secret('Pem', chr(10))}\n-----END PRIVATE KEY-----",
}

# No secret is written down in it: pytest shows the lines of a test that fails.
TESTS = """
import base64, logging, os, psycopg, pymongo, pytest, requests
from dataclasses import asdict, replace
from urllib.parse import quote
from pytest_cdcperf import *

S = os.environ
URL = S["HTTP_URL"]
NOBODY = f"http://127.0.0.1:{S['NOBODY']}"
once = perf(load=PerVUIterations(vus=1, iterations=1))

@pytest.fixture(params=["with it", "away"])
def server(request, pg):
    where = pg.address
    if request.param == "away":
        with pg.connection() as connection:
            connection.close()
        pg.server.address = replace(where, port=int(S["NOBODY"]))
        pg.server._limit = 1
    yield
    pg.server.address = where

@pytest.fixture
def breaks_before():
    fixture_token = S["FIXTURE"]
    raise OSError(f"token={fixture_token}")

@pytest.fixture
def breaks_after():
    yield
    fixture_token = S["FIXTURE"]
    raise OSError({"api_key": fixture_token})

@once
def test_reconnect(pg, server):
    pg.insert("no_such_table", {"password": "x"})

@once
async def test_reconnect_async(pg, server):
    await pg.aio.insert("no_such_table", {"id": 1})

def test_reconnect_in_a_plain_test(pg, server):
    pg.execute("SELECT nothing")

@once
def test_own_connection(pg):
    psycopg.connect(**{**pg.server.arguments(), "port": S["NOBODY"]})

@once
def test_dsn():
    psycopg.connect("host=127.0.0.1 port=" + S["NOBODY"] + " user=u password='" + S["DSN"] + "'")

def mongo_uri():
    return (f"mongodb://u:{quote(S['URI'], safe='')}@127.0.0.1:{S['NOBODY']}/d?serverSelectionTimeoutMS=10"
            f"&authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:{S['AWS']}")

@once
def test_own_mongo():
    pymongo.MongoClient(mongo_uri()).admin.command("ping")

@once
def test_own_mongo_uri_that_is_none():
    pymongo.MongoClient(mongo_uri().replace("127.0.0.1", "///"))

@once
def test_headers(http_client):
    t, k, c = "Bearer " + S["BEARER"], S["KEY"], S["COOKIE"]
    headers = {"Authorization": t, "X-Api-Key": k, "Cookie": c}
    assert http_client.get(URL + "/status/404", headers=headers).status_code == 200

@once
async def test_headers_async(http_client):
    t = "Basic " + S["BASIC"]
    assert (await http_client.aio.get(URL + "/status/404", headers={"Authorization": t})).status_code == 200

def test_headers_in_a_plain_test(http_client):
    t = S["KEY"]
    client = http_client.with_options(headers={"X-Auth-Token": t})
    assert client.get(URL + "/status/404") == t

@once
def test_a_wrong_option(http_client):
    t = S["KEY"]
    http_client.get(URL, headers={"X-Api-Key": t}, tmeout=3)

@once
def test_base_url(http_client):
    where = NOBODY.replace("//", "//u:" + quote(S["BASE"], safe="") + "@")
    http_client.with_options(base_url=where).get("/orders")

@once
def test_base_url_of_another_scheme(http_client):
    http_client.with_options(base_url="ftp://u:" + S["FTP"] + "@h/")

@once
def test_url_without_scheme(http_client):
    http_client.get("//u:" + S["SLASHES"] + "@h/")

@once
def test_query(http_client):
    http_client.get(NOBODY + "/?access_token=" + S["QUERY"])

@once
def test_params(http_client):
    http_client.get(NOBODY, params={"access_token": S["QUERY"]}, timeout=1)

@once
def test_fragment(http_client):
    where = NOBODY + "/#token=" + S["FRAGMENT"]
    http_client.get(where, path={"x": 1})

@once
def test_timeout(http_client):
    t = S["KEY"]
    http_client.get(URL + "/slow/1", headers={"Api-Key": t}, timeout=0.01)

@once
def test_answer(http_client):
    answer = http_client.post(URL + "/echo", json={"client_secret": S["ANSWER"]}).text
    assert answer == "{}"

@once
def test_requests(requests_session):
    requests_session.get(NOBODY + "/?sig=" + S["QUERY"], auth=("u", S["BASIC"]), headers={"X-Api-Key": S["KEY"]})

@once
def test_grpc(grpc_client):
    t = S["GRPC"]
    add = grpc_client.stub(Stub, address="127.0.0.1:" + S["NOBODY"], timeout=1, metadata={"authorization": t}).Add
    add(b"", metadata=(("x-token", t),))

@once
def test_grpc_metadata_that_is_none(grpc_client):
    t = S["GRPC"]
    grpc_client.with_options(metadata={"x-token": t + chr(10)})

@once
def test_private_key():
    pem = S["PEM"]
    raise ValueError(pem)

@once
def test_setup(breaks_before):
    pass

@once
def test_teardown(breaks_after):
    pass

@once
def test_output(http_client, pg):
    t = S["KEY"]
    http_client.get(URL + "/echo", headers={"X-Api-Key": t})
    print("the key is", t)
    logging.getLogger("shop").warning("postgresql://u:%s@h and %s", S["BASE"], t)
    Counter("t_secret_" + t).add(1, {"url": f"http://u:{S['BASE']}@h/"})
    check(f"http://u:{S['BASE']}@h/?token={t} is there", False)
    assert pg.address is None

class Stub:
    def __init__(self, channel):
        self.Add = channel.unary_unary("/shop.Adder/Add", request_serializer=bytes, response_deserializer=bytes)
"""


@pytest.fixture(scope="module")
def address(guarded: GuardedPostgres) -> Iterator[PostgresAddress]:
    """Where a role of PostgreSQL logs in with one of the secrets."""
    own = guarded.address
    with psycopg.connect(**parameters_of(own), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE marked LOGIN PASSWORD {}").format(sql.Literal(PG)))
        yield replace(own, user="marked", password=PG)
        connection.execute("DROP ROLE marked")


@pytest.fixture(scope="module")
def environment(address: PostgresAddress) -> Iterator[dict[str, str]]:
    nobody = refused_port()
    with http_server() as server:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RESULTS_"))}
        yield {
            **kept,
            **SECRETS,
            "HTTP_URL": server.url,
            "NOBODY": str(nobody),
            "POSTGRES_HOST": address.host,
            "POSTGRES_PORT": str(address.port),
            "POSTGRES_USER": address.user,
            "POSTGRES_PASSWORD": PG,
            "POSTGRES_DB": address.dbname,
            "MONGODB_URI": f"mongodb://u:{quote(SECRETS['URI'], safe='')}@127.0.0.1:{nobody}/",
            "COLUMNS": "200",
        }


def outputs(directory: Path, environment: dict[str, str], *arguments: str) -> dict[str, str]:
    """Run pytest in *directory*; return all that it wrote anywhere, by file."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--perf-stack=external", *arguments,
            "--junitxml=junit.xml", "-o", "junit_logging=all", "--html=report.html", "--self-contained-html",
        ],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    found = {"stdout": done.stdout, "stderr": done.stderr}
    found |= {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    texts = {name: content.decode() for name, content in found.items() if not name.endswith((".py", ".pyc"))}
    print(texts["stdout"], texts["stderr"])  # noqa: T201 - for a reader who has to find out what is shown
    return texts


def shown(texts: dict[str, str]) -> list[str]:
    """Return each line in which a word of a secret stands."""
    word = re.compile(
        r"(?:Head|Tail)(?:Pg|Uri|Aws|Tls|Dsn|Bearer|Basic|Key|Cookie|Grpc|Base|Query|Fragment|Ftp|Slashes|Answer|Fixture|Pem)"
    )
    return [
        f"{name}: {line[max(0, found.start() - 200) : found.end() + 60]}"
        for name, text in texts.items()
        for line in html.unescape(html.unescape(text)).splitlines()
        for found in word.finditer(line)
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--perf-once", "-vv", "--showlocals", "--tb=long"),
        ("--perf-run", "--showlocals"),
        ("--perf-run", "-vv", "--showlocals", "--tb=long", "-n2"),
    ],
    ids=["once", "load", "load-n2"],
)
def test_no_output_shows_a_secret(tmp_path: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    texts = outputs(tmp_path, environment, *arguments)
    assert shown(texts) == []
    assert re.search(r"\b(2[5-9]|3\d) failed", texts["stdout"].splitlines()[-1])
    assert "Connection refused" in texts["junit.xml"]
    assert "***" in texts["report.html"]
    if "--perf-run" in arguments:
        assert len([name for name in texts if name.endswith(".json")]) > 15

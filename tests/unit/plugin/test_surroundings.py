"""The lines about the environment in the session's header."""

from __future__ import annotations

import os

import pytest

from pytest_cdcperf.plugin.surroundings import taken_over
from pytest_cdcperf.redaction import forget_secrets

SERVERS = {
    "POSTGRES_HOST": "db.example",
    "POSTGRES_PORT": "5432",
    "POSTGRES_USER": "me",
    "POSTGRES_DB": "shop",
    "MONGODB_URI": "mongodb://sink.example",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith(
            ("PG", "POSTGRES_", "SSL_", "REQUESTS_", "CURL_", "GRPC_")
        ):
            monkeypatch.delenv(name)
    yield lambda **values: [monkeypatch.setenv(name, value) for name, value in values.items()]
    forget_secrets()


def test_where_nothing_is_set_nothing_is_said():
    assert taken_over({"pg", "http_client", "requests_session", "grpc_client"}, external=True) == []


@pytest.mark.parametrize(
    ("fixture", "heeded"),
    [
        ("http_client", ["http_proxy=http://proxy.example:3128", "no_proxy=a.example", "SSL_CERT_FILE=/a.pem"]),
        ("requests_session", ["http_proxy=http://proxy.example:3128", "no_proxy=a.example", "CURL_CA_BUNDLE=/c.pem"]),
        ("grpc_client", ["http_proxy=http://proxy.example:3128", "no_proxy=a.example"]),
        ("mongo", []),
    ],
)
def test_a_variable_is_said_where_a_client_that_heeds_it_is_used(environment, fixture, heeded):
    environment(http_proxy="me:s3cr3t@proxy.example:3128", no_proxy="a.example")
    environment(SSL_CERT_FILE="/a.pem", CURL_CA_BUNDLE="/c.pem")
    assert taken_over({fixture, "vu"}, external=False) == heeded


def test_a_password_of_a_proxy_is_not_said(environment):
    environment(HTTPS_PROXY="https://me:s3cr3t@proxy.example", all_proxy="socks5://token-of-mine@proxy.example:1080")
    assert taken_over({"http_client"}, external=False) == [
        "HTTPS_PROXY=https://proxy.example",
        "all_proxy=socks5://proxy.example:1080",
    ]


def test_exemptions_from_no_proxy_at_all_are_not_said(environment):
    environment(no_proxy="a.example")
    assert taken_over({"http_client"}, external=False) == []


def test_what_libpq_heeds_is_said_for_servers_of_the_environment(environment):
    environment(**SERVERS, POSTGRES_PASSWORD="", PGSSLMODE="require", PGHOST="not.this", PGTZ="Europe/Rome")
    environment(PGOPTIONS="-c app.token=s3cr3t-s3cr3t")
    heeded = ["PGOPTIONS=-c app.token=***", "PGSSLMODE=require", "PGTZ=Europe/Rome"]
    assert taken_over({"pg"}, external=True) == heeded
    assert taken_over({"pg"}, external=False) == taken_over({"mongo"}, external=True) == []


def test_half_named_servers_are_said_elsewhere(environment):
    environment(POSTGRES_HOST="db.example", PGSSLMODE="require")
    assert taken_over({"pg"}, external=True) == []

from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.redaction import redact
from pytest_cdcperf.servers import MongoAddress, PostgresAddress, Services, services_from_environment


def test_addresses_show_no_secret():
    postgres = PostgresAddress("h", 5432, "u", password="secret")  # noqa: S106
    mongo = MongoAddress("mongodb://u:secret@h/db")
    assert str(postgres) == "postgresql://u@h:5432/cdc_source"
    assert str(mongo) == "mongodb://u:***@h/db"
    assert "secret" not in repr(Services(postgres, mongo))


def test_texts_of_who_knows_the_addresses_show_no_secret():
    Services(
        PostgresAddress("h", 1, "u", password="pg-s3cr3t"),  # noqa: S106
        MongoAddress("mongodb://u:mongo-s3cr3t@h/?authMechanismProperties=AWS_SESSION_TOKEN:aws-s3cr3t,A:b"),
    ).hide_secrets()
    assert redact("pg-s3cr3t mongo-s3cr3t aws-s3cr3t") == "*** *** ***"


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mongodb://h", "cdc_materialized"),
        ("mongodb://h/", "cdc_materialized"),
        ("mongodb://h/?authSource=admin", "cdc_materialized"),
        ("mongodb://u:p@h1:1,h2:2/shop?authSource=admin", "shop"),
    ],
)
def test_the_database_is_the_one_in_the_path(uri, database):
    assert MongoAddress(uri).database == database


FULL = {
    "POSTGRES_HOST": "h",
    "POSTGRES_PORT": "5433",
    "POSTGRES_USER": "u",
    "POSTGRES_PASSWORD": "secret",
    "POSTGRES_DB": "d",
    "MONGODB_URI": "mongodb://h/d",
}


def test_the_servers_of_the_environment():
    assert services_from_environment({**FULL, "OTHER": "x"}) == Services(
        PostgresAddress("h", 5433, "u", "d", "secret"), MongoAddress("mongodb://h/d")
    )


@pytest.mark.parametrize("missing", sorted(FULL))
def test_a_half_named_set_is_refused(missing):
    with pytest.raises(ConfigError) as refused:
        services_from_environment({name: value for name, value in FULL.items() if name != missing})
    assert refused.value.faults == (f"--perf-stack=external: not set: {missing}; these variables name your servers",)


def test_all_that_is_not_set_stands_in_one_line():
    with pytest.raises(ConfigError) as refused:
        services_from_environment({})
    assert refused.value.faults == (
        "--perf-stack=external: not set: POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, "
        "MONGODB_URI; these variables name your servers",
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "٣", "5432 "])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(ConfigError) as refused:
        services_from_environment({**FULL, "POSTGRES_PORT": port})
    assert refused.value.faults == (f"--perf-stack=external: POSTGRES_PORT is {port!r}; allowed: 1 to 65535",)


def test_all_faults_are_said_at_once_and_none_shows_a_secret():
    with pytest.raises(ConfigError) as refused:
        services_from_environment({"POSTGRES_PORT": "x", "MONGODB_URI": "http://u:secret@h"})
    assert len(refused.value.faults) == 3
    assert "MONGODB_URI must begin with mongodb:// or mongodb+srv://" in refused.value.faults[-1]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("empty", ["POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_DB"])
def test_an_empty_name_is_half_named_as_well(empty):
    with pytest.raises(ConfigError, match=empty):
        services_from_environment({**FULL, empty: ""})

from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.model.services import MongoAddress, PostgresAddress, Services, redact, services_from_environment


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("mongodb+srv://me:s%40cr/et@host/db?x=1", "mongodb+srv://me:***@host/db?x=1"),
        ("MONGODB://me:secret@h1,h2/db", "MONGODB://me:***@h1,h2/db"),
        ("redis://:secret@host", "redis://:***@host"),
        ("a://u:one@h and b://v:two@i", "a://u:***@h and b://v:***@i"),
        ("a://u:se:cr:et@h", "a://u:***@h"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://host:8080/path", "http://host:8080/path"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        ("password='se cr\\'et' user=u", "password=*** user=u"),
        ("PASSWORD = secret", "PASSWORD = ***"),
        ("nothing to hide", "nothing to hide"),
        ("", ""),
    ],
)
def test_passwords_are_hidden(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    ["mongodb://u:pass@secret@host/db", "sslpassword=secret", "PGPASSWORD=secret", "password='pass secret"],
)
def test_passwords_in_stranger_forms_are_hidden(text):
    assert "secret" not in redact(text)


def test_addresses_show_no_secret():
    postgres = PostgresAddress("h", 5432, "u", password="secret")  # noqa: S106
    mongo = MongoAddress("mongodb://u:secret@h/db")
    assert str(postgres) == "postgresql://u@h:5432/cdc_source"
    assert str(mongo) == "mongodb://u:***@h/db"
    assert "secret" not in repr(Services(postgres, mongo))


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
    assert refused.value.faults == (
        f"--perf-stack=external: {missing} is not set; set all of POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, "
        "POSTGRES_PASSWORD, POSTGRES_DB, MONGODB_URI",
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "٣", "5432 "])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(ConfigError) as refused:
        services_from_environment({**FULL, "POSTGRES_PORT": port})
    assert refused.value.faults == (f"--perf-stack=external: POSTGRES_PORT is {port!r}; allowed: 1 to 65535",)


def test_all_faults_are_said_at_once_and_none_shows_a_secret():
    with pytest.raises(ConfigError) as refused:
        services_from_environment({"POSTGRES_PORT": "x", "MONGODB_URI": "http://u:secret@h"})
    assert len(refused.value.faults) == 6
    assert "MONGODB_URI must begin with mongodb:// or mongodb+srv://" in refused.value.faults[-1]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("empty", ["POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_DB"])
def test_an_empty_name_is_half_named_as_well(empty):
    with pytest.raises(ConfigError, match=empty):
        services_from_environment({**FULL, empty: ""})


def test_a_long_word_costs_no_more_than_its_length():
    word = "y" * 1_000_000  # quadratic, it would take hours
    assert redact(word) == word

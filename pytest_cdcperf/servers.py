"""The addresses of the servers under test, as frozen values that can be shown without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.redaction import hide, hide_url, redact

SOURCE_DATABASE = "cdc_source"
SINK_DATABASE = "cdc_materialized"
SET_ASIDE = "cdcperf_set_aside"
"""The collection that names the tables which the embedded pipeline could not carry: {_id, collection, reason}."""

_POSTGRES_NAMES = ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")


AUTO = "auto"
NEVER = "never"


@dataclass(frozen=True)
class PostgresOptions:
    """The options of the driver for the server.

    *prepare_threshold*: how often a connection runs a statement before it prepares it on the server, "never", or
    "auto": 5, but never behind a connection pooler. *pool_mode*: that of such a pooler, "session" where it keeps
    sessions apart.
    """

    prepare_threshold: int | str = AUTO
    pool_mode: str = "transaction"


@dataclass(frozen=True)
class PostgresAddress:
    """The address of a PostgreSQL database, and the role that logs in; *embedded* where it is the session's own.

    >>> PostgresAddress("localhost", 5432, "ada", dbname="shop").port
    5432
    """

    host: str
    port: int
    user: str
    dbname: str = SOURCE_DATABASE
    password: str | None = field(default=None, repr=False)
    embedded: bool = False

    def hide_secrets(self) -> None:
        """Let no text of this process show the password."""
        hide(self.password)

    def __str__(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.dbname}"


@dataclass(frozen=True)
class MongoAddress:
    """The address of a MongoDB-wire server. The database is the one in the URI's path.

    >>> MongoAddress("mongodb://localhost:27017/shop").database
    'shop'
    """

    uri: str = field(repr=False)

    @property
    def database(self) -> str:
        """The database that the URI's path names, :data:`SINK_DATABASE` where it names none."""
        return urlsplit(self.uri).path.lstrip("/") or SINK_DATABASE

    def hide_secrets(self) -> None:
        """Let no text of this process show what is secret in the URI."""
        hide_url(self.uri)

    def __str__(self) -> str:
        return redact(self.uri)


@dataclass(frozen=True)
class Services:
    """The servers of one session."""

    postgres: PostgresAddress
    mongo: MongoAddress

    def hide_secrets(self) -> None:
        """Let no text of this process show how we log in."""
        self.postgres.hide_secrets()
        self.mongo.hide_secrets()


def services_from_environment(environ: Mapping[str, str]) -> Services:
    """Read the external servers from the environment names POSTGRES_* and MONGODB_URI.

    :raises ConfigError: when a name is missing or a value cannot be used: a half-named set of servers
        is refused, because scenarios write and delete
    """
    hide(environ.get("POSTGRES_PASSWORD"))
    hide_url(environ.get("MONGODB_URI", ""))
    unset = [
        name
        for name in (*_POSTGRES_NAMES, "MONGODB_URI")
        if not environ.get(name) and (name != "POSTGRES_PASSWORD" or name not in environ)
    ]
    faults = []
    if unset:
        faults.append(f"--perf-stack=external: not set: {', '.join(unset)}; these variables name your servers")
    port = environ.get("POSTGRES_PORT", "5432")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        faults.append(f"--perf-stack=external: POSTGRES_PORT is {port!r}; allowed: 1 to 65535")
    uri = environ.get("MONGODB_URI", "mongodb://")
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        faults.append("--perf-stack=external: MONGODB_URI must begin with mongodb:// or mongodb+srv://")
    if faults:
        raise ConfigError(*faults)
    return Services(
        PostgresAddress(
            host=environ["POSTGRES_HOST"],
            port=int(port),
            user=environ["POSTGRES_USER"],
            password=environ["POSTGRES_PASSWORD"],
            dbname=environ["POSTGRES_DB"],
        ),
        MongoAddress(uri),
    )

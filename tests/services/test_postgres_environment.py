"""The environment of libpq: ignored for the embedded server, used for the user's own."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import pq

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.clients.postgres.libpq import shielded, taken_over
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.errors import UnreachableError

SENT = ("PGTZ", "PGDATESTYLE", "PGGEQO")
VARIABLES = [
    *(option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar is not None),
    *("PGSERVICEFILE", "PGSYSCONFDIR", *SENT),
]
SESSION = """
SELECT current_setting('timezone') || current_setting('datestyle') || current_setting('geqo')
    || current_setting('client_encoding') || current_setting('application_name') AS all, current_user AS me
"""


@pytest.mark.parametrize("variables", [*([name] for name in VARIABLES), VARIABLES], ids=lambda names: names[0])
def test_no_variable_reaches_the_embedded_server(
    shared_stack: EmbeddedStack, variables: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables:
        monkeypatch.setenv(name, "nonsense")
    with shielded(), closing(Postgres(shared_stack.services.postgres)) as pg:
        assert pg.execute(SESSION) == [{"all": "UTCISO, MDYonUTF8pytest-cdcperf", "me": "postgres"}]
    assert all(os.environ[name] == "nonsense" for name in variables)


def test_a_service_that_libpq_finds_is_left_to_the_other_connections_and_changes_nothing(
    shared_stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "services").write_text("[mine]\nhost=192.0.2.1\nsslmode=require\noptions=-c timezone=Asia/Tokyo\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "mine")
    with shielded(), closing(Postgres(shared_stack.services.postgres)) as pg:
        assert os.environ["PGSERVICE"] == "mine"
        assert pg.execute("SELECT current_setting('timezone') AS zone") == [{"zone": "UTC"}]


def test_what_a_server_of_the_users_is_reached_with_is_named_where_it_fails(
    shared_stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    theirs = replace(shared_stack.services.postgres, embedded=False)
    assert taken_over(theirs) == []
    for name in ("PGSSLMODE", "PGTZ", "PGUSER", "PGPASSWORD"):
        monkeypatch.setenv(name, "require")
    assert taken_over(theirs) == ["PGSSLMODE", "PGTZ"]
    assert taken_over(replace(theirs, password=None)) == ["PGPASSWORD", "PGSSLMODE", "PGTZ"]
    assert taken_over(shared_stack.services.postgres) == []
    with closing(Postgres(theirs)) as pg, pytest.raises(UnreachableError) as caught:
        pg.ping()
    assert str(caught.value).endswith(
        "server does not support SSL, but SSL was required (the environment sets PGSSLMODE, PGTZ)"
    )
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGTZ", "Europe/Rome")
    with closing(Postgres(theirs)) as pg:
        assert pg.execute("SELECT current_setting('timezone') AS zone") == [{"zone": "Europe/Rome"}]

"""Statements that surely changed no row are noted."""

from __future__ import annotations

import contextvars

import pytest

from pytest_cdcperf.clients.effects import Effects, note_statement
from pytest_cdcperf.clients.postgres.statements import delete_statement, query_statement, update_statement

UPDATE = update_statement("row", ("a",), ("id",))
DELETE = delete_statement("row", ("id",))


@pytest.mark.parametrize(
    ("done", "are_none"),
    [
        ([], False),
        ([(UPDATE, 0)], True),
        ([(UPDATE, 0), (DELETE, 0)], True),
        ([(UPDATE, 1)], False),
        ([(UPDATE, 0), (DELETE, 1)], False),
        ([(query_statement("update row set a = 1"), 0)], True),
        ([(query_statement("BEGIN"), -1), (UPDATE, 0), (query_statement("COMMIT"), -1)], True),
        ([(UPDATE, 0), (query_statement("SELECT change_it()"), 1)], False),
        ([(query_statement("INSERT INTO row SELECT"), 0)], False),  # a trigger may have put it elsewhere
        ([(query_statement("TRUNCATE row"), -1)], False),
    ],
)
def test_only_updates_and_deletes_that_found_no_row_changed_nothing_for_sure(done, are_none):
    with Effects() as effects:
        for statement, rows in done:
            statement.done(0, rows)
    assert effects.are_none is are_none


def test_an_outer_block_notes_what_an_inner_one_does():
    with Effects() as outer:
        with Effects() as inner:
            note_statement(void=True)
        assert inner.are_none
        assert outer.are_none
        note_statement()
    note_statement(void=True)
    assert inner.are_none
    assert not outer.are_none


def test_a_block_that_is_left_in_another_context_changes_nothing_there():
    effects = Effects()
    contextvars.copy_context().run(effects.__enter__)
    with Effects() as other:
        effects.__exit__(None, None, None)
        note_statement(void=True)
    assert other.are_none
    assert not effects.are_none

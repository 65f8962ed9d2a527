"""Statements that are compiled once: what is given each time, and what they hold."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from vrtracker.database.prepared import Prepared

TABLE = sa.Table(
    "sessions", sa.MetaData(), sa.Column("number", sa.Integer), sa.Column("a b", sa.Text)
)
DIALECTS = [sqlite.dialect(), postgresql.psycopg.dialect()]


def values(parameters: object) -> list[object]:
    return [*parameters.values()] if isinstance(parameters, dict) else [*parameters]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_what_has_a_name_may_be_given_anew_and_what_has_none_stays(dialect):
    after, number = sa.bindparam("after", 0), TABLE.c.number
    prepared = Prepared(sa.select(number).where(number > after, number < 9), dialect)

    assert sorted(values(prepared.parameters({}))) == [0, 9]
    assert sorted(values(prepared.parameters({"after": 5}))) == [5, 9]
    assert sorted(values(prepared.parameters({}))) == [0, 9]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_columns_with_blanks_and_lists_find_their_places(dialect):
    wanted = TABLE.c.number.in_([7, 8]), TABLE.c["a b"] == sa.bindparam("a b")
    prepared = Prepared(sa.select(TABLE).where(*wanted), dialect)

    given = prepared.parameters({"a b": "x"})

    assert sorted(map(str, values(given))) == ["7", "8", "x"]
    assert "x" in values(given)
    if isinstance(given, dict):
        assert all(f"%({name})s" in prepared.sql for name in given)


def test_value_that_is_missing_is_an_error_of_the_caller():
    prepared = Prepared(sa.insert(TABLE).values(number=sa.bindparam("number")), DIALECTS[0])
    with pytest.raises(KeyError, match="number"):
        prepared.parameters({})

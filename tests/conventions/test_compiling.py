"""What the tests' labs share of compiled statements changes none of them."""

from __future__ import annotations

from unittest import mock

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import Compiled

from support.sample_lab import open_lab
from vrtracker.database import engines

TABLE = sa.Table("shared", sa.MetaData(), sa.Column("number", sa.Integer))


def prepared(value: object, dialect: sa.Dialect):
    wanted = sa.bindparam("wanted", value, sa.Integer)
    return engines.Prepared(sa.select(TABLE).where(TABLE.c.number == wanted), dialect)


def test_second_lab_compiles_nothing_that_the_first_has_compiled(backend):
    urls = [backend.migrated_url(), backend.migrated_url()]
    with open_lab(urls[0]) as tracker:
        tracker.mice.add("ATL012")

    with (
        mock.patch.object(Compiled, "__init__", side_effect=AssertionError("compiled")),
        open_lab(urls[1]) as tracker,
    ):
        tracker.mice.add("ATL013")

    with open_lab(urls[1]) as tracker:
        assert [mouse.mouseName for mouse in tracker.mice.iter()] == ["ATL013"]


@pytest.mark.parametrize("other", [2, 1.0, True])
def test_statements_with_other_fixed_values_are_not_the_same(other: object):
    dialect = sqlite.dialect()

    values = [prepared(value, dialect).parameters({}) for value in (1, other)]

    assert [repr(value) for value in values] == [repr([1]), repr([other])]


def test_dialects_do_not_share():
    assert "?" in prepared(1, sqlite.dialect()).sql
    assert "?" not in prepared(1, postgresql.dialect()).sql

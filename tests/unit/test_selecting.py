"""A selection in SQL: whose text holds no value of the caller's, and what it says of itself."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from vrtracker.database import Tables
from vrtracker.domain.stages import StageGraph
from vrtracker.errors import InvalidKeyError
from vrtracker.models import Dataset, Mouse, Session
from vrtracker.repositories.listing import Listing, where
from vrtracker.repositories.selecting import Selection, selection_of

TABLES = Tables({})
NOON = dt.datetime(2026, 3, 2, 23, 30, tzinfo=dt.UTC)
EAST = dt.timezone(dt.timedelta(hours=2))


def compiled(asked: Any, **filters: Any) -> Any:
    """Return the statement of a selection for SQLite."""
    selection = selection_of(asked, filters).known_to(StageGraph(()), lambda: NOON, EAST)
    statement: Any = select(TABLES.sessions.c.uSessionID)
    statement = where(statement, TABLES, TABLES.sessions, Listing(selection))
    return statement.compile(dialect=sqlite.dialect())


@pytest.mark.parametrize(
    "condition",
    [
        "experimentType {} '{}'",
        "not sessionNotes {} '{}' or imaging",
        "mouse.notes {} '{}'",
        "has_dataset {} '{}'",
    ],
)
@given(operator=st.sampled_from(("=", "!=", "like")), text=st.text("aZ'\"%_;-\\(){}é", min_size=3))
def test_a_text_of_a_condition_is_a_parameter_and_no_part_of_the_statement(
    condition, operator, text
):
    marked = f"§mark§{text}"
    statement = compiled(condition.format(operator, marked.replace("'", "''")))

    assert "§mark§" not in str(statement)
    assert any("§mark§" in str(value) for value in statement.params.values())


@pytest.mark.parametrize(
    ("asked", "filters"),
    [
        ("sessionID > 98765", {}),
        ("age_weeks < 98765", {}),
        ("days_since_last in (98765, 4)", {}),
        ("not nth_session between 98765 and 98769", {}),
        (None, {"nth_session": (98765, None)}),
        ("sessionDate = 9876-05-04", {}),
        ("changed_since = 9876-05-04", {}),
    ],
)
def test_numbers_and_days_are_parameters_too(asked, filters):
    assert "9876" not in str(compiled(asked, **filters))


def test_today_is_the_labs_day():
    (value,) = compiled("sessionDate = today - 1 week").params.values()

    assert value == dt.date(2026, 2, 24)


def test_time_is_asked_for_only_where_a_condition_goes_by_it():
    def never() -> dt.datetime:
        raise AssertionError

    stages = StageGraph(())
    for asked in ("imaging and mouse.KO", "nth_session = 1 and age_weeks > 3", None):
        assert selection_of(asked, {}).known_to(stages, never, None).setting is None
    for asked in ("sessionDate < today", "qc.session = PASS", "state.suite2p = done"):
        with pytest.raises(AssertionError):
            selection_of(asked, {}).known_to(stages, never, None)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("imaging and (mouse.KO or not sessionQC)", {"imaging", "mouse__KO", "sessionQC"}),
        ({"mouse.KO": True, "state": {"suite2p": "done"}}, {"mouse__KO", "state__suite2p"}),
        (Session.imaging & (Mouse.KO), {"imaging", "KO"}),
        ("M1.2023-01-20.1", {"mouseName", "sessionDate", "sessionID"}),
        (None, set()),
        ({}, set()),
    ],
)
def test_a_selection_knows_what_it_asks_for_here_and_elsewhere(asked, names):
    selection = selection_of(asked, {})
    again = pickle.loads(pickle.dumps(selection))

    for each in (selection, again, selection & Selection()):
        assert each.names == names
        assert bool(each) is bool(names)
        assert each.is_key is ("sessionID" in names)
        assert each.shows_scratched is (each.is_key or "sessionQC" in names)


def test_sessions_are_named_by_key_or_number_and_not_by_what_refers_to_them():
    recorded = Session.uSessionID.in_(select(Dataset.uSessionID))

    for named in ("M1.2023-01-20.1", {"uSessionID": [1, 2]}, "uSessionID = 1"):
        assert selection_of(named, {}).is_named
    for other in (recorded, {"sessionID": 1}, "imaging", None):
        assert not selection_of(other, {}).is_named


@pytest.mark.parametrize("nonsense", [701, 1.5, ("M1", "2023-01-20"), object])
def test_what_selects_nothing_is_told_what_a_key_is(nonsense):
    with pytest.raises(InvalidKeyError, match=r"ATL012\.2023-01-20\.702"):
        selection_of(nonsense, {})

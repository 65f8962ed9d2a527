"""Filters compile to SQL whose text holds no value of the caller's, unless it is a long list."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models import Base
from vrtracker.repositories.filters import OPERATORS, condition
from vrtracker.repositories.values import Coercer

TABLE = Base.metadata.tables["sessiondb"]
COERCER = Coercer(TABLE)


def compiled(name: str, wanted: Any) -> Any:
    return condition(TABLE.c[name], COERCER, wanted).compile()


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text and text.isascii()))
def test_value_is_a_parameter_and_no_part_of_the_statement(text):
    statement = compiled("experimentType", text)

    assert list(statement.params.values()) == [text]
    assert str(statement) == 'sessiondb."experimentType" = :experimentType_1'


@given(st.text(max_size=20))
def test_operator_is_one_of_ours_or_refused(operator):
    known = {*OPERATORS, "=", "<>", "not in", "is null"}
    if operator.strip().lower() in known:
        return
    with pytest.raises(UnknownNameError) as refused:
        compiled("experimentType", ("x", operator))

    assert refused.value.kind == "operator"
    assert set(refused.value.known) == set(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_message_about_an_unknown_operator_names_the_nearest(operator):
    with pytest.raises(UnknownNameError) as refused:
        compiled("experimentType", ("x", f"{operator}{operator[-1]}x"))

    assert refused.value.name not in OPERATORS


@pytest.mark.parametrize("spelling", [" == ", "=", "IN", "Not In", "BETWEEN", "Is Null", "LIKE"])
def test_operator_is_read_in_every_case(spelling):
    values = {"in": ["x"], "not in": ["x"], "between": ["a", "b"], "is null": True}

    compiled("experimentType", (values.get(spelling.lower(), "x"), spelling))


@pytest.mark.parametrize("operator", ["==", "!=", "<"])
@pytest.mark.parametrize("values", [["x", "y"], ("x", "y"), []], ids=str)
def test_several_values_for_an_operator_of_one_are_told_how_to_be_written(operator, values):
    with pytest.raises(InvalidValueError, match=r"takes one value.* list alone or \(list, 'in'\)"):
        compiled("mouseName", (values, operator))


def test_missing_values_are_compared_where_they_can_be():
    assert "IS NULL" in str(compiled("numPlanes", None))
    assert "IS NOT NULL" in str(compiled("numPlanes", (None, "!=")))
    assert "IS NULL" in str(compiled("numPlanes", (5, "!=")))
    assert "IS NULL" not in str(compiled("sessionID", (5, "!=")))
    assert "IS NULL" in str(compiled("numPlanes", [5, None]))
    assert "IS NOT NULL" in str(compiled("numPlanes", ([5, None], "not_in")))


def test_empty_list_matches_nothing_and_its_opposite_everything():
    assert str(compiled("numPlanes", [])) in {"false", "0 = 1"}
    assert str(compiled("numPlanes", ([], "not_in"))) in {"true", "1 = 1"}


def test_flags_are_compared_with_true_and_false():
    yes, no = 1, 0

    assert compiled("imaging", yes).params == {}
    assert str(compiled("imaging", "no")) == str(compiled("imaging", no))
    assert str(compiled("imaging", (yes, "!="))) == str(compiled("imaging", no))


def test_list_of_values_that_are_equal_holds_one():
    clause = condition(TABLE.c.numPlanes, COERCER, [5, "5", 5.0])

    (values,) = clause.compile().params.values()
    assert values == [5]


def test_list_of_dates_is_bound_as_the_column_is():
    clause = condition(TABLE.c.sessionDate, COERCER, ["2023-01-20"])

    bound = [part for part in sa.sql.visitors.iterate(clause) if isinstance(part, sa.BindParameter)]
    assert [type(part.type) for part in bound] == [type(TABLE.c.sessionDate.type)]


@pytest.mark.parametrize(
    "wanted", [(1, 2), (1, 2, 3), (1,), (), ("x", None), ("x", b"==")], ids=repr
)
def test_tuple_that_is_no_pair_of_value_and_operator_is_refused(wanted):
    with pytest.raises(InvalidValueError, match="list"):
        compiled("numPlanes", wanted)


def test_backslash_of_a_pattern_stands_for_itself():
    statement = compiled("experimentType", ("C:\\data~%", "like"))

    # Another letter takes its place as the escape, and then has to escape itself.
    assert "ESCAPE '~'" in str(statement)
    assert list(statement.params.values()) == ["C:\\data~~%"]

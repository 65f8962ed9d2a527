"""The grammar of conditions: what is read, and how an error points at its place."""

from __future__ import annotations

import datetime as dt

import pytest

from vrtracker.domain.conditions import All, Any_, Comparison, FromToday, Not, parse_condition
from vrtracker.errors import ConditionError, InvalidValueError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("imaging", Comparison("imaging", "is_true")),
        ("mouse.KO", Comparison("mouse.KO", "is_true")),
        ("`vr date` = 3", Comparison("vr date", "==", ("3",))),
        ("sessionID>=701", Comparison("sessionID", ">=", ("701",))),
        ("mouseName~ATL%", Comparison("mouseName", "like", ("ATL%",))),
        ("experimentType=", Comparison("experimentType", "==", (None,))),
        ("a is not missing", Comparison("a", "!=", (None,))),
        ("a=b,c", Comparison("a", "in", ("b", "c"))),
        ("a != b, c", Comparison("a", "not_in", ("b", "c"))),
        ("a <> 'it''s'", Comparison("a", "!=", ("it's",))),
        ("a in ('VR', \"Blender VR\")", Comparison("a", "in", ("VR", "Blender VR"))),
        ("a between 1 and 2", Comparison("a", "between", ("1", "2"))),
        ("a not like 'x%'", Not(Comparison("a", "like", ("x%",)))),
        ("a not Contains 50%_", Not(Comparison("a", "contains", ("50%_",)))),
        ("d >= today - 7 days", Comparison("d", ">=", (FromToday(-7),))),
        ("d < TODAY + 2 weeks", Comparison("d", "<", (FromToday(14),))),
        ("d = today", Comparison("d", "==", (FromToday(),))),
        ("order = inside", Comparison("order", "==", ("inside",))),
        ("kind=Blender VR", Comparison("kind", "==", ("Blender VR",))),
        ("kind = Blender VR, two  words", Comparison("kind", "in", ("Blender VR", "two  words"))),
        ("lab column=1", Comparison("lab column", "==", ("1",))),
        ("a=it's", Comparison("a", "==", ("it's",))),
        ("a=x=y", Comparison("a", "==", ("x=y",))),
        ("a='two\nlines'", Comparison("a", "==", ("two\nlines",))),
        ("a IS Missing", Comparison("a", "==", (None,))),
        ("a NOT IN (today)", Comparison("a", "not_in", (FromToday(),))),
    ],
)
def test_a_comparison_is_read(text, read):
    assert parse_condition(text) == read


def test_and_binds_more_than_or_and_not_more_than_both():
    a, b, c = (Comparison(name, "is_true", (), at) for name, at in (("a", 0), ("b", 9), ("c", 15)))
    assert parse_condition("a or not b and c") == Any_((a, All((Not(b), c))))
    assert isinstance(parse_condition("(a or b) and c"), All)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("imaging and", 11, "a name"),
        ("sessionID >=", 12, "a value"),
        ("a in 1", 5, "("),
        ("(a or b", 7, ")"),
        ("a ! b", 2, "!="),
        ("a=1 b=2", 4, "and"),
        ("a and and b", 6, "not"),
        ("d > today - 7 parrots", 14, "days or weeks"),
        ("a='no end", 2, "a value"),
        ("", 0, "not"),
    ],
)
def test_an_error_points_at_its_place_and_says_what_was_expected(text, at, expected):
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert caught.value.at == at
    assert expected in caught.value.expected
    said, line, caret = str(caught.value).split("\n")
    assert expected in said
    assert (line, caret) == (f"  {text}", f"  {' ' * at}^")


def test_an_empty_value_before_and_is_a_missing_one():
    missing, flag = Comparison("a", "==", (None,)), Comparison("b", "is_true", (), 7)
    assert parse_condition("a= and b") == All((missing, flag))


@pytest.mark.parametrize(
    "text",
    [
        "not " * 60 + "a",
        "(" * 3 + " or ".join(["a"] * 201) + ")" * 3,
        "(" * 100_000 + "a" + ")" * 100_000,
        "a or " * 200_000 + "!",
    ],
    ids=lambda text: text[:10],
)
def test_what_no_database_takes_is_refused_before_it_is_read_to_its_end(text):
    with pytest.raises(ConditionError, match="more than"):
        parse_condition(text)


def test_the_caret_stays_under_its_place_in_a_long_text_of_several_lines():
    text = f"{'a = 1 and ' * 20}\n\tb ! 2"
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    _, line, caret = str(caught.value).split("\n")
    assert line[caret.index("^")] == "!"
    assert len(line) < len(text)


def test_a_number_of_days_that_nobody_can_count_is_read_and_its_day_refused():
    condition = parse_condition(f"sessionDate < today - {'9' * 5000} weeks")

    assert isinstance(condition, Comparison)
    (value,) = condition.values
    assert isinstance(value, FromToday)
    with pytest.raises(InvalidValueError, match="years 1 to 9999"):
        value.date(dt.date(2026, 3, 2))

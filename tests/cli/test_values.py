"""What is typed becomes filters, values, options and sizes; what cannot be read is refused."""

from __future__ import annotations

import pytest

from vrtracker.cli.values import filters_of, names_of, options_of, size_of, values_of
from vrtracker.errors import InvalidValueError


@pytest.mark.parametrize(
    ("text", "column", "wanted"),
    [
        ("imaging=true", "imaging", ("true", "==")),
        ("imaging == true", "imaging", ("true", "==")),
        ("sessionID>=701", "sessionID", ("701", ">=")),
        ("sessionID <= 701", "sessionID", ("701", "<=")),
        ("sessionID>701", "sessionID", ("701", ">")),
        ("sessionID<701", "sessionID", ("701", "<")),
        ("sessionID!=701", "sessionID", ("701", "!=")),
        ("sessionID<>701", "sessionID", ("701", "!=")),
        ("mouseName~ATL%", "mouseName", ("ATL%", "like")),
        ("sessionNotes~a, b%", "sessionNotes", ("a, b%", "like")),
        ("experimentType=", "experimentType", (None, "==")),
        ("experimentType!=", "experimentType", (None, "!=")),
        ("experimentID=1,2", "experimentID", (["1", "2"], "in")),
        ("experimentID=1, 2", "experimentID", (["1", "2"], "in")),
        ("experimentID!=1,2", "experimentID", (["1", "2"], "not_in")),
        ('sessionNotes="slow, late"', "sessionNotes", ("slow, late", "==")),
        ("sessionNotes=two\nlines", "sessionNotes", ("two\nlines", "==")),
        ('sessionNotes="two\nlines",one', "sessionNotes", (["two\nlines", "one"], "in")),
        ("sessionNotes=a=b", "sessionNotes", ("a=b", "==")),
        ("lab column=1", "lab column", ("1", "==")),
    ],
)
def test_condition_is_read(text: str, column: str, wanted: object):
    assert filters_of([text]) == {column: wanted}


@pytest.mark.parametrize("text", ["", "imaging", "=true", ">=3"])
def test_text_without_column_and_operator_is_no_condition(text: str):
    with pytest.raises(InvalidValueError, match="is no condition"):
        filters_of([text])


def test_list_with_a_bare_line_break_is_refused():
    with pytest.raises(InvalidValueError, match="double quotes"):
        filters_of(["sessionNotes=a,b\nc"])


def test_options_become_filters():
    filters = filters_of(["sessionID=701"], mouse=["A", "B"], date="2023-01-20", imaging=False)

    assert filters == {
        "sessionID": ("701", "=="),
        "mouseName": (["A", "B"], "in"),
        "sessionDate": ("2023-01-20", "=="),
        "imaging": (False, "=="),
    }


def test_since_and_until_make_a_range():
    filters = filters_of(since="2023-01-20", until="2023-02-01")

    assert filters == {"sessionDate": (["2023-01-20", "2023-02-01"], "between")}


def test_two_ends_of_a_range_are_joined_in_either_order():
    filters = filters_of(["sessionID<=703", "sessionID>=701"])

    assert filters == {"sessionID": (["701", "703"], "between")}


@pytest.mark.parametrize(
    "where", [["a=1", "a=2"], ["a>=1", "a>=2"], ["a>=1", "a<=2", "a=1"], ["a>1", "a<=2"]]
)
def test_conditions_that_cannot_be_joined_are_refused(where: list[str]):
    with pytest.raises(InvalidValueError, match="a is filtered"):
        filters_of(where)


def test_values_are_read():
    assert values_of(["a=1", "b = two words ", "c=", "d=x=y"]) == {
        "a": "1",
        "b": "two words",
        "c": None,
        "d": "x=y",
    }


@pytest.mark.parametrize("given", [["a"], ["=1"], ["a=1", "a=2"]])
def test_values_that_are_no_assignments_are_refused(given: list[str]):
    with pytest.raises(InvalidValueError, match="--set"):
        values_of(given)


def test_options_hold_json_or_text():
    given = ["n=3", "x=0.5", "on=true", 'names=["a"]', "path=lab/x", "none=null"]

    assert options_of(given) == {
        "n": 3,
        "x": 0.5,
        "on": True,
        "names": ["a"],
        "path": "lab/x",
        "none": None,
    }


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50e9),
        ("50 gb", 50e9),
        ("1.5TB", 1.5e12),
        ("10kB", 1e4),
        ("3MB", 3e6),
        ("1GiB", 2**30),
        ("1000", 1000),
        ("7B", 7),
        (".5MB", 5e5),
    ],
)
def test_size_is_read(text: str, size: float):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "50 parrots", "-1GB", "0", "1e9", "50GBs"])
def test_text_that_is_no_size_is_refused(text: str):
    with pytest.raises(InvalidValueError, match="is not a size"):
        size_of(text)


def test_names_are_split():
    assert names_of("a, b,c") == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", ",", "a,a"])
def test_names_that_are_none_or_double_are_refused(text: str):
    with pytest.raises(InvalidValueError, match="no list of names"):
        names_of(text)

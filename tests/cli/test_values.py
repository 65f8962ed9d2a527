"""What is typed becomes filters, values, options and sizes; what cannot be read is refused."""

from __future__ import annotations

import pytest

from vrtracker.cli.filters import filters_of
from vrtracker.cli.values import names_of, options_of, size_of, values_of
from vrtracker.domain.conditions import Comparison
from vrtracker.errors import ConditionError, InvalidValueError
from vrtracker.repositories.selecting import Filters


def test_conditions_and_options_are_parts_that_all_have_to_hold():
    selection = filters_of(
        ["sessionID=701 or KO", "numPlanes="], mouse=["A", "B"], since="2023-01-20", imaging=False
    )

    *_, first, second = selection.parts
    assert selection.parts[0] == Filters(
        (("mouseName", ["A", "B"]), ("sessionDate", ("2023-01-20", ">=")), ("imaging", False))
    )
    assert [first.text, second.text] == ["sessionID=701 or KO", "numPlanes="]
    assert second.condition == Comparison("numPlanes", "==", (None,))


def test_without_options_everything_is_selected():
    assert not filters_of()


def test_a_condition_that_cannot_be_read_is_shown_with_its_place():
    with pytest.raises(ConditionError, match=r"\n  imaging and\n             \^$"):
        filters_of(["imaging and"])


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

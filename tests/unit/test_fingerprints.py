"""Tables with the same rows have the same fingerprint, and no others."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from vrtracker.domain.fingerprints import Fingerprint

ROWS = [(1, "a", None), (2, "b", 0.1), (2, "b", 0.1)]


def hash_of(rows, columns=("number", "name", "weight")) -> str:
    made = Fingerprint(columns)
    made.add(rows)
    return made.hash


def test_order_and_portions_do_not_matter():
    made = Fingerprint(("number", "name", "weight"))
    made.add(ROWS[2:])
    made.add(ROWS[:2])

    assert made.rows == 3
    assert made.hash == hash_of(ROWS)


@pytest.mark.parametrize(
    "rows",
    [ROWS[:2], [*ROWS, ROWS[2]], [*ROWS[:2], (2, "b", 0.1 + 1e-16)], [("1", "a", None), *ROWS[1:]]],
    ids=["a row less", "a row more", "another number", "a text for a number"],
)
def test_other_rows_have_another_hash(rows):
    assert hash_of(rows) != hash_of(ROWS)


def test_other_columns_have_another_hash():
    assert hash_of(ROWS, ("number", "name", "length")) != hash_of(ROWS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, ""),
        (None, "None"),
        (True, 1),
        (1, 1.0),
        (b"a", "a"),
        (b"a", "61"),
        (dt.date(2023, 1, 20), "2023-01-20"),
        (dt.datetime(2023, 1, 20), dt.date(2023, 1, 20)),
        (Decimal("1.5"), "1.5"),
        ("a\ud800", "a?"),
    ],
)
def test_values_that_look_alike_are_told_apart(one, other):
    assert hash_of([(one,)], ("x",)) != hash_of([(other,)], ("x",))


def test_zeros_at_the_end_of_a_decimal_do_not_matter():
    assert hash_of([(Decimal("1.50"),)], ("x",)) == hash_of([(Decimal("1.5"),)], ("x",))

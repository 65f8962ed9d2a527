"""Rows as they are compared with what the history holds of them."""

from __future__ import annotations

import datetime as dt
import hashlib

from vrtracker.domain.records import MouseRecord, row_digest, values_of

NOON = dt.datetime(2023, 1, 20, 12)
MOUSE = MouseRecord(
    *(7, "M'1", True, False, False, False, "1.3", None, "f", NOON.date(), None, "C57", "50 % off"),
    extra={"weight (%)": 91.5, "seen": NOON},
)


def of_repr(values: dict[str, object]) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=12).hexdigest()


def test_digest_of_a_row_is_the_one_that_databases_hold_already():
    told = {"experimentID": 3, "seen": NOON.replace(microsecond=5)}

    assert row_digest(MOUSE) == of_repr(values_of(MOUSE)) == "f4e4cffa6e12d6e16835be32"
    assert row_digest(MOUSE, told) == of_repr(values_of(MOUSE) | told | {"seen": NOON})

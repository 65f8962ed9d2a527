"""Which messages of failures are alike."""

from __future__ import annotations

import pytest

from vrtracker.domain.failures import (
    MOST_TEXT,
    Failure,
    grouped,
    message_of,
    normal_message,
    traceback_of,
)
from vrtracker.domain.keys import SessionKey


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        (
            "cannot reshape array of size 0 into shape (3, 14)",
            "cannot reshape array of size <n> into shape (<n>, <n>)",
        ),
        ("[Errno 13] Permission denied: '/mnt/a b/x.npy'", "[Errno <n>] Permission denied: <path>"),
        (r"no file C:\data\ATL012\2023-01-20\702, sorry", "no file <path>, sorry"),
        ("ATL012.2023-01-20.702: no frames", "<key>: no frames"),
        ("ATL012/2023-01-20/702 is missing stat", "<key> is missing stat"),
        ("object at 0x7f3a21 took 1.5e-3 s\n twice", "object at <n> took <n> s twice"),
        ("suite2p wrote float64, not float32", "suite2p wrote float64, not float32"),
        ("it's either/or, isn't it", "it's either/or, isn't it"),
    ],
)
def test_what_differs_from_session_to_session_is_left_out(message: str, normal: str):
    assert normal_message(message) == normal


def test_type_stands_for_a_missing_message():
    assert normal_message(" ", "AssertionError") == "AssertionError"
    assert normal_message(None) == "no message"


def test_both_ends_are_kept_of_a_long_message_however_often_it_is_kept():
    error = ValueError("first" + "x" * 5_000_000 + "last")

    kept = message_of(error)

    assert len(kept) <= MOST_TEXT
    assert kept.startswith("firstx")
    assert "characters left out" in kept
    assert kept.endswith("xlast")
    assert message_of(ValueError(kept)) == kept
    assert len(traceback_of(error)) <= MOST_TEXT


def test_name_of_a_group_depends_on_stage_and_message_alone():
    def named(number: int, **values: str) -> str:
        given = {"stage": "registration", "message": f"size {number}", **values}
        key = SessionKey.parse(f"M1.2023-01-20.{number}")
        return grouped([Failure(key=key, number=number, **given)])[0].group

    assert named(1) == named(2)
    assert named(1) != named(1, stage="significant")
    assert named(1) != named(1, message="shape 1")


def test_most_frequent_group_comes_first():
    def failure(number: int, message: str) -> Failure:
        key = SessionKey.parse(f"M1.2023-01-20.{number}")
        return Failure(key=key, number=number, stage="registration", message=message)

    groups = grouped([failure(1, "rare"), failure(2, "usual 2"), failure(3, "usual 3")])

    assert [(group.message, group.numbers) for group in groups] == [
        ("usual <n>", (2, 3)),
        ("rare", (1,)),
    ]

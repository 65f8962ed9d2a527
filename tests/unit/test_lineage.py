"""Whose a key is in the history, and since and until when."""

from __future__ import annotations

import pytest

from vrtracker.domain.told import Move, Span, lineage


@pytest.mark.parametrize("at", [None, 1, 40])
def test_key_that_nobody_changed_is_of_one_subject(at):
    assert lineage("A", [Move(7, "B", "C")], at=at) == [Span("A", None, None)]


@pytest.mark.parametrize(("key", "at"), [("A", 3), ("B", 12), ("C", 20), ("C", None)])
def test_subject_is_the_same_under_each_of_its_keys(key, at):
    moves = [Move(10, "A", "B"), Move(20, "B", "C")]

    assert lineage(key, moves, at=at) == [
        Span("A", None, 10),
        Span("B", 10, 20),
        Span("C", 20, None),
    ]


def test_key_that_was_given_up_begins_anew():
    moves = [Move(10, "A", "B")]

    assert lineage("A", moves) == [Span("A", 10, None)]
    assert lineage("A", moves, at=11) == [Span("A", 10, None)]
    assert lineage("A", moves, at=9) == lineage("B", moves)


def test_key_ends_where_another_subject_gets_it():
    moves = [Move(10, "A", "B"), Move(20, "C", "B")]

    assert lineage("A", moves, at=9) == [Span("A", None, 10), Span("B", 10, 20)]
    assert lineage("B", moves) == [Span("C", None, 20), Span("B", 20, None)]


def test_circle_of_keys_is_followed_once_around():
    moves = [Move(10, "A", "B"), Move(20, "B", "A"), Move(30, "A", "B")]

    assert lineage("B", moves) == [
        Span("A", None, 10),
        Span("B", 10, 20),
        Span("A", 20, 30),
        Span("B", 30, None),
    ]


def test_two_that_swap_their_keys_keep_their_stories():
    moves = [Move(10, "A", "C"), Move(20, "B", "A"), Move(30, "C", "B")]

    assert lineage("A", moves) == [Span("B", None, 20), Span("A", 20, None)]
    assert lineage("B", moves) == [Span("A", None, 10), Span("C", 10, 30), Span("B", 30, None)]

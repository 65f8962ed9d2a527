"""Texts of trials that show numbers are numbers; what only looks like one stays a text."""

from __future__ import annotations

import math

import pytest

from vrtracker.domain.experiments import Trial, as_text, typed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7), ("-7", -7), ("0", 0), ("0.50", 0.5), ("1E+16", 1e16), ("1e-05", 1e-05)),
        *(("-0.5", -0.5), ("True", True), ("False", False), ("inf", math.inf)),
        *((text, text) for text in ("007", "00.5", "+5", "5.", ".5", "1_000", "1e", "", " 7", "٣")),
        *((text, text) for text in ("1e999", "true", "Infinity", "9" * 20, "0x10", "1,5", "NaN")),
        *((value, value) for value in (7, 0.5, True, None)),
    ],
)
def test_a_text_is_the_number_that_it_shows(text, value):
    found = typed(text)

    assert (found, type(found)) == (value, type(value))
    assert typed(as_text(found)) == found


def test_a_trial_is_the_same_however_its_numbers_were_kept():
    old, new = (Trial(parameters=(("x", value),)) for value in ("1E+16", 1e16))

    assert old.same_as == new.same_as
    assert old.same_as != Trial(parameters=(("x", "007"),)).same_as

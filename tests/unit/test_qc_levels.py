"""What levels amount to: nothing undecided ever passes."""

from __future__ import annotations

import itertools

import pytest

from vrtracker.domain.qc import QC, agrees, level_of, repaired, roll_up, session_level
from vrtracker.domain.states import State


@pytest.mark.parametrize(
    ("levels", "whole"),
    [
        ([], "NOT_SET"),
        ([None, None], "NOT_SET"),
        ([QC.PASS, None], "PASS"),
        ([QC.PASS, QC.WARNING], "WARNING"),
        ([QC.PASS, QC.NOT_SET], "NOT_SET"),
        ([QC.FAIL, QC.NOT_SET], "FAIL"),
        ([QC.FAIL, QC.CRITICAL, QC.PASS], "CRITICAL"),
    ],
)
def test_whole_is_the_worst_and_undecided_is_no_pass(levels, whole):
    assert roll_up(levels) is QC[whole]


def test_whole_passes_only_if_every_check_that_counts_does():
    for levels in itertools.product([None, *QC], repeat=3):
        counted = [level for level in levels if level is not None]
        passes = bool(counted) and all(level.accepted for level in counted)

        assert roll_up(levels).accepted is passes
        assert roll_up(reversed(levels)) is roll_up(levels)


@pytest.mark.parametrize("decided", [None, *QC])
@pytest.mark.parametrize("state", list(State))
def test_level_follows_the_state_and_never_passes_what_is_not_done(state, decided):
    level = level_of(state, decided)

    is_done = state in {State.DONE, State.STALE}
    assert (level is not None and level.accepted) is is_done
    assert (level is None) is (state in {State.NOT_APPLICABLE, State.SCRATCHED})
    if state is State.FAILED:
        assert level in {QC.FAIL, QC.CRITICAL}


def test_decision_that_agrees_with_the_state_is_kept():
    assert level_of(State.DONE, QC.WARNING) is QC.WARNING
    assert level_of(State.FAILED, QC.CRITICAL) is QC.CRITICAL
    assert level_of(State.DONE, QC.FAIL) is QC.PASS


def test_session_that_nobody_judged_does_not_count():
    assert session_level(scratched=False, decided=None) is None
    assert session_level(scratched=False, decided=QC.FAIL) is None
    assert session_level(scratched=False, decided=QC.WARNING) is QC.WARNING
    assert session_level(scratched=True, decided=None) is QC.FAIL
    assert session_level(scratched=True, decided=QC.CRITICAL) is QC.CRITICAL


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("justification", [None, "", "laser off"])
@pytest.mark.parametrize("notes", [None, "ran well"])
def test_repair_makes_the_rule_hold_and_loses_no_word(good, justification, notes):
    new = repaired(good, justification, notes)

    assert agrees(good, new.get("scratchJustification", justification))
    assert "sessionQC" not in new
    assert bool(new) is not agrees(good, justification)
    words = " ".join(str(value) for value in new.values())
    if "sessionNotes" in new:
        assert (notes or "") in words
        assert justification in words

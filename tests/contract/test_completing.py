"""What can come next in a condition that is being written."""

from __future__ import annotations

import pytest

from vrtracker.errors import InvalidValueError
from vrtracker.services.entries.completing import names_of, next_words


@pytest.mark.parametrize(
    ("text", "word", "others"),
    [
        ("imag", "imaging", "numPlanes"),
        ("imaging and not mouse.K", "mouse.KO", "mouse.sex"),
        ("date", "sessionDate", "imaging"),
        ("imaging ", "and", "imaging"),
        ("imaging a", "and", "or"),
        ("(imaging ", ")", "imaging"),
        ("mouseName in (", "M1", "M3"),
        ("mouseName = M1 or mouseName = ", "M2", "M3"),
        ("experimentType = ", "'it''s a VR'", "VR"),
        ("experimentType = it", "'it''s a VR'", "and"),
        ("experimentType = 'it''s a V", "'it''s a VR'", "and"),
        ("imaging = ", "true", "M1"),
        ("state.registration = fa", "failed", "done"),
        ("qc.session <= W", "WARNING", "PASS"),
        ("sessionDate >= ", "today", "true"),
        ("sessionDate >= today ", "-", "today"),
        ("sessionDate >= today - 3 ", "weeks", "and"),
        ("numPlanes is ", "missing", "numPlanes"),
        ("nth_session = ", "last", "true"),
        ("imaging imaging imaging = (", None, "true"),
        ("imaging ) and ", None, "imaging"),
        ("mouse.genotype = ", "and", "secret"),
        ("experimentType = VR", "'it''s a VR'", "and"),
        ("experimentType = %", None, "'it''s a VR'"),
        ("experimentType = \0", None, "and"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_grammar_the_columns_and_the_lab_s_own_values_are_proposed(lab, text, word, others):
    lab.add("M1.2023-01-20.1", imaging=True, experimentType="it's a VR")
    lab.tracker.mice.update({"genotype": "secret"}, "M1")

    at, words = next_words(lab.tracker.sessions, text)

    assert (word in words) if word else not words
    assert others not in words
    assert 0 <= at <= len(text)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_name_that_is_proposed_can_be_compared(lab):
    for name in names_of(lab.tracker.sessions):
        try:
            lab.tracker.sessions.count(f"{name} = 1")
        except InvalidValueError as error:
            assert "There is no filter" not in str(error)  # noqa: PT017 -- most take no 1


def test_values_are_those_of_this_database_and_hold_where_they_stand(lab):
    lab.add("M1.2023-01-20.1", imaging=True, experimentType="it's a VR")

    for name in ("experimentType", "mouseName", "state.suite2p", "qc.red_cell"):
        at, words = next_words(lab.tracker.sessions, f"{name} = ")
        found = [lab.tracker.sessions.count(f"{name} = {word}") for word in words[:-2]]
        assert (at, words[-2:], max(found)) == (len(name) + 3, ["and", "or"], 1)
    assert next_words(lab.tracker.mice, "mouseName = ")[1][:2] == ["M1", "M2"]
    assert next_words(lab.tracker.mice, "mouseName = m2")[1] == ["M2"]
    assert next_words(lab.tracker.mice, "mouseName = 'm_")[1] == []

"""What is deleted can come back, cell for cell, with all that hung on it; or goes for good."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import sqlalchemy as sa

from support.registrars import bad, good
from support.sample_lab import change_schema
from support.templates import on_newest
from support.workflow_lab import WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    MissingParentError,
    NotFoundError,
    UnknownNameError,
)
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow.claims import Claims

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
EVERY_CELL = {
    "experimentType": 'naïve "小鼠" \\ %',
    "variableGain": True,
    "headPlateRotation": 0.1 + 0.2,
    "pockelsPercentage": 12.800000190734863,
    "vrEnvironments": 23,
    "sessionNotes": "a line\n" * 2000,
    "suite2pDate": dt.datetime(2023, 1, 22, 3, 4, 5),
    "imaging": True,
}
ADDED = {"dose": Decimal("0.1250"), "bath": "27,5 °C", "checked": dt.datetime(2023, 1, 2, 3, 4)}


def add_columns(op) -> None:
    kinds = (sa.Numeric(10, 4), sa.String(50), sa.DateTime())
    for name, kind in zip(ADDED, kinds, strict=True):
        op.add_column("sessiondb", sa.Column(name, kind))


@on_newest
def make_wide(url: str) -> None:
    change_schema(url, add_columns)


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab(backend.copied_url(make_wide), tmp_path / "root") as made:
        yield made


@pytest.fixture
def worked_on(lab):
    """A lab in which all kinds of rows hang on a session."""
    lab.add(ONE, **EVERY_CELL, **ADDED)
    workflow = lab.tracker.workflow
    workflow.complete(ONE, "suite2p")
    workflow.set_qc(ONE, "suite2p", "PASS", criteria="v1")
    workflow.run("registration", registrar=bad)
    workflow.run("registration", registrar=good)
    lab.tracker.workflow.set_qc(ONE, "session", "WARNING", reason="noisy")
    return lab


def rows(lab) -> dict:
    return {name: found for name, found in lab.dump().items() if name != "events"}


def test_deleted_session_comes_back_cell_for_cell_with_all_that_hung_on_it(worked_on):
    before = rows(worked_on)
    assert all(before[name] for name in ("attempts", "stage_states", "qc_decisions", "datasets"))

    worked_on.tracker.sessions.delete(ONE, reason="entered twice")
    gone = rows(worked_on)
    restored = worked_on.tracker.sessions.restore(ONE, reason="it was not")

    assert [name for name in before if gone[name]] == ["mice", "deleted"]
    assert rows(worked_on) == before
    assert str(restored.key) == ONE
    assert [event[0] for event in worked_on.events(ONE)][-2:] == ["deleted", "restored"]


def test_key_is_free_at_once_and_the_deleted_session_waits_for_it(worked_on):
    sessions = worked_on.tracker.sessions
    sessions.delete(ONE)
    sessions.add(ONE)
    before = worked_on.dump()

    with pytest.raises(DuplicateError, match="another key"):
        sessions.restore(ONE)

    assert worked_on.dump() == before
    sessions.update({"sessionID": 9}, ONE)
    assert sessions.restore(ONE).sessionNotes == EVERY_CELL["sessionNotes"]


@pytest.mark.own_rule
def test_who_asks_for_a_deleted_row_is_told_how_to_have_it_back(lab):
    sessions, workflow = lab.tracker.sessions, lab.tracker.workflow
    sessions.add(ONE)
    sessions.delete(ONE)
    lab.tracker.mice.delete("M1")

    for look in (
        sessions.get,
        sessions.delete,
        lambda key: workflow.scratch(key, "light leak"),
        workflow.states,
        workflow.attempts,
    ):
        with pytest.raises(NotFoundError, match=rf"deleted.*vrtracker sessions restore {ONE}$"):
            look(ONE)
        with pytest.raises(NotFoundError) as never_there:
            look(TWO)
        assert "restore" not in str(never_there.value)
    with pytest.raises(NotFoundError, match=r"vrtracker mice restore M1$"):
        lab.tracker.mice.get("M1")


@pytest.mark.own_rule
def test_key_that_was_deleted_twice_is_told_by_its_number(lab):
    sessions = lab.tracker.sessions
    for notes in ("first", "second"):
        sessions.add(ONE, sessionNotes=notes)
        sessions.delete(ONE, reason=notes)
    newest, oldest = sessions.deleted()["deletion"]

    with pytest.raises(UnknownNameError):
        sessions.restore(ONE, deletion=int(newest) + 1)
    with pytest.raises(InvalidValueError, match="2 times"):
        sessions.purge(ONE)
    assert sessions.restore(ONE).sessionNotes == "second"
    sessions.delete(ONE)
    assert sessions.restore(ONE, deletion=int(oldest)).sessionNotes == "first"


@pytest.mark.own_rule
def test_deleted_sessions_are_listed_newest_first_with_what_hung_on_them(worked_on):
    worked_on.add(TWO)
    worked_on.tracker.sessions.delete(TWO)
    worked_on.clock.advance(minutes=1)
    worked_on.tracker.sessions.delete(ONE, reason="entered twice")

    listed = worked_on.tracker.sessions.deleted()

    assert list(listed["key"]) == [ONE, TWO]
    assert listed["deleted_at"][0] == worked_on.clock()
    assert list(listed.iloc[0][["actor", "reason"]]) == ["ann", "entered twice"]
    hanging = "2 attempts, 1 stage state, 2 QC decisions, 1 dataset"
    assert list(listed["hanging"]) == [hanging, ""]
    assert worked_on.tracker.mice.deleted().dtypes.equals(listed.dtypes)


def test_session_that_is_worked_on_is_not_deleted(lab):
    lab.add(ONE)
    stage = lab.stages["registration"]
    Claims(lab.tracker._lab, {}).start(SessionKey.parse(ONE), stage, FunctionRegistrar(good))
    before = lab.dump()

    with pytest.raises(InvalidTransitionError, match=r"registration of M1.*is running"):
        lab.tracker.sessions.delete(ONE)
    with pytest.raises(InvalidTransitionError, match="is running"):
        lab.tracker.mice.delete("M1", force=True, reason="why not")

    assert lab.dump() == before
    lab.clock.advance(hours=1)
    lab.tracker.sessions.delete(ONE)


def test_deleted_session_stays_where_it_is_while_another_of_its_key_is_worked_on(lab):
    lab.add(ONE)
    lab.tracker.sessions.delete(ONE)
    lab.tracker.sessions.add(ONE)
    Claims(lab.tracker._lab, {}).start(
        SessionKey.parse(ONE), lab.stages["registration"], FunctionRegistrar(good)
    )

    with pytest.raises(InvalidTransitionError, match=r"Cannot restore it: .*is running"):
        lab.tracker.sessions.restore(ONE)

    lab.clock.advance(hours=1)
    with pytest.raises(DuplicateError, match="another key"):
        lab.tracker.sessions.restore(ONE)


def test_mouse_comes_back_with_the_sessions_that_were_deleted_with_it(worked_on):
    mice, sessions = worked_on.tracker.mice, worked_on.tracker.sessions
    worked_on.add(TWO, sessionQC=False, scratchJustification="no laser")
    worked_on.add("M1.2023-01-20.3")
    sessions.delete("M1.2023-01-20.3", reason="not with it")
    before = rows(worked_on)
    mice.delete("M1", force=True, reason="wrong colony")
    deleted = rows(worked_on)
    assert list(mice.deleted()["hanging"]) == ["2 sessions"]

    mice.restore("M1", reason="it was not")

    assert rows(worked_on) == before
    assert worked_on.events(TWO)[-1][0] == "restored"
    worked_on.tracker.undo(last=True).apply()
    assert rows(worked_on) == deleted
    mice.restore("M1")
    assert rows(worked_on) == before


def test_mouse_stays_deleted_where_one_of_its_sessions_cannot_come_back(lab):
    numbers = [lab.row(lab.add(key)).uSessionID for key in (ONE, TWO)]
    lab.tracker.mice.delete("M1", force=True, reason="wrong colony")
    lab.add("M2.2023-01-20.1", uSessionID=numbers[1])
    before = lab.dump()

    with pytest.raises(DuplicateError, match=f"M2.*uSessionID {numbers[1]} of the deleted one"):
        lab.tracker.mice.restore("M1")

    assert lab.dump() == before


@pytest.mark.own_rule
def test_mouse_that_comes_back_settles_claims_that_ran_out_and_recordings_that_lost_a_part(lab):
    for key in (ONE, TWO):
        lab.add(key)
    lab.tracker.recordings.merge(ONE, TWO)
    Claims(lab.tracker._lab, {}).start(
        SessionKey.parse(ONE), lab.stages["registration"], FunctionRegistrar(good)
    )
    lab.clock.advance(hours=1)
    lab.tracker.mice.delete("M1", force=True, reason="wrong colony")
    lab.tracker.sessions.purge(TWO)

    lab.tracker.mice.restore("M1")

    assert lab.row(ONE).sessionNotes is None
    assert [row["outcome"] for row in lab.dump()["attempts"]] == ["expired"]


def test_session_comes_back_only_after_its_mouse(lab):
    lab.add(ONE)
    mice, sessions = lab.tracker.mice, lab.tracker.sessions
    before = rows(lab)
    sessions.delete(ONE)
    mice.delete("M1")
    deleted = lab.dump()

    with pytest.raises(MissingParentError, match="vrtracker mice restore M1"):
        sessions.restore(ONE)
    assert lab.dump() == deleted

    mice.restore("M1")
    sessions.restore(ONE)
    assert rows(lab) == before
    sessions.delete(ONE)
    mice.delete("M1")
    mice.purge("M1")
    with pytest.raises(MissingParentError, match="vrtracker mice add M1"):
        sessions.restore(ONE)


@pytest.mark.own_rule
def test_name_that_another_mouse_has_in_other_letters_stays_with_it(lab):
    lab.tracker.mice.delete("M1")
    lab.tracker.mice.add("m1")

    with pytest.raises(DuplicateError, match="case of letters"):
        lab.tracker.mice.restore("M1")


@pytest.mark.own_rule
def test_purged_session_is_gone_for_good_with_an_event(lab):
    sessions = lab.tracker.sessions
    lab.add(ONE)
    with pytest.raises(InvalidValueError, match=f"vrtracker sessions delete {ONE}"):
        sessions.purge(ONE)
    with pytest.raises(InvalidValueError, match="not deleted"):
        sessions.restore(ONE)
    sessions.delete(ONE)

    sessions.purge(ONE, reason="really never happened")

    assert sessions.deleted().empty
    assert lab.events(ONE)[-1][0] == "purged"
    with pytest.raises(NotFoundError):
        sessions.restore(ONE)


@pytest.mark.own_rule
def test_part_of_a_recording_that_comes_back_is_named_by_the_others_again(lab):
    for key in (ONE, TWO):
        lab.add(key)
    lab.tracker.recordings.merge(ONE, TWO)
    notes = lab.row(ONE).sessionNotes
    lab.tracker.sessions.delete(TWO)
    assert lab.row(ONE).sessionNotes is None

    lab.tracker.sessions.restore(TWO)

    assert lab.row(ONE).sessionNotes == notes
    assert lab.tracker.recordings.parts(ONE) == tuple(map(SessionKey.parse, (ONE, TWO)))


def test_numbers_of_decisions_that_others_got_are_given_anew(worked_on):
    """SQLite gives the highest number again, once its row is gone."""
    worked_on.tracker.sessions.delete(ONE)
    worked_on.add(TWO, imaging=True)
    worked_on.tracker.workflow.set_qc(TWO, "session", "PASS")

    worked_on.tracker.sessions.restore(ONE)

    assert list(worked_on.tracker.decisions(ONE)["qc_level"]) == [10, 30]
    assert list(worked_on.tracker.decisions(TWO)["qc_level"]) == [10]


def test_numbers_of_deleted_sessions_are_not_given_to_new_ones(lab):
    sessions = lab.tracker.sessions
    for number in (1, 2, 3):
        sessions.add(("M1", "2023-01-20", number))
    for number in (1, 2, 3):
        sessions.delete(("M1", "2023-01-20", number))
    sessions.restore(ONE)

    added = sessions.add(("M1", "2023-01-20", 4))

    assert added.uSessionID == 4
    assert [sessions.restore(("M1", "2023-01-20", n)).uSessionID for n in (2, 3)] == [2, 3]


@pytest.mark.own_rule
def test_deleting_a_mouse_takes_few_statements_whatever_the_number_of_sessions(
    labs, statement_counter
):
    def statements(count: int) -> int:
        tracker = labs.new(sessions=count)
        with statement_counter() as seen:
            tracker.mice.delete("ATL012", force=True, reason="wrong colony")
        return seen.count

    assert statements(40) == statements(2)


def test_column_that_was_dropped_since_must_be_there_again(lab):
    lab.add(ONE, **ADDED)
    lab.tracker.sessions.delete(ONE)
    lab.tracker.close()
    change_schema(lab.url, lambda op: op.drop_column("sessiondb", "bath"))

    with pytest.raises(Exception, match="no column 'bath'"):
        lab.another().sessions.restore(ONE)

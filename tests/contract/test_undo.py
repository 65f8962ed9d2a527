"""Operations are taken back, every cell of them; what rests on them stands in the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from support.registrars import bad, good
from support.sample_lab import change_schema
from support.workflow_lab import WorkflowLab
from vrtracker.domain.stages import Stage
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidValueError,
    NotFoundError,
    NotUndoableError,
)
from vrtracker.operations import operation

ONE, TWO, NEW = "M1.2023-01-20.1", "M1.2023-01-20.2", "M1.2023-01-20.9"
VALUES = {
    "imaging": True,
    "headPlateRotation": 0.1 + 0.2,
    "sessionNotes": "a line\nand more",
    "suite2pDate": dt.datetime(2023, 1, 22, 3, 4, 5),
}
FULL = VALUES | {
    "checked": dt.datetime(2023, 1, 2, 3, 4),
    "dose": 0.125,
}


def add_columns(op) -> None:
    op.add_column("sessiondb", sa.Column("checked", sa.DateTime()))
    op.add_column("sessiondb", sa.Column("dose", sa.Numeric(10, 4)))


DECLARED = (Stage(name="significant", title="", requires=("registration",)),)


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root", declared=DECLARED) as made:
        done(made, lambda: made.add(ONE, **VALUES))
        yield made


@pytest.fixture
def wide_lab(backend, tmp_path):
    """A lab with columns of its own."""
    url = backend.migrated_url()
    change_schema(url, add_columns)
    with WorkflowLab(url, tmp_path / "root", declared=DECLARED) as made:
        done(made, lambda: made.add(ONE, **FULL))
        yield made


def rows(lab) -> dict:
    return {name: found for name, found in lab.dump().items() if name != "events"}


def done(lab, call: Callable) -> str:
    """Do something, a minute later than what came before, and return its operation."""
    lab.clock.advance(minutes=1)
    with operation() as begun:
        call()
    return begun


def undone(lab, made: str) -> str:
    plan = lab.tracker.undo(made)
    assert plan.problems == ()
    assert plan.rows()
    return done(lab, plan.apply)


def prepared(lab) -> None:
    """Bring the session to where each verb of `VERBS` has something to do."""
    workflow = lab.tracker.workflow
    lab.add(TWO, imaging=True, sessionNotes="two")
    lab.add("M2.2023-01-20.1", sessionQC=False, scratchJustification="no laser", folder=False)
    workflow.complete(ONE, "suite2p", date=dt.datetime(2023, 1, 21, 9))
    workflow.set_qc(ONE, "suite2p", "WARNING", reason="dim")
    workflow.run("registration", registrar=good)
    workflow.complete(ONE, "significant")
    workflow.exclude(TWO, "red_cell_qc", "no red channel")


VERBS = {
    "added": lambda t, _: t.sessions.add(NEW, **FULL),
    "added many": lambda t, _: t.sessions.add_many(
        [{"mouseName": "M1", "sessionDate": "2023-02-01", "sessionID": n} for n in (1, 2)]
    ),
    "added mouse": lambda t, _: t.mice.add("M9", dateOfBirth="2022-05-01", KO=True),
    "imported": lambda t, path: (
        path.write_text("mouseName,sessionDate,sessionID,imaging\nM1,2023-03-01,1,yes\n"),
        t.import_csv("sessions", path).apply(),
    ),
    "edited": lambda t, _: t.sessions.update(
        {"headPlateRotation": -1.5, "sessionNotes": None, "checked": "2024-01-01", "dose": 2}, ONE
    ),
    "edited many": lambda t, _: t.sessions.update({"numPlanes": 7}, mouseName="M1"),
    "edited mouse": lambda t, _: t.mice.update({"dateOfBirth": "2022-05-01"}, "M1"),
    "edited by file": lambda t, path: (
        path.write_text("mouseName,sessionDate,sessionID,numPlanes\nM1,2023-01-20,1,4\n"),
        t.edit_csv(path).apply(),
    ),
    "rekeyed": lambda t, _: t.sessions.update(
        {"sessionID": 9, "sessionDate": "2023-01-30", "sessionNotes": "moved"}, ONE
    ),
    "deleted": lambda t, _: t.sessions.delete(ONE, reason="why not"),
    "deleted mouse": lambda t, _: t.mice.delete("M1", force=True, reason="why not"),
    "scratched": lambda t, _: t.workflow.scratch(ONE, "light leak"),
    "unscratched": lambda t, _: t.workflow.unscratch("M2.2023-01-20.1"),
    "session judged": lambda t, _: t.workflow.set_qc(ONE, "session", "PASS"),
    "QC passed": lambda t, _: t.workflow.set_qc(ONE, "red_cell", "PASS"),
    "QC failed": lambda t, _: t.workflow.set_qc(ONE, "red_cell", "FAIL", reason="dim"),
    "QC cleared": lambda t, _: t.workflow.set_qc(ONE, "suite2p", "NOT_SET"),
    "completed": lambda t, _: t.workflow.complete(ONE, "suite2p"),
    "completed new": lambda t, _: t.workflow.complete(TWO, "suite2p"),
    "reset": lambda t, _: t.workflow.reset(ONE, "registration"),
    "excluded": lambda t, _: t.workflow.exclude(TWO, "registration"),
    "included": lambda t, _: t.workflow.include(TWO, "red_cell_qc"),
    "file judged": lambda t, _: t.workflow.set_dataset_qc(
        ONE, t.datasets(ONE)["rel_path"][0], "FAIL"
    ),
    "outdated": lambda t, _: t.workflow.outdated("registration", registrar=bad).apply(),
    "linked": lambda t, _: t.recordings.merge(ONE, TWO),
    "split": lambda t, _: t.recordings.split(ONE, 9),
    "reconciled": lambda t, _: t.reconcile().apply(),
}


def test_undoing_any_verb_gives_every_cell_back_and_undoing_that_brings_it_again(
    wide_lab, tmp_path
):
    lab = wide_lab
    done(lab, lambda: prepared(lab))
    before = rows(lab)
    for verb, call in VERBS.items():
        if verb == "reconciled":
            for path in (lab.folder(ONE) / "oneData").iterdir():
                path.unlink()
        made = done(lab, lambda call=call: call(lab.tracker, tmp_path / "rows.csv"))
        after = rows(lab)
        assert after != before, verb

        undoing = undone(lab, made)
        assert rows(lab) == before, verb

        again = undone(lab, undoing)
        assert rows(lab) == after, verb

        undone(lab, again)
        assert rows(lab) == before, verb
    assert lab.tracker.verify().differences == ()


# -- what is chosen -----------------------------------------------------------------------------


@pytest.mark.own_rule
def test_last_operation_is_ones_own_that_stands_and_is_no_undoing(lab):
    first = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, ONE))
    second = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 2}, ONE))
    done(lab, lambda: lab.another(actor="bob").sessions.update({"numPlanes": 3}, ONE))
    assert lab.tracker.undo(last=True).operations == (second,)
    bobs = lab.tracker.undo(last=True, actor="bob")
    assert bobs.cells == ((ONE, "numPlanes", 3, 2),)

    done(lab, bobs.apply)
    done(lab, lab.tracker.undo(last=True).apply)

    assert lab.tracker.undo(last=True).operations == (first,)
    with pytest.raises(NotUndoableError, match="nothing of bob"):
        lab.tracker.undo(last=True, actor="bob")


@pytest.mark.own_rule
def test_all_operations_since_a_time_are_undone_at_once(lab):
    done(lab, lambda: lab.add(TWO, folder=False))
    before, since = rows(lab), lab.clock() + dt.timedelta(seconds=1)
    done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, mouseName="M1"))
    done(lab, lambda: lab.tracker.sessions.update({"sessionID": 9, "numPlanes": 2}, ONE))
    done(lab, lambda: lab.tracker.sessions.add(ONE, numPlanes=8))
    done(lab, lambda: lab.tracker.workflow.complete(NEW, "suite2p"))
    done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 3}, NEW))

    by_lab_clock = lab.tracker.undo(since="2026-03-02 14:02:01")
    plan = lab.tracker.undo(since=since)
    done(lab, plan.apply)

    assert by_lab_clock == plan

    assert len(plan.operations) == 5
    assert rows(lab) == before


@pytest.mark.own_rule
def test_undoing_takes_as_many_statements_for_few_rows_as_for_many(lab, statement_counter):
    def statements(count: int, number: int) -> int:
        rows = [
            {"mouseName": "M1", "sessionDate": "2023-02-01", "sessionID": number + n}
            for n in range(count)
        ]
        done(lab, lambda: lab.tracker.sessions.add_many(rows))
        with statement_counter() as seen:
            undoing = done(lab, lab.tracker.undo(last=True).apply)
            undone(lab, undoing)
        return seen.count

    assert statements(40, 100) == statements(3, 200)


@pytest.mark.own_rule
def test_plan_shows_every_value_and_writes_nothing(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1, "imaging": False}, ONE))
    before = lab.dump()

    plan = lab.tracker.undo(made)

    assert plan.rows() == [
        {"key": ONE, "what": "numPlanes", "now": 1, "after": None},
        {"key": ONE, "what": "imaging", "now": False, "after": True},
    ]
    assert list(plan.frame().columns) == ["key", "what", "now", "after"]
    assert ".apply()" in str(plan)
    assert lab.dump() == before


@pytest.mark.own_rule
def test_genotype_is_not_shown_in_a_plan(lab):
    made = done(lab, lambda: lab.tracker.mice.update({"genotype": "Emx1-Cre"}, "M1"))

    plan = lab.tracker.undo(made)

    assert "Emx1" not in str(plan)
    assert "Emx1" not in str(plan.rows())


@pytest.mark.own_rule
@pytest.mark.parametrize("asked", [{}, {"last": True, "since": "2026-01-01"}])
def test_what_is_to_be_undone_must_be_said_once(lab, asked):
    with pytest.raises(InvalidValueError, match="one of these"):
        lab.tracker.undo(**asked)


@pytest.mark.own_rule
def test_unknown_operation_is_not_found(lab):
    with pytest.raises(NotFoundError, match="operation"):
        lab.tracker.undo("0" * 32)


# -- what stands in the way ----------------------------------------------------------------------


def refused(lab, made: str, match: str) -> None:
    """Expect a plan that says why it cannot be done, and does nothing."""
    plan = lab.tracker.undo(made)
    before = lab.dump()
    assert any(match in problem for problem in plan.problems), plan.problems
    with pytest.raises(NotUndoableError):
        plan.apply()
    assert lab.dump() == before


def complete(lab) -> None:
    lab.tracker.workflow.complete(ONE, "suite2p")


LATER = {
    "same column": (
        lambda lab: lab.tracker.sessions.update({"numPlanes": 1}, ONE),
        lambda lab: lab.tracker.sessions.update({"numPlanes": 2}, ONE),
    ),
    "same stage": (complete, lambda lab: lab.tracker.workflow.reset(ONE, "suite2p")),
    "decision that rests on it": (
        complete,
        lambda lab: lab.tracker.workflow.set_qc(ONE, "suite2p", "PASS"),
    ),
    "run that used it": (
        complete,
        lambda lab: lab.tracker.workflow.run("registration", registrar=good),
    ),
    "failed run that used it": (
        complete,
        lambda lab: lab.tracker.workflow.run("registration", registrar=bad),
    ),
    "work on a session that was added": (
        lambda lab: lab.add(TWO, folder=False),
        lambda lab: lab.tracker.sessions.update({"numPlanes": 2}, TWO),
    ),
    "session of a mouse that was added": (
        lambda lab: lab.tracker.mice.add("M9"),
        lambda lab: lab.tracker.sessions.add("M9.2023-01-20.1"),
    ),
    "another key": (
        lambda lab: lab.tracker.sessions.update({"numPlanes": 1}, ONE),
        lambda lab: lab.tracker.sessions.update({"sessionID": 9}, ONE),
    ),
    "deleted since": (
        lambda lab: lab.tracker.sessions.update({"numPlanes": 1}, ONE),
        lambda lab: lab.tracker.sessions.delete(ONE),
    ),
    "key taken since": (
        lambda lab: lab.tracker.sessions.delete(ONE),
        lambda lab: lab.tracker.sessions.add(ONE),
    ),
    "purged since": (
        lambda lab: lab.tracker.sessions.delete(ONE),
        lambda lab: lab.tracker.sessions.purge(ONE),
    ),
}


@pytest.mark.own_rule
@pytest.mark.parametrize("name", LATER)
def test_later_work_that_rests_on_it_stands_in_the_way_and_is_named(lab, name):
    first, then = LATER[name]
    made = done(lab, lambda: first(lab))
    later = done(lab, lambda: then(lab))

    refused(lab, made, "came later" if name.startswith("session of") else later)


@pytest.mark.own_rule
def test_later_work_on_something_else_does_not_stand_in_the_way(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, ONE))
    done(lab, lambda: lab.tracker.sessions.update({"experimentID": 2}, ONE))
    done(lab, lambda: complete(lab))

    undone(lab, made)

    row = lab.row(ONE)
    assert (row.numPlanes, row.experimentID, row.suite2p) == (None, 2, True)


@pytest.mark.own_rule
def test_later_work_that_was_undone_does_not_stand_in_the_way(lab):
    before = rows(lab)
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, ONE))
    later = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 2}, ONE))
    undone(lab, later)

    undone(lab, made)

    assert rows(lab) == before


@pytest.mark.own_rule
def test_what_was_undone_is_not_undone_twice(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, ONE))
    undoing = undone(lab, made)

    refused(lab, made, undoing)


@pytest.mark.own_rule
def test_run_is_not_undone_but_says_what_to_do(lab):
    complete(lab)
    made = done(lab, lambda: lab.tracker.workflow.run("registration", registrar=good))

    refused(lab, made, f"vrtracker reset {ONE} registration")


@pytest.mark.own_rule
def test_last_operation_that_cannot_be_undone_leads_to_the_last_one_that_can(lab):
    complete(lab)
    made = done(lab, lambda: lab.tracker.sessions.update({"sessionNotes": "seen"}, ONE))
    done(lab, lambda: lab.tracker.workflow.run("registration", registrar=good))

    plan = lab.tracker.undo(last=True)

    assert f"vrtracker reset {ONE} registration" in plan.problems[0]
    assert plan.instead == made
    assert f".undo('{made[:8]}')" in str(plan)
    other = lab.tracker.undo(made[:8])
    assert (other.operations, other.problems, other.instead) == ((made,), (), None)
    with pytest.raises(InvalidValueError, match="operations begin with ''"):
        lab.tracker.undo("")


@pytest.mark.own_rule
def test_edit_past_the_tracker_stands_in_the_way(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, ONE))
    lab.edit(ONE, numPlanes=5)

    refused(lab, made, "numPlanes is 5, not 1")


@pytest.mark.own_rule
def test_session_does_not_come_back_before_its_mouse(lab):
    made = done(lab, lambda: lab.tracker.sessions.delete(ONE))
    done(lab, lambda: lab.tracker.mice.delete("M1"))

    refused(lab, made, "vrtracker mice restore M1")


@pytest.mark.own_rule
def test_change_since_the_plan_was_made_keeps_it_from_being_applied(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 1}, mouseName="M1"))
    plan = lab.tracker.undo(made)
    done(lab, lambda: lab.tracker.sessions.update({"numPlanes": 2}, ONE))
    before = lab.dump()

    with pytest.raises(ConcurrentUpdateError):
        plan.apply()

    assert lab.dump() == before


# -- what the history says -----------------------------------------------------------------------


@pytest.mark.own_rule
def test_history_tells_of_the_undoing_and_hides_the_rows_that_it_needs(lab):
    made = done(lab, lambda: complete(lab))
    undone(lab, made)

    event = lab.tracker.history(ONE).iloc[-1]

    assert (event["verb"], event["changes"]["undoes"]) == ("undone", [made])
    assert event["changes"]["suite2p"] == [True, False]
    assert not [name for name in event["changes"] if name.startswith("row:")]


@pytest.mark.own_rule
def test_history_follows_a_key_there_and_back(lab):
    made = done(lab, lambda: lab.tracker.sessions.update({"sessionID": 9}, ONE))
    undone(lab, made)

    verbs = list(lab.tracker.history(ONE)["verb"])

    assert verbs == ["added", "edited", "rekeyed", "undone", "rekeyed"]


@pytest.mark.own_rule
def test_stage_marks_are_told_with_the_change(lab):
    done(lab, lambda: prepared(lab))

    lab.tracker.workflow.reset(ONE, "significant")

    changes = lab.tracker.history(ONE).iloc[-1]["changes"]
    assert changes == {"significant:mark": ["done", None]}

"""Hypothesis does what people do, at random, and holds the history to what became of it.

A plain model knows the rows: dictionaries, and the rules in words of its own. After each step the
rows are as the model has them, and as the replayed history has them. What was undone is as a copy
of all tables that was taken before; an earlier time is as a copy that was taken then.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.examples import examples
from support.registrars import bad, good
from support.workflow_lab import WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import Stage
from vrtracker.domain.told import OUTSIDE
from vrtracker.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    MissingParentError,
    NotFoundError,
    NotUndoableError,
    UnknownMouseError,
    VrtrackerError,
)
from vrtracker.operations import operation
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow.abandoned import free_abandoned
from vrtracker.services.workflow.claims import Claims, Finished

DECLARED = (Stage(name="significant", title="", requires=("registration",)),)
STAGES = ("suite2p", "suite2p_qc", "registration", "red_cell_qc", "significant")
PROCESSES = ("suite2p", "registration", "significant")
LEASE = dt.timedelta(minutes=15)
COLUMNS = {
    "numPlanes": st.sampled_from([None, 3, 5]),
    "headPlateRotation": st.sampled_from([None, 0.1, -2.5]),
    "sessionNotes": st.sampled_from([None, 'a "note"\nand more', "小鼠"]),
    "imaging": st.booleans(),
}
VALUES = st.fixed_dictionaries({}, optional=COLUMNS)
BLANK: dict[str, Any] = dict.fromkeys(COLUMNS) | {"imaging": False}
MICE = st.sampled_from(["M1", "M2"])
KEYS = tuple(f"{mouse}.2023-01-20.{number}" for mouse in ("M1", "M2") for number in (1, 2))
PLACES = st.integers(0, 3)
RUNS = {"start", "rerun", "succeed", "fail", "cancel"}


class Model:
    """The rows that are there, by key, and those that were deleted, the newest last.

    Those of a mouse and of the sessions that went with it hold the same number.
    """

    def __init__(self) -> None:
        self.mice: dict[str, str | None] = {"M1": None, "M2": None}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.deleted: list[tuple[str, Any]] = []
        self.mice_deleted = 0

    def add(self, key: str, values: dict[str, Any]) -> Any:
        if key in self.sessions:
            return DuplicateError
        if mouse_of(key) not in self.mice:
            return UnknownMouseError
        self.sessions[key] = BLANK | values
        return None

    def edit(self, key: str, values: dict[str, Any]) -> Any:
        if key in self.sessions:
            self.sessions[key] |= values
        return None

    def rekey(self, old: str, new: str, *, is_running: bool) -> Any:
        if old in self.sessions and new != old:
            if is_running:
                return InvalidTransitionError
            if new in self.sessions:
                return DuplicateError
            self.sessions[new] = self.sessions.pop(old)
        return None

    def delete(self, key: str, *, is_running: bool) -> Any:
        if key not in self.sessions:
            return NotFoundError
        if is_running:
            return InvalidTransitionError
        self.deleted.append((key, (self.sessions.pop(key), None)))
        return None

    def delete_mouse(self, name: str, *, is_running: bool) -> Any:
        if name not in self.mice:
            return NotFoundError
        if is_running:
            return InvalidTransitionError
        for key in [key for key in self.sessions if mouse_of(key) == name]:
            self.deleted.append((key, (self.sessions.pop(key), self.mice_deleted)))
        self.deleted.append((name, (self.mice.pop(name), self.mice_deleted)))
        self.mice_deleted += 1
        return None

    def restore(self, key: str) -> Any:
        newest = self.newest(key)
        if newest is None:
            is_there = key in self.sessions or key in self.mice
            return InvalidValueError if is_there else NotFoundError
        if key in self.sessions or key in self.mice:
            return DuplicateError
        if mouse_of(key) != key and mouse_of(key) not in self.mice:
            return MissingParentError
        if mouse_of(key) != key:
            self.sessions[key], _ = self.deleted.pop(newest)[1]
            return None
        self.mice[key], together = self.deleted.pop(newest)[1]
        self.sessions |= {name: row for name, (row, at) in self.deleted if at == together}
        self.deleted = [each for each in self.deleted if each[1][1] != together]
        return None

    def newest(self, key: str) -> int | None:
        found = [place for place, (name, _) in enumerate(self.deleted) if name == key]
        return found[-1] if found else None


def mouse_of(key: str) -> str:
    return key.partition(".")[0]


class Done:
    """An operation: what it did, and how everything was before it."""

    is_outside = False

    def __init__(self, number: str, model: Model, before: Any, verbs: set[str]) -> None:
        self.id = number
        self.model = model
        self.before = before
        self.verbs = verbs


class Copy:
    """All tables as they were at a time, with what has been lost since of what is told."""

    def __init__(self, time: dt.datetime, tables: Any, status: Any) -> None:
        self.time = time
        self.tables = tables
        self.status = status
        self.is_purged = False
        self.has_lost_numbers = False
        self.found: set[str] = set()


class HistoryMachine(RuleBasedStateMachine):
    """A lab on a real database beside the model."""

    url: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vrt-machine-"))
        self.lab = WorkflowLab(self.url(), self.folder / "root", declared=DECLARED, lease=LEASE)
        self.tracker = self.lab.another(safety_copies=False)
        self.workflow = self.tracker.workflow
        self.claims = Claims(self.tracker._lab, {})
        self.held: list[Any] = []
        self.model = Model()
        self.done: list[Done] = []
        self.stack: list[Done] = []
        self.copies: list[Copy] = []
        self.by_hand: set[str] = set()
        self.steps = 0
        for key in KEYS:
            self.lab.folder(key).mkdir(parents=True)
        self.now = self.lab.dump()
        for place in (0, 1, 2):
            self.add(place, {"imaging": True})
        self.attempt(lambda: self.workflow.complete(KEYS[0], "suite2p"))
        self.attempt(lambda: self.workflow.run("registration", KEYS[0], registrar=good))

    def teardown(self) -> None:
        try:
            # What was done by hand counts from when it was entered: after the last copy.
            self.lab.clock.advance(seconds=1)
            self.tracker.absorb()
            for each in self.copies:
                self.compare(each)
        finally:
            self.lab.close()
            shutil.rmtree(self.folder)

    # -- both sides -------------------------------------------------------------------------

    def both(self, on_model: Any, on_tracker: Any) -> None:
        """Do it on both sides; what the model refuses, the tracker must, and change nothing."""
        model = copy.deepcopy(self.model)
        refused = on_model()
        if refused is None:
            self.perform(on_tracker, model)
            return
        with pytest.raises(refused):
            on_tracker()
        assert self.lab.dump() == self.now

    def attempt(self, call: Any) -> None:
        """Do what the model knows nothing of; what is refused changes nothing."""
        model = copy.deepcopy(self.model)
        with contextlib.suppress(VrtrackerError):
            self.perform(call, model)
            return
        assert self.lab.dump() == self.now

    def perform(self, call: Any, model: Model) -> None:
        self.lab.clock.advance(seconds=1)
        before = self.now
        with operation() as begun:
            call()
        self.now = self.lab.dump()
        events = [row for row in self.now["events"] if row["operation_id"] == begun]
        if events:
            verbs = {row["verb"] for row in events}
            done = Done(begun, model, before, verbs)
            # What was done by hand was done before.
            done.is_outside = events[0]["actor"] == OUTSIDE
            self.done.append(done)
            self.stack.append(done)

    def key(self, place: int) -> str:
        """Return the key of a session that is there, if there is one."""
        return (sorted(self.model.sessions) or KEYS)[place % (len(self.model.sessions) or 4)]

    def is_running(self, *keys: str) -> bool:
        rows = [row for row in self.now["attempts"] if row["outcome"] == "running"]
        numbers = {self.lab.number(key) for key in keys if key in self.model.sessions}
        return any(
            row["uSessionID"] in numbers and row["lease_until"] > self.lab.clock() for row in rows
        )

    # -- rows -------------------------------------------------------------------------------

    @rule(place=PLACES, values=VALUES)
    def add(self, place, values):
        key = KEYS[place]
        self.both(
            lambda: self.model.add(key, values), lambda: self.tracker.sessions.add(key, **values)
        )

    @rule(place=PLACES, values=VALUES.filter(bool))
    def edit(self, place, values):
        key = self.key(place)
        self.both(
            lambda: self.model.edit(key, values),
            lambda: self.tracker.sessions.update(values, key),
        )

    @rule(name=MICE, values=VALUES.filter(bool))
    def edit_several(self, name, values):
        def on_model():
            for key in self.model.sessions:
                if mouse_of(key) == name:
                    self.model.edit(key, values)

        self.both(on_model, lambda: self.tracker.sessions.update(values, mouseName=name))

    @rule(place=PLACES, number=st.integers(1, 2))
    def rekey(self, place, number):
        key = self.key(place)
        new = f"{key.rpartition('.')[0]}.{number}"
        is_running = self.is_running(key)
        self.both(
            lambda: self.model.rekey(key, new, is_running=is_running),
            lambda: self.tracker.sessions.update({"sessionID": number}, key),
        )

    @precondition(lambda self: len(self.model.sessions) > 1)
    @rule(place=PLACES)
    def delete(self, place):
        key = self.key(place)
        is_running = self.is_running(key)
        self.both(
            lambda: self.model.delete(key, is_running=is_running),
            lambda: self.tracker.sessions.delete(key, reason="why not"),
        )

    @precondition(lambda self: len(self.model.sessions) > 2 and len(self.model.mice) > 1)
    @rule(name=MICE)
    def delete_mouse(self, name):
        is_running = self.is_running(*(f"{name}.2023-01-20.{number}" for number in (1, 2)))
        self.both(
            lambda: self.model.delete_mouse(name, is_running=is_running),
            lambda: self.tracker.mice.delete(name, force=True, reason="why not"),
        )

    @precondition(lambda self: self.model.deleted)
    @rule(place=PLACES)
    def restore(self, place):
        key = self.model.deleted[-1 - place % len(self.model.deleted)][0]
        service = self.tracker.mice if mouse_of(key) == key else self.tracker.sessions
        self.both(lambda: self.model.restore(key), lambda: service.restore(key))

    @precondition(lambda self: len(self.model.deleted) > 2)
    @rule(place=PLACES)
    def purge(self, place):
        key = KEYS[place]
        entries = self.tracker.sessions.deleted()
        found = entries[entries["key"] == key]
        if found.empty:
            return
        self.attempt(
            lambda: self.tracker.sessions.purge(key, deletion=int(found["deletion"].iloc[0]))
        )
        self.model.deleted.pop(self.model.newest(key))
        for each in self.copies:
            each.is_purged = True

    @rule(name=MICE, sex=st.sampled_from([None, "F", "M"]))
    def edit_mouse(self, name, sex):
        def on_model():
            if name in self.model.mice:
                self.model.mice[name] = sex

        self.both(on_model, lambda: self.tracker.mice.update({"sex": sex}, name))

    # -- work -------------------------------------------------------------------------------

    @rule(place=PLACES, stage=st.sampled_from(PROCESSES), how=st.sampled_from([good, bad]))
    def run(self, place, stage, how):
        key = self.key(place)
        force = how is good
        # A run ends claims that ran out before it looks at the session, also where it refuses it.
        self.attempt(lambda: free_abandoned(self.tracker._lab))
        self.attempt(lambda: self.workflow.run(stage, key, registrar=how, force=force))

    @rule(place=PLACES, stage=st.sampled_from(PROCESSES), rerun=st.booleans())
    def start(self, place, stage, rerun):
        key = self.key(place)
        registrar, parsed = FunctionRegistrar(good), SessionKey.parse(key)

        def begin():
            chosen = self.lab.stages[stage]
            self.held.append(self.claims.start(parsed, chosen, registrar, rerun=rerun))

        self.attempt(begin)

    @precondition(lambda self: self.held)
    @rule(outcome=st.sampled_from(["succeed", "fail", "cancel"]))
    def end(self, outcome):
        claim, finished = self.held.pop(), Finished(duration_s=1)
        calls = {
            "succeed": lambda: self.claims.succeed(claim, finished, known=[]),
            "fail": lambda: self.claims.fail(claim, ValueError("odd"), finished),
            "cancel": lambda: self.claims.cancel(claim, "no time", finished),
        }
        self.attempt(calls[outcome])

    @rule(place=PLACES, stage=st.sampled_from(PROCESSES), done=st.booleans())
    def say(self, place, stage, done):
        key = self.key(place)
        said = self.workflow.complete if done else self.workflow.reset
        self.attempt(lambda: said(key, stage))

    @rule(
        place=PLACES,
        check=st.sampled_from(["suite2p", "red_cell", "session"]),
        level=st.sampled_from(["PASS", "WARNING", "FAIL", "NOT_SET"]),
    )
    def judge(self, place, check, level):
        key = self.key(place)
        self.attempt(lambda: self.workflow.set_qc(key, check, level, reason="seen"))

    @precondition(lambda self: self.now["datasets"])
    @rule(place=PLACES, level=st.sampled_from(["PASS", "FAIL"]))
    def judge_file(self, place, level):
        key = self.key(place)
        if key in self.model.sessions:
            paths = list(self.tracker.datasets(key)["rel_path"])
            if paths:
                self.attempt(lambda: self.workflow.set_dataset_qc(key, paths[0], level))

    @rule(place=PLACES, stage=st.sampled_from(STAGES), excluded=st.booleans())
    def exclude(self, place, stage, excluded):
        key = self.key(place)
        call = self.workflow.exclude if excluded else self.workflow.include
        self.attempt(lambda: call(key, stage))

    @precondition(lambda self: not all(row["sessionQC"] for row in self.now["sessions"]))
    @rule(place=PLACES)
    def unscratch(self, place):
        key = self.key(place)
        self.attempt(lambda: self.workflow.unscratch(key))

    @precondition(lambda self: self.held)
    @rule()
    def let_claims_run_out(self):
        self.lab.clock.advance(seconds=LEASE.total_seconds())

    # -- past the tracker -------------------------------------------------------------------

    @rule(place=PLACES, planes=st.sampled_from([7, 9]), absorbed=st.booleans())
    def edit_by_hand(self, place, planes, absorbed):
        key = self.key(place)
        if key in self.model.sessions:
            self.lab.edit(key, numPlanes=planes)
            self.model.edit(key, {"numPlanes": planes})
            self.enter(key, absorbed=absorbed)

    @rule(place=PLACES, absorbed=st.booleans())
    def add_by_hand(self, place, absorbed):
        key = KEYS[place]
        if key not in self.model.sessions and mouse_of(key) in self.model.mice:
            flags = ("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration")
            flags += ("suite2p", "suite2pQC", "redCellQC", "vrRegistrationError", "dontTrack")
            row = dict.fromkeys(flags, False) | {"sessionQC": True}
            self.lab.insert("sessions", [SessionKey.parse(key).columns | row])
            self.model.add(key, {})
            for each in self.copies:
                each.found.add(key)
            self.enter(key, absorbed=absorbed)

    @rule(place=PLACES)
    def delete_by_hand(self, place):
        key = self.key(place)
        if key in self.model.sessions:
            number = self.lab.number(key)
            tables = [self.now[name] for name in ("attempts", "stage_states", "qc_decisions")]
            if any(row["uSessionID"] == number for table in tables for row in table):
                return
            sessions = self.tracker.database.tables.sessions
            with self.tracker.database.write_engine.begin() as connection:
                connection.execute(sessions.delete().where(sessions.c.uSessionID == number))
            del self.model.sessions[key]
            for each in self.copies:
                each.has_lost_numbers = True
            self.enter(key, absorbed=True)

    def enter(self, key: str, *, absorbed: bool) -> None:
        """Enter what was done by hand, or leave it to the next write of the row."""
        self.now, told = self.lab.dump(), len(self.done)
        if absorbed:
            self.perform(self.tracker.absorb, copy.deepcopy(self.model))
            self.by_hand.clear()
        else:
            self.by_hand.add(key)
        if len(self.done) == told:
            # The history may never hear of it: all before does not come back as a whole.
            self.stack.clear()

    # -- undoing ----------------------------------------------------------------------------

    @precondition(lambda self: self.stack and not self.by_hand)
    @rule()
    def undo_last(self):
        """Take the last operation back, which may be an undoing: all is as it was before."""
        last = self.stack.pop()
        plan = self.tracker.undo(last.id)
        if last.verbs & RUNS:
            assert plan.problems
        if last.is_outside or last.verbs & {*RUNS, "purged"}:
            # It stays, and may stand in the way of all before.
            self.stack.clear()
            return
        assert plan.problems == (), plan.problems
        self.perform(plan.apply, copy.deepcopy(self.model))
        assert_restored(self.now, last.before)
        self.model = copy.deepcopy(last.model)

    @precondition(lambda self: self.done and not self.by_hand)
    @rule(place=st.integers(0, 30))
    def undo_some(self, place):
        """Take any operation back, or be refused; and back again, to where all was."""
        chosen, before = self.done[place % len(self.done)], self.now
        plan = self.tracker.undo(chosen.id)
        if plan.problems:
            with pytest.raises(NotUndoableError):
                plan.apply()
            assert self.lab.dump() == before
            return
        self.perform(plan.apply, copy.deepcopy(self.model))
        undoing = self.stack.pop()
        assert self.tracker.verify().differences == ()
        self.perform(self.tracker.undo(undoing.id).apply, copy.deepcopy(self.model))
        assert_restored(self.now, before)
        self.stack.pop()

    # -- the past ---------------------------------------------------------------------------

    def compare(self, taken: Copy) -> None:
        with self.tracker.as_of(taken.time) as past:
            tables = told(self.lab.dump_of(past), taken)
            if not taken.found and not taken.is_purged:
                assert past.workflow.status().equals(taken.status)
        for name, rows in told(taken.tables, taken).items():
            assert tables[name] == rows, f"{name} at {taken.time}"

    @invariant()
    def copy_is_taken_now_and_then(self):
        self.steps += 1
        if self.steps >= 8 * len(self.copies) ** 2 + 6 and not self.by_hand:
            self.copies.append(Copy(self.lab.clock(), self.now, self.workflow.status()))

    # -- agreement --------------------------------------------------------------------------

    @invariant()
    def rows_are_as_the_model_has_them(self):
        rows = {key_of(row): {name: row[name] for name in BLANK} for row in self.now["sessions"]}
        assert rows == self.model.sessions
        assert {row["mouseName"]: row["sex"] for row in self.now["mice"]} == self.model.mice
        assert sorted(row["subject_key"] for row in self.now["deleted"]) == sorted(
            name for name, _ in self.model.deleted
        )

    @invariant()
    def history_replayed_is_as_the_rows(self):
        differing = {each.key for each in self.tracker.verify().differences}
        assert differing <= self.by_hand
        self.by_hand = differing


def key_of(row: Any) -> str:
    return str(SessionKey(row["mouseName"], row["sessionDate"], row["sessionID"]))


def without(rows: Any, *names: str) -> list[dict[str, Any]]:
    return sorted(
        ({name: value for name, value in row.items() if name not in names} for row in rows), key=str
    )


def assert_restored(now: Any, before: Any) -> None:
    """Assert that all is as it was; rows to which nothing refers may have got other numbers."""
    for name, rows in before.items():
        if name == "events":
            continue
        numbers = {"qc_decisions": "decision_id", "datasets": "dataset_id"}
        ours = numbers.get(name, "deletion_id")
        found, expected = without(now[name], ours), without(rows, ours)
        if name == "deleted":
            found, expected = map(unnumbered, found), map(unnumbered, expected)
            found, expected = sorted(found, key=str), sorted(expected, key=str)
        if name == "attempts":
            # A claim that had run out and was closed stays closed.
            found, expected = (
                without(each, "outcome", "finished_at") for each in (found, expected)
            )
        assert found == expected, name


def unnumbered(deleted: dict[str, Any]) -> dict[str, Any]:
    """Return a deleted row without the numbers of what hung on it: coming back, it gets others."""
    content = {
        name: without(rows, "decision_id", "dataset_id")
        for name, rows in deleted["content"].items()
    }
    return deleted | {"content": content}


def told(tables: Any, taken: Copy) -> dict[str, Any]:
    """Return what can be known of an earlier time."""
    sessions = [row for row in tables["sessions"] if key_of(row) not in taken.found]
    lost = ("uSessionID",) if taken.has_lost_numbers else ()
    found = {
        "mice": tables["mice"],
        "sessions": without(sessions, *lost),
        "events": tables["events"],
    }
    if taken.has_lost_numbers or taken.found:
        return found
    found["stage_states"] = without(
        [row for row in tables["stage_states"] if row["mark"] or row["attempt_id"]],
        *("changed_at", "failures", "retry_after", "set_aside"),
    )
    if taken.is_purged:
        return found
    found["deleted"] = without(tables["deleted"], "content")
    found["attempts"] = tables["attempts"]
    found["qc_decisions"] = without(tables["qc_decisions"], "decision_id")
    found["datasets"] = without(tables["datasets"], "dataset_id")
    return found


def check(backend: Any, many: int, steps: int) -> None:
    class Machine(HistoryMachine):
        url = staticmethod(backend.migrated_url)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=many,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            # Explaining a failure traces every line, which takes minutes with a database.
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )


def test_history_knows_all_that_was_done_and_gives_it_back(backend):
    check(backend, examples(6, backend.marker), steps=25)


@pytest.mark.long
def test_history_knows_all_that_was_done_in_ten_thousand_steps(backend):
    check(backend, examples(200, backend.marker), steps=50)

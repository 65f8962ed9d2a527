"""Every transition from every state, and the states that SQL gives against those of Python."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from support.examples import examples
from support.registrars import good
from support.sample_lab import spelled
from support.workflow_lab import WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.registrars import RegistrarResult
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.domain.states import State, Transition, allowed_from
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidTransitionError,
    InvalidValueError,
    LostClaimError,
    NotFoundError,
    UnknownNameError,
)
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.transitions import read
from vrtracker.services.workflow.claims import Claim, Claims, Finished

DECLARED = (
    Stage(name="significant", title="significant transients", requires=("registration",)),
    Stage(
        name="significant_qc",
        title="QC of these",
        kind=StageKind.REVIEW,
        requires=("significant",),
        applies_if=("imaging",),
    ),
)
STAGES = ("suite2p", "suite2p_qc", "registration", "red_cell_qc", "significant", "significant_qc")
REGISTRAR = FunctionRegistrar(good)
BY_CLAIM = {Transition.SUCCEED, Transition.FAIL, Transition.CANCEL}
RESULTS = {
    Transition.START: State.RUNNING,
    Transition.RERUN: State.RUNNING,
    Transition.SUCCEED: State.DONE,
    Transition.FAIL: State.FAILED,
    Transition.CANCEL: State.READY,
    Transition.COMPLETE: State.DONE,
    Transition.RESET: State.READY,
    Transition.PASS_QC: State.DONE,
    Transition.FAIL_QC: State.FAILED,
    Transition.CLEAR_QC: State.READY,
    Transition.SCRATCH: State.SCRATCHED,
    Transition.UNSCRATCH: State.READY,
}


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root", declared=DECLARED) as made:
        yield made


class Actor:
    """Brings sessions into states, and performs transitions on them."""

    def __init__(self, lab: WorkflowLab, stage: str) -> None:
        self.lab = lab
        self.workflow = lab.tracker.workflow
        self.stage = lab.stages[stage]
        self.claims = Claims(lab.tracker._lab, {})
        self.held: dict[SessionKey, Claim] = {}

    # -- states -----------------------------------------------------------------------------

    def finish(self, key: SessionKey, stage: Stage) -> None:
        for name in stage.requires:
            if self.workflow.states(key)[name] is not State.DONE:
                self.finish(key, self.lab.stages[name])
        if stage.kind is StageKind.REVIEW:
            self.workflow.set_qc(key, stage.name, "PASS")
        else:
            self.workflow.complete(key, stage.name)

    def prepare(self, key: SessionKey) -> None:
        for name in self.stage.requires:
            self.finish(key, self.lab.stages[name])

    def bring(self, key: SessionKey, state: State) -> None:
        if state not in {State.BLOCKED, State.NOT_APPLICABLE}:
            self.prepare(key)
        getattr(self, f"_{state.value}")(key)
        assert self.workflow.states(key)[self.stage.name] is state

    def _ready(self, key: SessionKey) -> None:
        pass

    def _blocked(self, key: SessionKey) -> None:
        pass

    def _scratched(self, key: SessionKey) -> None:
        self.workflow.scratch(key, "light leak")

    def _not_applicable(self, key: SessionKey) -> None:
        if self.stage.applies_if:
            self.lab.tracker.sessions.update({"imaging": False}, key)
        else:
            self.lab.mark(key, self.stage.name, "not_applicable")

    def _running(self, key: SessionKey) -> None:
        if self.stage.kind is StageKind.PROCESS:
            self.held[key] = self.claims.start(key, self.stage, REGISTRAR)
            return
        # No program reviews, so nothing but a row written by other hands says that it runs.
        token = uuid.uuid4().hex
        row = self.lab.attempt_row(self.lab.number(key), self.stage.name, token)
        self.lab.insert("attempts", [row])
        self.lab.mark(key, self.stage.name, None, token)

    def _done(self, key: SessionKey) -> None:
        self.finish(key, self.stage)

    def _stale(self, key: SessionKey) -> None:
        self._done(key)
        if self.stage.requires:
            self.workflow.complete(key, self.stage.requires[0], reason="once more")
        else:
            self.lab.mark(key, self.stage.name, "stale")

    def _failed(self, key: SessionKey) -> None:
        if self.stage.kind is StageKind.REVIEW:
            self.workflow.set_qc(key, self.stage.name, "FAIL")
        else:
            claim = self.claims.start(key, self.stage, REGISTRAR)
            self.claims.fail(claim, ValueError("odd"), Finished(duration_s=1))

    # -- transitions --------------------------------------------------------------------------

    def perform(self, key: SessionKey, transition: Transition) -> Any:
        return getattr(self, f"do_{transition.value}")(key)

    def claim(self, key: SessionKey) -> Claim:
        snapshot = read(self.lab.tracker._lab, None, key)
        made_up = Claim(uuid.uuid4().hex, self.stage, snapshot, State.READY)
        return self.held.get(key, made_up)

    def do_start(self, key: SessionKey) -> None:
        self.claims.start(key, self.stage, REGISTRAR)

    def do_rerun(self, key: SessionKey) -> None:
        self.claims.start(key, self.stage, REGISTRAR, rerun=True)

    def do_succeed(self, key: SessionKey) -> None:
        self.claims.succeed(self.claim(key), Finished(duration_s=1), known=[])

    def do_fail(self, key: SessionKey) -> None:
        self.claims.fail(self.claim(key), ValueError("odd"), Finished(duration_s=1))

    def do_cancel(self, key: SessionKey) -> None:
        self.claims.cancel(self.claim(key), "no time", Finished(duration_s=1))

    def do_complete(self, key: SessionKey) -> State:
        return self.workflow.complete(key, self.stage.name)

    def do_reset(self, key: SessionKey) -> State:
        return self.workflow.reset(key, self.stage.name)

    def _judge(self, key: SessionKey, level: QC) -> State:
        extras = {"reason": None, "criteria": None, "evidence": None, "seen": None}
        return self.workflow._quality._judge_stage(key, self.stage, level, **extras)

    def do_pass_qc(self, key: SessionKey) -> State:
        return self._judge(key, QC.PASS)

    def do_fail_qc(self, key: SessionKey) -> State:
        return self._judge(key, QC.FAIL)

    def do_clear_qc(self, key: SessionKey) -> State:
        return self._judge(key, QC.NOT_SET)

    def do_scratch(self, key: SessionKey) -> State:
        return self.workflow.scratch(key, "light leak")

    def do_unscratch(self, key: SessionKey) -> None:
        self.workflow.unscratch(key)


def refusal(transition: Transition, state: State, kind: StageKind) -> tuple[str, ...] | None:
    """Return what the error of a forbidden transition must list as allowed."""
    allowed = allowed_from(state, kind)
    if transition is Transition.UNSCRATCH:
        # It is about the session as a whole, for which only these two exist.
        return tuple(t for t in allowed if t in {Transition.SCRATCH, Transition.UNSCRATCH})
    return allowed


def sql_state(lab: WorkflowLab, key: SessionKey, stage: str) -> str:
    frame = lab.tracker.workflow.table(key, include_scratched=True)
    return frame[f"state:{stage}"].item()


def problem(actor: Actor, key: SessionKey, state: State, transition: Transition) -> Any:
    """Return what is wrong about a transition from a state, or None."""
    lab, stage = actor.lab, actor.stage
    legal = transition in allowed_from(state, stage.kind)
    before = None if legal else lab.dump(key)
    try:
        answer = actor.perform(key, transition)
    except InvalidTransitionError as error:
        expected = refusal(transition, state, stage.kind)
        refused = not legal and error.allowed == expected and lab.dump(key) == before
        return None if refused else (error.allowed, expected)
    except LostClaimError as error:
        refused = not legal and transition in BY_CLAIM and lab.dump(key) == before
        return None if refused else error
    after = lab.tracker.workflow.states(key)[stage.name]
    told = answer in {None, after}
    return None if legal and after == RESULTS[transition] and told else (answer, after)


@pytest.mark.own_rule
@pytest.mark.parametrize("stage", STAGES)
def test_every_transition_goes_as_the_table_says(lab, stage):
    actor = Actor(lab, stage)
    ends, wrong = {}, {}
    for state in State:
        if state is State.BLOCKED and not actor.stage.requires:
            continue
        allowed = allowed_from(state, actor.stage.kind)
        key = None
        # What is refused changes nothing, which is looked at: one session does for all of it.
        for transition in sorted(Transition, key=lambda each: each in allowed):
            if key is None or transition in allowed:
                key = lab.add(f"M1.2023-01-20.{len(ends) + 1}", imaging=True, folder=False)
                actor.bring(key, state)
            ends[key.number] = RESULTS[transition] if transition in allowed else state
            found = problem(actor, key, state, transition)
            if found is not None:
                wrong[state.value, transition.value] = found
    assert wrong == {}
    table = lab.tracker.workflow.table(include_scratched=True)
    assert dict(zip(table["sessionID"], table[f"state:{stage}"], strict=True)) == ends


def test_process_stages_take_no_qc_decision(lab):
    key = lab.add("M1.2023-01-20.1")
    before = lab.dump()
    with pytest.raises(UnknownNameError) as caught:
        lab.tracker.workflow.set_qc(key, "registration", "PASS")
    assert "red_cell_qc" in caught.value.known
    assert lab.dump() == before


def test_a_judgement_that_did_not_see_the_last_one_is_refused_with_what_was_said(lab, workflow):
    key = lab.add("M1.2023-01-20.1", imaging=True, suite2p=True)
    bob = lab.another(actor="bob")
    bob.workflow.set_qc(key, "suite2p", "FAIL", reason="dim", seen=0)
    (last,) = lab.tracker.decisions.records(key)
    before = lab.dump()

    for judge in (
        lambda: workflow.set_qc(key, "suite2p", "PASS", seen=0),
        lambda: workflow.scratch(key, "no signal", seen=0),
    ):
        with pytest.raises(ConcurrentUpdateError, match=r"judged FAIL \(dim\) by bob"):
            judge()
    assert lab.dump() == before
    workflow.set_qc(key, "session", "PASS", seen=last["decision_id"])
    with pytest.raises(ConcurrentUpdateError, match="judged PASS by ann"):
        workflow.set_qc(key, "suite2p", "PASS", seen=last["decision_id"])
    assert workflow.set_qc(key, "suite2p", "PASS", seen=last["decision_id"] + 1) == "done"


def test_people_do_not_run_reviews(lab):
    with pytest.raises(InvalidValueError, match="set_qc"):
        lab.tracker.workflow.run("red_cell_qc")


@pytest.mark.own_rule
@pytest.mark.parametrize("call", ["needs", "why_not", "run", "complete", "reset"])
def test_an_unknown_stage_is_named_with_the_nearest(lab, call):
    key = lab.add("M1.2023-01-20.1")
    before = lab.dump()
    arguments = ("registraton",) if call in {"needs", "run"} else (key, "registraton")
    with pytest.raises(UnknownNameError) as caught:
        getattr(lab.tracker.workflow, call)(*arguments)
    assert caught.value.kind == "stage"
    assert "registration" in caught.value.nearest
    assert lab.dump() == before


@pytest.mark.own_rule
@pytest.mark.parametrize("call", ["why_not", "states", "complete", "reset", "run"])
def test_a_missing_session_is_not_found(lab, call):
    arguments = {
        "why_not": ("M1.2023-01-20.9", "registration"),
        "states": ("M1.2023-01-20.9",),
        "complete": ("M1.2023-01-20.9", "registration"),
        "reset": ("M1.2023-01-20.9", "registration"),
        "run": ("registration", "M1.2023-01-20.9"),
    }
    before = lab.dump()
    with pytest.raises(NotFoundError):
        getattr(lab.tracker.workflow, call)(*arguments[call])
    assert lab.dump() == before


def test_the_refusal_says_why(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    with pytest.raises(InvalidTransitionError, match="suite2p is not done") as caught:
        lab.tracker.workflow.run("registration", key)
    assert (caught.value.stage, caught.value.current) == ("registration", "blocked")
    assert str(caught.value.key) == str(key)


def test_complete_keeps_the_date_that_it_is_given(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    lab.tracker.workflow.complete(key, "suite2p", date="2023-01-21 08:15:00")
    assert lab.row(key).suite2pDate == dt.datetime(2023, 1, 21, 8, 15)


def test_complete_dates_by_the_labs_clock(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    lab.tracker.workflow.complete(key, "suite2p")
    assert lab.row(key).suite2pDate == dt.datetime(2026, 3, 2, 14, 0)


def test_reset_empties_the_date(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    lab.tracker.workflow.complete(key, "suite2p")
    lab.tracker.workflow.reset(key, "suite2p")
    row = lab.row(key)
    assert (row.suite2p, row.suite2pDate) == (False, None)


def test_suite2p_made_again_makes_all_that_rests_on_it_stale(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    actor = Actor(lab, "significant_qc")
    for name in ("suite2p_qc", "red_cell_qc", "significant_qc"):
        actor.finish(key, lab.stages[name])
    assert set(lab.tracker.workflow.states(key).values()) == {State.DONE}

    lab.tracker.workflow.complete(key, "suite2p", reason="new parameters")

    states = lab.tracker.workflow.states(key)
    assert states.pop("suite2p") is State.DONE
    assert set(states.values()) == {State.STALE}
    assert lab.row(key).vrRegistration


def test_what_is_not_done_does_not_become_stale(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True, suite2p=True)
    lab.tracker.workflow.complete(key, "suite2p")
    states = lab.tracker.workflow.states(key)
    assert states["registration"] is State.READY
    assert states["red_cell_qc"] is State.BLOCKED


def test_what_is_not_for_the_session_stays_so(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True, suite2p=True, redCellQC=True)
    lab.mark(key, "red_cell_qc", "not_applicable")
    lab.tracker.workflow.complete(key, "suite2p")
    assert lab.state(key, "red_cell_qc") == "not_applicable"


def test_a_row_with_fractions_of_a_second_can_still_be_changed(lab):
    key = lab.add("M1.2023-01-20.1", vrRegistration=True)
    table = lab.tracker._lab.database.tables.sessions
    time = sa.bindparam("time", dt.datetime(2023, 1, 20, 10, 0, 0, 250_000), sa.DateTime())
    with lab.tracker._lab.database.write_engine.begin() as connection:
        update = spelled(connection, f'UPDATE {table.name} SET "vrRegistrationDate" = :time')
        connection.execute(update.bindparams(time))
    lab.tracker.workflow.reset(key, "registration")
    assert lab.row(key).vrRegistrationDate is None


# -- SQL and Python ---------------------------------------------------------------------------

CHAIN = (
    Stage(name="significant", title="", requires=("registration",)),
    Stage(name="same_cell", title="", requires=("significant",), applies_if=("imaging",)),
    Stage(
        name="same_cell_qc",
        title="",
        kind=StageKind.REVIEW,
        requires=("same_cell", "suite2p_qc"),
        applies_if=("imaging", "faceCamera"),
    ),
    Stage(name="video", title="", applies_if=("faceCamera",)),
)
COLUMNS = (
    "sessionQC",
    "imaging",
    "suite2p",
    "suite2pQC",
    "vrRegistration",
    "vrRegistrationError",
    "redCellQC",
)
MARKS = ("no row", None, "done", "failed", "stale", "not_applicable")
CLAIMS = ("none", "running", "expired", "ended")
ALL_TURNS = len(MARKS) * len(CLAIMS)
DATED_IN = {
    "suite2p": "suite2pDate",
    "registration": "vrRegistrationDate",
    "red_cell_qc": "redCellQCDate",
}
DATES = (None, dt.datetime(2023, 1, 20, 12), dt.datetime(2023, 1, 20, 12, 0, 1))
DONE_IN = {
    "suite2p": "suite2p",
    "suite2p_qc": "suite2pQC",
    "registration": "vrRegistration",
    "red_cell_qc": "redCellQC",
}


class World:
    """Sessions with every combination of the columns and of mark and claim of each stage.

    Within a combination of columns the marks and claims of a stage go round in an order of its
    own, so that the stages meet in many ways. With fewer `turns` than there are, each combination
    of columns meets some of them.
    """

    def __init__(self, lab: WorkflowLab, turns: int) -> None:
        self.lab = lab
        self.rows: list[dict[str, Any]] = []
        self.touched: dict[int, dict[str, tuple[str | None, str]]] = {}
        whims = random.Random(11)
        combinations = list(itertools.product(MARKS, CLAIMS))
        for flags in itertools.product([False, True], repeat=len(COLUMNS)):
            orders = {name: whims.sample(combinations, turns) for name in lab.stages}
            for turn in range(turns):
                number = len(self.rows) + 1
                row = dict(zip(COLUMNS, flags, strict=True))
                row["faceCamera"] = whims.random() < 0.5
                row |= {column: whims.choice(DATES) for column in DATED_IN.values()}
                self.rows.append({"uSessionID": number, **row})
                self.touched[number] = {name: order[turn] for name, order in orders.items()}

    def write(self) -> None:
        day = dt.date(2020, 1, 1)
        fixed = {"mouseName": "M1", "sessionDate": day}
        sessions = [
            {**fixed, **row, "sessionID": row["uSessionID"], "scratchJustification": None}
            for row in self.rows
        ]
        self.lab.insert("sessions", sessions)
        self.lab.insert("attempts", list(self._attempts()))
        self.lab.insert("stage_states", list(self._stage_rows()))

    def _attempts(self):
        clock, minute = self.lab.clock, dt.timedelta(minutes=1)
        for number, stages in self.touched.items():
            for stage, (mark, claim) in stages.items():
                if mark == "no row" or claim == "none":
                    continue
                until = clock() + (-minute if claim == "expired" else minute)
                outcome = "succeeded" if claim == "ended" else "running"
                yield self.lab.attempt_row(
                    number, stage, f"{stage}-{number}", lease_until=until, outcome=outcome
                )

    def _stage_rows(self):
        for number, stages in self.touched.items():
            for stage, (mark, claim) in stages.items():
                if mark != "no row":
                    yield {
                        "uSessionID": number,
                        "stage": stage,
                        "mark": mark,
                        "attempt_id": None if claim == "none" else f"{stage}-{number}",
                        "changed_at": self.lab.clock(),
                    }

    # The rules once more, in the words of the design.

    def applies(self, row: dict[str, Any], name: str) -> bool:
        mark, _ = self.touched[row["uSessionID"]][name]
        return mark != "not_applicable" and all(
            row[column] for column in self.lab.stages[name].applies_if
        )

    def has_output(self, row: dict[str, Any], name: str) -> bool:
        if name in DONE_IN:
            return row[DONE_IN[name]]
        return self.touched[row["uSessionID"]][name][0] in {"done", "stale"}

    def has_newer_input(self, row: dict[str, Any], name: str) -> bool:
        made = row.get(DATED_IN.get(name, ""))
        inputs = (r for r in self.lab.stages[name].requires if self.applies(row, r))
        dates = [row.get(DATED_IN.get(r, "")) for r in inputs]
        return made is not None and any(date is not None and date > made for date in dates)

    def state(self, row: dict[str, Any], name: str) -> str:
        mark, claim = self.touched[row["uSessionID"]][name]
        if not row["sessionQC"]:
            return "scratched"
        if not self.applies(row, name):
            return "not_applicable"
        if mark != "no row" and claim == "running":
            return "running"
        if self.has_output(row, name):
            return "stale" if mark == "stale" or self.has_newer_input(row, name) else "done"
        required = self.lab.stages[name].requires
        if any(self.applies(row, r) and not self.has_output(row, r) for r in required):
            return "blocked"
        told = name == "registration" and row["vrRegistrationError"]
        return "failed" if told or mark == "failed" else "ready"


@pytest.fixture
def world(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root", declared=CHAIN) as lab:
        made = World(lab, min(ALL_TURNS, examples(ALL_TURNS, backend.marker)))
        made.write()
        yield made


def test_every_combination_of_facts_has_the_same_state_everywhere(backend, world):
    workflow, stages = world.lab.tracker.workflow, list(world.lab.stages)
    expected = {
        row["uSessionID"]: {name: world.state(row, name) for name in stages} for row in world.rows
    }

    table = workflow.table(include_scratched=True)
    assert list(table.columns[3:]) == [f"state:{name}" for name in stages]
    in_sql = {
        int(row[2]): dict(zip(stages, row[3:], strict=True))
        for row in table.itertuples(index=False, name=None)
    }
    assert in_sql == expected

    for number in random.Random(5).sample(sorted(expected), examples(600, backend.marker)):
        found = workflow.states(SessionKey("M1", dt.date(2020, 1, 1), number))
        assert {name: state.value for name, state in found.items()} == expected[number]

    counts = workflow.status()
    assert (counts.sum(axis="columns") == len(world.rows)).all()
    for name in stages:
        tally = [sum(states[name] == state for states in expected.values()) for state in State]
        assert counts.loc[name].tolist() == tally

    for name in stages:
        is_process = world.lab.stages[name].kind is StageKind.PROCESS
        for blocked, stale in itertools.product([False, True], repeat=2):
            wanted = {"ready", "failed"}
            wanted |= {"blocked"} if blocked and is_process else set()
            wanted |= {"stale"} if stale else set()
            queue = workflow.needs(name, include_blocked=blocked, include_stale=stale)
            listed = dict(zip(queue["uSessionID"], queue["state"], strict=True))
            assert list(listed) == sorted(listed)
            assert listed == {
                number: states[name]
                for number, states in expected.items()
                if states[name] in wanted
            }


def test_the_table_leaves_scratched_sessions_out_unless_asked(lab):
    kept = lab.add("M1.2023-01-20.1")
    gone = lab.add("M1.2023-01-20.2")
    lab.tracker.workflow.scratch(gone, "light leak")
    assert list(lab.tracker.workflow.table()["sessionID"]) == [kept.number]
    whole = lab.tracker.workflow.table(include_scratched=True)
    assert list(whole["state:registration"]) == ["ready", "scratched"]


def test_an_expired_claim_no_longer_runs(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    Actor(lab, "registration").bring(key, State.RUNNING)
    lab.clock.advance(minutes=15)
    assert lab.state(key, "registration") == "ready"
    assert sql_state(lab, key, "registration") == "ready"


def test_a_function_may_return_its_result(lab):
    key = lab.add("M1.2023-01-20.1")
    report = lab.tracker.workflow.run(registrar=lambda _: RegistrarResult(bytes=7))
    assert (report.succeeded, report.bytes) == (1, 7)
    assert lab.state(key, "registration") == "done"


# -- staleness by dates -----------------------------------------------------------------------

DAY_1, DAY_2, DAY_3 = (dt.datetime(2023, 1, day, 18, 30) for day in (21, 22, 23))
WHOLE = {"imaging": True, "suite2p": True, "vrRegistration": True, "redCellQC": True}


def test_registration_older_than_suite2p_is_stale_and_says_so(lab):
    key = lab.add("M1.2023-01-20.1", **WHOLE, suite2pDate=DAY_2, vrRegistrationDate=DAY_1)
    assert lab.state(key, "registration") == "stale"
    assert list(lab.tracker.workflow.needs("registration")["sessionID"]) == []
    queue = lab.tracker.workflow.needs("registration", include_stale=True)
    assert list(queue["state"]) == ["stale"]
    assert lab.tracker.workflow.status().loc["registration", "stale"] == 1
    (reason,) = lab.tracker.workflow.why_not(key, "registration")
    assert reason.code == "stale"
    assert "2023-01-22 18:30:00" in reason.message
    assert "2023-01-21 18:30:00" in reason.message


def test_red_cells_judged_before_registration_are_stale(lab):
    dates = {"suite2pDate": DAY_1, "vrRegistrationDate": DAY_3, "redCellQCDate": DAY_2}
    key = lab.add("M1.2023-01-20.1", **WHOLE, **dates)
    assert lab.state(key, "registration") == "done"
    assert lab.state(key, "red_cell_qc") == "stale"


@pytest.mark.parametrize("suite2p_date", [None, DAY_1])
def test_a_missing_or_equal_date_makes_nothing_stale(lab, suite2p_date):
    dates = {"suite2pDate": suite2p_date, "vrRegistrationDate": DAY_1}
    key = lab.add("M1.2023-01-20.1", **WHOLE, **dates)
    assert lab.state(key, "registration") == "done"
    assert lab.state(key, "red_cell_qc") == "done"


def test_a_date_of_what_does_not_apply_makes_nothing_stale(lab):
    dates = {"suite2pDate": DAY_2, "vrRegistrationDate": DAY_1}
    key = lab.add("M1.2023-01-20.1", vrRegistration=True, **dates)
    assert lab.state(key, "registration") == "done"


def test_registering_again_ends_what_the_dates_said(lab):
    key = lab.add("M1.2023-01-20.1", **WHOLE, suite2pDate=DAY_2, vrRegistrationDate=DAY_1)
    lab.tracker.workflow.run("registration", include_stale=True, registrar=good)
    assert lab.state(key, "registration") == "done"


def test_completing_with_a_date_before_its_inputs_says_that_it_is_stale(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True, suite2p=True, suite2pDate=DAY_2)
    assert lab.tracker.workflow.complete(key, "registration", date=DAY_1) is State.STALE

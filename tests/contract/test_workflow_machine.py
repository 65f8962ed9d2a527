"""Hypothesis drives the workflow and a plain model of it side by side.

The model is dictionaries and the rules in words of its own; it shares no code with the package.
After each step the two must agree on every state, queue and count, and on the number of events.
"""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from support.examples import examples
from support.registrars import good, raises
from support.workflow_lab import WorkflowLab
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.errors import InvalidTransitionError, LostClaimError
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow.abandoned import free_abandoned
from vrtracker.services.workflow.claims import Claims, Finished

DECLARED = (
    Stage(name="significant", title="", requires=("registration",)),
    Stage(name="tracking_qc", title="", kind=StageKind.REVIEW, requires=("significant",)),
)
REQUIRES = {
    "suite2p": [],
    "suite2p_qc": ["suite2p"],
    "registration": ["suite2p"],
    "red_cell_qc": ["suite2p", "registration"],
    "significant": ["registration"],
    "tracking_qc": ["significant"],
}
NEEDS_IMAGING = {"suite2p", "suite2p_qc", "red_cell_qc"}
PROCESSES = ["suite2p", "registration", "significant"]
REVIEWS = ["suite2p_qc", "red_cell_qc", "tracking_qc"]
RESTS_ON = {
    "suite2p": ["suite2p_qc", "registration", "red_cell_qc", "significant", "tracking_qc"],
    "registration": ["red_cell_qc", "significant", "tracking_qc"],
    "significant": ["tracking_qc"],
    "suite2p_qc": [],
    "red_cell_qc": [],
    "tracking_qc": [],
}
COLUMNS = {
    "suite2p": "suite2p",
    "suite2p_qc": "suite2pQC",
    "registration": "vrRegistration",
    "red_cell_qc": "redCellQC",
}
LEASE_S = 900
NUMBERS = st.integers(1, 2)


class RefusedError(Exception):
    """The model does not allow this; the argument is the state."""


class ModelSession:
    """One session: per stage its output (none, good, stale), a failure, a claim."""

    def __init__(self, *, imaging: bool) -> None:
        self.imaging = imaging
        self.scratched = False
        self.output: dict[str, str | None] = dict.fromkeys(REQUIRES)
        self.failure = dict.fromkeys(REQUIRES, False)
        self.claim: dict[str, tuple[int, float] | None] = dict.fromkeys(REQUIRES)
        self.begun_with: dict[str, str | None] = {}
        self.events = 1

    def applies(self, stage: str) -> bool:
        return self.imaging or stage not in NEEDS_IMAGING

    def is_running(self, stage: str, now: float) -> bool:
        claim = self.claim[stage]
        return claim is not None and claim[1] > now

    def state(self, stage: str, now: float) -> str:
        if self.scratched:
            return "scratched"
        if not self.applies(stage):
            return "not_applicable"
        if self.is_running(stage, now):
            return "running"
        if self.output[stage]:
            return "stale" if self.output[stage] == "stale" else "done"
        if any(self.applies(r) and not self.output[r] for r in REQUIRES[stage]):
            return "blocked"
        return "failed" if self.failure[stage] else "ready"

    def require(self, stage: str, now: float, *states: str) -> None:
        state = self.state(stage, now)
        if state not in states:
            raise RefusedError(state)

    def outdate(self, stage: str) -> None:
        for other in RESTS_ON[stage]:
            if self.output[other] == "good" and self.applies(other):
                self.output[other] = "stale"
                self.events += 1

    def make(self, stage: str) -> None:
        self.output[stage] = "good"
        self.failure[stage] = False
        self.outdate(stage)

    def start(self, stage: str, token: int, now: float, *, rerun: bool) -> None:
        self.require(stage, now, "ready", "failed", "stale", *(["done"] if rerun else []))
        self.let_go(stage)
        self.claim[stage] = (token, now + LEASE_S)
        self.begun_with[stage] = self.output[stage]
        self.events += 1

    def end(self, stage: str, token: int, outcome: str) -> None:
        claim = self.claim[stage]
        if claim is None or claim[0] != token:
            raise RefusedError("lost")
        self.claim[stage] = None
        self.events += 1
        if outcome == "succeed":
            # What its inputs' makers did during the work makes the result stale from birth.
            outdated = self.output[stage] == "stale" != self.begun_with[stage]
            self.make(stage)
            self.output[stage] = "stale" if outdated else "good"
        elif outcome == "fail" and not (self.output[stage] and stage != "registration"):
            self.failure[stage] = True

    def end_expired(self, now: float) -> None:
        for stage, claim in self.claim.items():
            if claim is not None and claim[1] <= now:
                self.let_go(stage)

    def let_go(self, stage: str) -> None:
        """End a claim that ran out, if there is one; that has an event of its own."""
        if self.claim[stage] is not None:
            self.claim[stage] = None
            self.events += 1

    def complete(self, stage: str, now: float) -> None:
        self.require(stage, now, "ready", "failed", "stale", "done")
        self.let_go(stage)
        self.events += 1
        self.make(stage)

    def reset(self, stage: str, now: float) -> None:
        self.require(stage, now, "failed", "stale", "done")
        self.let_go(stage)
        self.events += 1
        self.output[stage] = None
        self.failure[stage] = False
        self.outdate(stage)

    def judge(self, stage: str, level: str, now: float) -> None:
        self.require(stage, now, "ready", "failed", "stale", "done")
        self.events += 1
        self.output[stage] = "good" if level in {"PASS", "WARNING"} else None
        self.failure[stage] = level in {"FAIL", "CRITICAL"}

    def scratch(self, now: float) -> None:
        if any(self.is_running(stage, now) for stage in REQUIRES):
            raise RefusedError("running")
        if self.scratched:
            raise RefusedError("scratched")
        self.scratched = True
        for stage in REQUIRES:
            self.let_go(stage)
        self.events += 1

    def unscratch(self) -> None:
        if not self.scratched:
            raise RefusedError("not scratched")
        self.scratched = False
        self.events += 1


class WorkflowMachine(RuleBasedStateMachine):
    """The workflow on a real database beside the model."""

    url: Any = None
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vrt-machine-"))
        lease = dt.timedelta(seconds=LEASE_S)
        self.lab = WorkflowLab(self.url(), self.folder / "root", declared=DECLARED, lease=lease)
        self.workflow = self.lab.tracker.workflow
        self.claims_service = Claims(self.lab.tracker._lab, {})
        self.registrar = FunctionRegistrar(good)
        self.model: dict[int, ModelSession] = {}
        self.now = 0.0
        self.tokens = 0
        self.turn = 0

    def teardown(self) -> None:
        self.lab.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    # -- both sides -------------------------------------------------------------------------

    @staticmethod
    def key(number: int) -> str:
        return f"M1.2023-01-20.{number}"

    def both(self, on_model: Any, on_tracker: Any) -> Any:
        """Do it on both sides; if the model refuses, the tracker must, and change nothing."""
        try:
            on_model()
        except RefusedError as error:
            (why,) = error.args
            before = self.lab.dump()
            expected = LostClaimError if why == "lost" else InvalidTransitionError
            with pytest.raises(expected) as caught:
                on_tracker()
            if expected is InvalidTransitionError:
                assert caught.value.current == why
            assert self.lab.dump() == before
            return None
        return on_tracker()

    def session(self, number: int) -> tuple[str, ModelSession]:
        return self.key(number), self.model[number]

    # -- rules ------------------------------------------------------------------------------

    @initialize(
        imaging=st.sampled_from([(True, True), (True, False)]),
        done=st.lists(st.sets(st.sampled_from(list(COLUMNS))), min_size=2, max_size=2),
        failed=st.booleans(),
    )
    def begin(self, imaging, done, failed):
        """Begin with sessions as the lab may have left them."""
        for number, (is_imaged, stages) in enumerate(zip(imaging, done, strict=True), start=1):
            model = self.model[number] = ModelSession(imaging=is_imaged)
            model.output.update(dict.fromkeys(stages, "good"))
            model.failure["registration"] = failed
            columns = {COLUMNS[stage]: True for stage in stages}
            self.lab.add(self.key(number), imaging=is_imaged, vrRegistrationError=failed, **columns)

    @rule(number=NUMBERS, stage=st.sampled_from(PROCESSES))
    def complete(self, number, stage):
        key, model = self.session(number)
        self.both(
            lambda: model.complete(stage, self.now), lambda: self.workflow.complete(key, stage)
        )

    @rule(number=NUMBERS, stage=st.sampled_from(PROCESSES))
    def reset(self, number, stage):
        key, model = self.session(number)
        self.both(lambda: model.reset(stage, self.now), lambda: self.workflow.reset(key, stage))

    @rule(
        number=NUMBERS,
        stage=st.sampled_from(REVIEWS),
        level=st.sampled_from(["PASS", "WARNING", "FAIL", "CRITICAL", "NOT_SET"]),
    )
    def judge(self, number, stage, level):
        key, model = self.session(number)
        self.both(
            lambda: model.judge(stage, level, self.now),
            lambda: self.workflow.set_qc(key, stage, level),
        )

    @rule(number=NUMBERS)
    def scratch(self, number):
        key, model = self.session(number)
        self.both(lambda: model.scratch(self.now), lambda: self.workflow.scratch(key, "light leak"))

    @rule(number=NUMBERS)
    def unscratch(self, number):
        key, model = self.session(number)
        self.both(model.unscratch, lambda: self.workflow.unscratch(key))

    @rule(
        target=claims,
        number=NUMBERS,
        stage=st.sampled_from(PROCESSES),
        rerun=st.booleans(),
    )
    def start(self, number, stage, rerun):
        key, model = self.session(number)
        self.tokens += 1
        token, chosen = self.tokens, self.lab.stages[stage]
        parsed = self.lab.tracker.sessions.get(key).key
        claim = self.both(
            lambda: model.start(stage, token, self.now, rerun=rerun),
            lambda: self.claims_service.start(parsed, chosen, self.registrar, rerun=rerun),
        )
        return (number, stage, token, claim) if claim else None

    @rule(held=consumes(claims), outcome=st.sampled_from(["succeed", "fail", "cancel"]))
    def end(self, held, outcome):
        if held is None:
            return
        number, stage, token, claim = held
        finished = Finished(duration_s=1)
        calls = {
            "succeed": lambda: self.claims_service.succeed(claim, finished, known=[]),
            "fail": lambda: self.claims_service.fail(claim, ValueError("odd"), finished),
            "cancel": lambda: self.claims_service.cancel(claim, "no time", finished),
        }
        self.both(lambda: self.model[number].end(stage, token, outcome), calls[outcome])

    @rule(
        number=NUMBERS,
        stage=st.sampled_from(PROCESSES),
        outcome=st.sampled_from(["succeed", "fail", "cancel"]),
        force=st.booleans(),
    )
    def run(self, number, stage, outcome, force):
        key, model = self.session(number)
        # A run ends all claims whose lease has ended before it looks at the session.
        free_abandoned(self.lab.tracker._lab)
        self.end_all_expired()
        self.tokens += 1
        token = self.tokens
        registrar = {
            "succeed": good,
            "fail": raises(ValueError("odd")),
            "cancel": raises(KeyboardInterrupt()),
        }[outcome]

        def on_model() -> None:
            model.require(stage, self.now, *open_states)
            model.start(stage, token, self.now, rerun=force)
            model.end(stage, token, outcome)

        def on_tracker() -> None:
            options = {"registrar": registrar, "force": force}
            if outcome == "cancel" and may_start:
                with pytest.raises(KeyboardInterrupt):
                    self.workflow.run(stage, key, **options)
            else:
                self.workflow.run(stage, key, **options)

        open_states = {"ready", "failed", "stale"} | ({"done"} if force else set())
        may_start = model.state(stage, self.now) in open_states
        self.both(on_model, on_tracker)

    @rule(stage=st.sampled_from(PROCESSES), outcome=st.sampled_from(["succeed", "fail"]))
    def run_all(self, stage, outcome):
        ready = {n for n, m in self.model.items() if m.state(stage, self.now) == "ready"}
        failed = {n for n, m in self.model.items() if m.state(stage, self.now) == "failed"}
        registrar = good if outcome == "succeed" else raises(ValueError("odd"))
        report = self.workflow.run(stage, registrar=registrar)
        self.end_all_expired()
        assert {result.key.number for result in report.results} == ready | failed
        for number in ready | failed:
            self.tokens += 1
            self.model[number].start(stage, self.tokens, self.now, rerun=False)
            self.model[number].end(stage, self.tokens, outcome)

    def end_all_expired(self) -> None:
        """A run ends all claims whose lease has ended before it begins."""
        for model in self.model.values():
            model.end_expired(self.now)

    @rule(seconds=st.sampled_from([1, LEASE_S - 1, LEASE_S, 2 * LEASE_S]))
    def wait(self, seconds):
        self.now += seconds
        self.lab.clock.advance(seconds=seconds)

    # -- agreement ----------------------------------------------------------------------------

    def expected(self) -> dict[int, dict[str, str]]:
        return {
            number: {stage: model.state(stage, self.now) for stage in REQUIRES}
            for number, model in self.model.items()
        }

    @invariant()
    def states_agree(self):
        expected = self.expected()
        table = self.workflow.table(include_scratched=True)
        in_sql = {
            row["sessionID"]: {stage: row[f"state:{stage}"] for stage in REQUIRES}
            for row in table.to_dict("records")
        }
        assert in_sql == expected
        for number, states in expected.items():
            found = self.workflow.states(self.key(number))
            assert {stage: state.value for stage, state in found.items()} == states

    @invariant()
    def queues_and_counts_agree(self):
        """Compare the queue of one stage after each step, in turn, and the counts now and then."""
        expected = self.expected()
        self.turn += 1
        stage = list(REQUIRES)[self.turn % len(REQUIRES)]
        queued = {n for n, states in expected.items() if states[stage] in {"ready", "failed"}}
        assert set(self.workflow.needs(stage)["sessionID"]) == queued
        if self.turn % 4 == 0:
            counts = self.workflow.status()
            for name, state in itertools.product(REQUIRES, counts.columns):
                tally = sum(states[name] == state for states in expected.values())
                assert counts.loc[name, state] == tally

    @invariant()
    def every_step_is_in_the_history_and_scratched_is_justified(self):
        dump = self.lab.dump()
        noted = Counter(row["subject_key"] for row in dump["events"])
        for number, model in self.model.items():
            assert noted[self.key(number)] == model.events
        for row in dump["sessions"]:
            assert row["sessionQC"] == (row["scratchJustification"] is None)


def test_the_workflow_does_what_the_model_says(backend):
    class Machine(WorkflowMachine):
        url = staticmethod(backend.migrated_url)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples(8, backend.marker),
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
            # Explaining a failure traces every line, which takes minutes with a database.
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )

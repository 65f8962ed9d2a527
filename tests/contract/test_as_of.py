"""The lab as it was at an earlier time: random histories, and what cannot be read off them."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from support.backends import marker
from support.registrars import bad, good
from support.sample_lab import change_schema
from support.workflow_lab import NOON, WorkflowLab
from vrtracker.domain.stages import Stage
from vrtracker.errors import InvalidValueError, ReadOnlyError, VrtrackerError

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
STAGES = ("suite2p", "suite2p_qc", "registration", "red_cell_qc", "significant")


@pytest.fixture
def lab(backend, tmp_path):
    declared = (Stage(name="significant", title="", requires=("registration",)),)
    with WorkflowLab(backend.migrated_url(), tmp_path / "root", declared=declared) as made:
        yield made


def frames(tracker: Any) -> dict[str, pd.DataFrame]:
    everything = {"include_scratched": True}
    taken = {
        "sessions": tracker.sessions.frame(order_by="uSessionID", **everything),
        "mice": tracker.mice.frame(order_by="uMouseID"),
        "states": tracker.workflow.table(include_scratched=True),
        "status": tracker.workflow.status(),
        "events": tracker.events(1000),
        "errors": tracker.workflow.errors(),
    }
    for stage in STAGES:
        taken[stage] = tracker.workflow.needs(stage, include_stale=True)
    return taken


def assert_alike(past: dict[str, pd.DataFrame], copies: dict[str, pd.DataFrame]) -> None:
    for name, frame in copies.items():
        pd.testing.assert_frame_equal(past[name], frame, obj=name)


class RandomLab:
    """Does what people do, at random; what is refused is history too."""

    def __init__(self, lab: WorkflowLab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.next = 1

    def step(self) -> None:
        tracker, pick = self.lab.tracker, self.random
        workflow = tracker.workflow
        keys = [session.key for session in tracker.sessions.iter(include_scratched=True)]
        key = pick.choice(keys) if keys else None
        stage = pick.choice(STAGES)
        process = pick.choice(("suite2p", "registration", "significant"))
        steps = {
            "add": self.add,
            "update": lambda: tracker.sessions.update(
                {"imaging": pick.random() < 0.7, "headPlateRotation": pick.random()}, key
            ),
            "update all": lambda: tracker.sessions.update(
                {"sessionNotes": pick.choice(['a "note"', None])}, all_rows=True
            ),
            "rekey": lambda: tracker.sessions.update({"sessionID": pick.randint(1, 4)}, key),
            "rename": lambda: tracker.mice.update({"mouseName": pick.choice(["M2", "M3"])}, "M2"),
            "mouse": lambda: tracker.mice.update({"sex": pick.choice("FMU")}, "M1"),
            "delete": lambda: tracker.sessions.delete(key, force=True, reason="random"),
            "run": lambda: workflow.run(process, key, registrar=pick.choice([good, bad])),
            "again": lambda: workflow.run(process, key, registrar=good, force=True),
            "complete": lambda: workflow.complete(key, process),
            "reset": lambda: workflow.reset(key, process),
            "judge": lambda: workflow.set_qc(
                key, pick.choice(["suite2p", "red_cell"]), pick.choice(["PASS", "FAIL", "NOT_SET"])
            ),
            "scratch": lambda: workflow.scratch(key, "random"),
            "unscratch": lambda: workflow.unscratch(key),
            "exclude": lambda: workflow.exclude(key, stage),
            "include": lambda: workflow.include(key, stage),
        }
        often = ["add"] + ["run", "again", "complete", "judge", "exclude"] * 4
        name = "add" if key is None else pick.choice([*steps, *often])
        with contextlib.suppress(VrtrackerError):
            steps[name]()
        for session in tracker.sessions.iter(include_scratched=True):
            self.lab.folder(session.key).mkdir(parents=True, exist_ok=True)

    def add(self) -> None:
        number, self.next = self.next % 3 + 1, self.next + 1
        self.lab.add(f"M1.2023-01-20.{number}", folder=False, imaging=self.random.random() < 0.7)


def test_past_of_a_random_history_is_as_copies_that_were_taken_then(lab, backend):
    seeds = 4 if marker(backend.name) == "sqlite" else 1
    for seed in range(seeds):
        people, copies = RandomLab(lab, seed), {}
        for step in range(24):
            people.step()
            if step % 6 == 5:
                copies[lab.clock.time] = frames(lab.tracker)
            lab.clock.advance(minutes=1)
        for time, taken in copies.items():
            with lab.tracker.as_of(time) as past:
                assert_alike(frames(past), taken)
    assert lab.tracker.verify().differences == ()


def test_claim_of_then_is_running_although_it_has_ended_since(lab):
    key = lab.add(ONE)
    seen = []

    def work(job: Any) -> None:
        lab.clock.advance(minutes=1)
        seen.append((lab.clock.time, frames(lab.tracker)))
        lab.clock.advance(minutes=1)

    lab.tracker.workflow.run(registrar=work)

    ((time, taken),) = seen
    with lab.tracker.as_of(time) as past:
        assert_alike(frames(past), taken)
        assert past.workflow.states(key)["registration"] == "running"
    assert lab.state(key, "registration") == "done"


def test_time_without_a_zone_is_the_labs_clock_and_a_date_is_its_end(lab):
    lab.clock.time = dt.datetime(2026, 3, 2, 21, 59, 59, tzinfo=dt.UTC)
    lab.add(ONE)
    lab.clock.advance(seconds=1)
    lab.add(TWO)

    def known(when: Any) -> int:
        with lab.tracker.as_of(when) as past:
            return past.sessions.count()

    # The lab's clock is two hours ahead of UTC.
    assert known("2026-03-01") == known("2026-03-02 23:59:58") == 0
    assert known("2026-03-02") == known(dt.date(2026, 3, 2)) == known("2026-03-02 23:59:59") == 1
    assert known(lab.clock.time) == known("2026-03-02T22:00:00+00:00") == 2


@pytest.mark.own_rule
def test_time_that_has_not_come_or_is_none_is_refused(lab):
    for wrong in ("2099-01-01", "yesterday", None):
        with pytest.raises(InvalidValueError):
            lab.tracker.as_of(wrong)


def test_past_cannot_be_changed_and_leaves_no_file(lab):
    lab.add(ONE)
    past = lab.tracker.as_of(NOON)

    with pytest.raises(ReadOnlyError):
        past.sessions.update({"imaging": True}, ONE)
    past.close()

    assert not Path(past.url).parent.exists()


def test_row_that_was_deleted_by_hand_comes_back_once_that_is_entered(lab):
    lab.add(ONE, numPlanes=3, imaging=True)
    taken = lab.tracker.sessions.frame()
    sessions = lab.tracker.database.tables.sessions
    with lab.tracker.database.write_engine.begin() as connection:
        connection.execute(sessions.delete())
    time = lab.clock.time
    lab.clock.advance(minutes=1)
    lab.tracker.absorb()

    with lab.tracker.as_of(time) as past:
        pd.testing.assert_frame_equal(past.sessions.frame(), taken)


def test_columns_of_the_labs_own_are_as_they_were_and_deleted_rows_come_back(backend, tmp_path):
    url = backend.migrated_url()
    for name, kind in (("weight", sa.Double), ("seenAt", sa.DateTime), ("wet", sa.Boolean)):
        column = sa.Column(name, kind)
        change_schema(url, lambda op, column=column: op.add_column("sessiondb", column))
    with WorkflowLab(url, tmp_path / "root") as lab:
        seen = dt.datetime(2023, 1, 20, 14, 30)
        lab.add(ONE, weight=20.5, seenAt=seen, wet=True)
        lab.add(TWO, weight=22.5, wet=False)
        taken, time = lab.tracker.sessions.frame(), lab.clock.time
        lab.clock.advance(minutes=1)
        lab.tracker.sessions.update({"weight": 21.0, "seenAt": None}, ONE)
        lab.tracker.sessions.delete(ONE)
        lab.tracker.sessions.update({"weight": None, "wet": True}, TWO)

        with lab.tracker.as_of(time) as past:
            pd.testing.assert_frame_equal(past.sessions.frame(order_by="uSessionID"), taken)
        assert lab.tracker.verify().differences == ()

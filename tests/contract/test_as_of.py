"""The lab as it was at an earlier time; see `test_history_machine` for random histories."""

from __future__ import annotations

import datetime as dt
import gc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from support.sample_lab import change_schema, run_sql
from support.workflow_lab import NOON, WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import Stage
from vrtracker.errors import BackendError, InvalidValueError, ReadOnlyError

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
STAGES = ("suite2p", "suite2p_qc", "registration", "red_cell_qc", "significant")


@pytest.fixture
def lab(backend, tmp_path):
    declared = (Stage(name="significant", title="", requires=("registration",)),)
    with WorkflowLab.on(backend, tmp_path / "root", declared=declared) as made:
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


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_changes_that_are_no_json_are_told_by_the_number_of_their_event(lab):
    then = lab.clock.time
    lab.clock.advance(minutes=1)
    lab.add(ONE)
    told = """UPDATE vrt_event SET changes = '{bad' WHERE verb = 'added' AND subject_key = '%s'"""
    run_sql(lab.url, told % ONE)
    tracker = lab.another()

    for look in (tracker.events, lambda: tracker.history(ONE), lambda: tracker.as_of(then)):
        with pytest.raises(BackendError, match=r"changes holds '\{bad' where event_id is \d+"):
            look()


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


def test_files_are_as_they_were_recorded_before_they_changed_went_or_were_pruned(lab):
    lab.add(ONE)
    files = [lab.folder(ONE) / "oneData" / f"trials.{name}Times.npy" for name in ("end", "start")]
    files[0].parent.mkdir()
    copies = []

    def scanned() -> None:
        lab.clock.advance(minutes=1)
        lab.tracker.datasets.scan(ONE)
        copies.append((lab.clock.time, lab.tracker.datasets(ONE)))

    for number in range(2):
        for file in files:
            file.write_bytes(b"more" * (number + 1))
        scanned()
    files[0].unlink()
    scanned()
    lab.clock.advance(minutes=1)
    pruned = lab.tracker.datasets.prune(ONE).apply()
    copies.append((lab.clock.time, lab.tracker.datasets(ONE)))
    lab.clock.advance(minutes=1)
    lab.tracker.datasets.restore(pruned)

    assert [len(frame) for _, frame in copies] == [2, 2, 2, 1]
    for time, frame in copies:
        with lab.tracker.as_of(time) as past:
            pd.testing.assert_frame_equal(past.datasets(ONE), frame)


def test_time_without_a_zone_is_the_labs_clock_and_a_date_is_its_end(lab):
    lab.clock.time = dt.datetime(2026, 3, 2, 21, 59, 59, tzinfo=dt.UTC)
    lab.add(ONE)
    lab.clock.advance(seconds=1)
    lab.add(TWO)

    def known(when: Any) -> int:
        with lab.tracker.as_of(when) as past:
            return past.sessions.count()

    # The lab's clock is two hours ahead of UTC.
    assert known("2026-03-02 23:59:58") == 0
    assert known(dt.date(2026, 3, 2)) == 1
    assert known(lab.clock.time) == 2
    # Today has not ended: it stands for now.
    assert known(dt.date(2026, 3, 3)) == 2


@pytest.mark.own_rule
def test_time_that_has_not_come_or_is_none_is_refused(lab):
    for wrong in ("2099-01-01", "someday", None):
        with pytest.raises(InvalidValueError):
            lab.tracker.as_of(wrong)


def test_past_cannot_be_changed_and_leaves_no_file(lab):
    lab.add(ONE)
    past = lab.tracker.as_of(NOON)

    for write in (
        lambda: past.sessions.update({"imaging": True}, ONE),
        lambda: past.mice.delete("M2"),
        lambda: past.workflow.complete(ONE, "suite2p"),
        lambda: past.undo(last=True).apply(),
        lambda: past.database.write_engine,
    ):
        with pytest.raises(ReadOnlyError, match=r"cannot be changed.*that as_of was asked of"):
            write()
    past.close()

    assert not Path(past.url).parent.exists()


@pytest.mark.own_rule
def test_past_lasts_as_long_as_what_asks_it(lab):
    key = lab.add(ONE)

    sessions = lab.tracker.as_of(lab.clock.time).sessions
    query = lab.tracker.as_of(lab.clock.time).query()
    gc.collect()

    assert sessions.get(key).key == SessionKey.parse(key)
    assert query.count() == sessions.count()


def test_of_a_session_that_was_purged_since_columns_and_marks_are_known(lab):
    lab.add(ONE, numPlanes=3, imaging=True)
    lab.tracker.workflow.complete(ONE, "suite2p")
    lab.tracker.workflow.set_qc(ONE, "suite2p", "FAIL")
    taken, time = frames(lab.tracker), lab.clock.time
    lab.clock.advance(minutes=1)
    lab.tracker.sessions.delete(ONE)
    lab.tracker.sessions.restore(ONE)
    lab.tracker.sessions.delete(ONE)
    lab.tracker.sessions.purge(ONE)

    with lab.tracker.as_of(time) as past:
        assert_alike(frames(past), taken)
        assert past.decisions(ONE).empty


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

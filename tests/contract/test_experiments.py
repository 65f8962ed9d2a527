"""Experiments go where their session goes: recorded, deleted, brought back, copied, of then."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import vrtracker
from support.sample_lab import open_lab
from support.workflow_lab import WorkflowLab
from vrtracker.domain.experiments import Experiment, Message
from vrtracker.errors import (
    DuplicateError,
    ImportFileError,
    InvalidValueError,
    NotFoundError,
    NotUndoableError,
    UnknownNameError,
    VrtrackerError,
)
from vrtracker.files.aepsych.writing import write_experiments

KEY = "M1.2026-02-01.701"
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
TRIALS = [
    {
        "parameters": {"contrast": 0.5, "side": "left", "laser": True},
        "outcomes": {"hit": 1, "rt": 0.25 * n},
        "ended": dt.datetime(2026, 2, 1, 12, 0, n, 123456),
        "extra": {"lick": [n, None]},
    }
    for n in range(3)
]


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.add(KEY)
        yield made


def filled(lab):
    """Return a lab's experiments: two of a session, one of a mouse, one of nobody."""
    service = lab.tracker.experiments
    setup = {"type": "setup", "message": {"config_str": "[common]\nstimuli_per_trial = 1\n"}}
    service.setup("detection", "naïve ✓", session=KEY, experiment="a", message=setup)
    service.record("a", TRIALS)
    service.record_config("a", b"\x80\x04cos\nsystem\n.")
    service.setup(session=KEY, experiment="b", more={"rig": "B2"})
    service.setup(mouse="M1", experiment="c")
    service.setup(participant="someone", experiment="d")
    service.record("c", TRIALS[:1])
    return service


def contents(tracker):
    service = tracker.experiments
    return [service.list.records(), service.whole()]


def test_recorded_trials_come_back_typed_and_their_messages_tell_them_again(lab):
    service = filled(lab)

    frame = service.frame("a")
    assert frame.columns.tolist()[4:] == ["timestamp", "contrast", "side", "laser", "hit", "rt"]
    assert frame["timestamp"].tolist() == [trial["ended"] for trial in TRIALS]
    types = frame.dtypes.astype(str)
    assert (types["contrast"], types["laser"], types["rt"]) == ("float64", "boolean", "float64")
    assert frame["rt"].tolist() == [0, 0.25, 0.5]
    service.record("d", [{"outcomes": 1, "ended": dt.datetime(2026, 2, 1, 10, tzinfo=dt.UTC)}])
    assert service.frame("d")["timestamp"].tolist() == [dt.datetime(2026, 2, 1, 12)]
    assert service.frame("a", extra=True)["lick"].tolist() == [[0, None], [1, None], [2, None]]

    listed = service.list().set_index("experiment_id")
    assert listed["session"].tolist()[:2] == [KEY, KEY]
    assert listed["mouse"].fillna("").tolist() == ["M1", "M1", "M1", ""]
    assert listed.loc["a", ["trials", "messages", "blobs"]].tolist() == [3, 4, 1]
    assert listed["participant_id"].tolist() == ["M1", "M1", "M1", "someone"]
    assert service.summary().loc[1, "rig"] == "B2"

    assert service.config("a").startswith("[common]")
    assert service.messages("a")["content"].tolist()[-1] == b"\x80\x04cos\nsystem\n."
    assert service.replay().differences == ()
    told = lab.tracker.history(KEY)
    assert told["verb"].tolist()[1:] == ["experiment", "recorded", "recorded", "experiment"]
    assert told["changes"].iloc[2]["trials:added"] == 3


def test_values_that_come_later_are_added_to_their_trial(lab):
    service = filled(lab)

    number, _ = service.record_one("b", log=False, extra={"note": "x"})
    service.record_values("b", number, parameters={"x": "0.5"})
    service.record_values("b", number, parameters=[("x", 2)], outcomes={"outcome": 1})

    assert service.frame("b").loc[0, ["x", "x_2", "outcome"]].tolist() == [0.5, 2, 1]
    with pytest.raises(NotFoundError, match="trial"):
        service.record_values("b", number + 1)


def test_experiments_leave_with_their_session_and_come_back_as_they_were(lab):
    filled(lab)
    before, tracker = contents(lab.tracker), lab.tracker

    tracker.sessions.delete(KEY, reason="test")
    assert [each.uid for each in tracker.experiments.whole()] == ["c", "d"]
    assert "2 experiments, 5 messages, 3 trials" in tracker.sessions.deleted()["hanging"].iloc[0]
    tracker.experiments.setup(experiment="e")
    tracker.sessions.restore(KEY)
    tracker.experiments.assign("e", session=KEY)
    tracker.experiments.assign("e", nobody=True)
    assert contents(tracker)[1][:-1] == before[1]

    tracker.sessions.delete(KEY, reason="again")
    tracker.undo(last=True).apply()
    assert contents(tracker)[1][:-1] == before[1]

    tracker.mice.delete("M1", force=True, reason="test")
    assert [each.uid for each in tracker.experiments.whole()] == ["d", "e"]
    tracker.mice.restore("M1")
    assert contents(tracker)[1][:-1] == before[1]


def test_an_experiment_is_deleted_and_restored_by_itself(lab):
    service, moments = filled(lab), {}
    before = contents(lab.tracker)

    for uid in ("a", "d"):
        moments[lab.clock.time] = service.whole()
        lab.clock.advance(hours=1)
        service.delete(uid, reason="a test of the rig")
    moments[lab.clock.time] = service.whole()
    assert [each.uid for each in service.whole()] == ["b", "c"]
    for moment, experiments in moments.items():
        with lab.tracker.as_of(moment) as past:
            assert past.experiments.whole() == experiments
    service.restore("a")
    service.restore("d")
    assert contents(lab.tracker) == before

    service.delete("a")
    lab.tracker.sessions.delete(KEY, reason="test")
    with pytest.raises(InvalidValueError, match="restore that first"):
        service.restore("a")
    with pytest.raises(NotFoundError, match="deleted experiment"):
        service.restore("b")
    service.setup(experiment="e")
    with pytest.raises(NotUndoableError, match="'experiment' cannot be undone"):
        lab.tracker.undo(last=True).apply()


def test_the_past_has_the_experiments_of_then(lab):
    tracker = lab.tracker
    service = filled(lab)
    moments = []

    def later():
        moments.append((lab.clock.time, contents(tracker)[1]))
        lab.clock.advance(hours=1)

    later()
    service.record("a", TRIALS)
    later()
    tracker.sessions.delete(KEY, reason="test")
    later()
    tracker.sessions.restore(KEY)

    for moment, experiments in moments:
        with tracker.as_of(moment) as past:
            assert contents(past)[1] == experiments
    with tracker.as_of(moments[2][0]) as past:
        assert "2 experiments" in past.sessions.deleted()["hanging"].iloc[0]


def test_clones_carry_experiments_and_parts_those_of_their_sessions(lab, tmp_path):
    filled(lab)
    lab.add("M2.2026-02-02.701")

    vrtracker.clone(lab.url, tmp_path / "all.db")
    vrtracker.clone(lab.url, tmp_path / "part.db", mouseName="M2")
    vrtracker.clone(lab.url, tmp_path / "other.db", mouseName="M1")

    with open_lab(tmp_path / "all.db") as copy:
        assert contents(copy) == contents(lab.tracker)
        assert copy.experiments.setup() not in {"a", "b", "c", "d"}
    with open_lab(tmp_path / "part.db") as part:
        assert part.experiments.whole() == []
    with open_lab(tmp_path / "other.db") as part:
        assert part.experiments.whole() == lab.tracker.experiments.whole(["a", "b", "c"])


def test_a_file_is_taken_in_once_and_grows(lab, tmp_path):
    service = filled(lab)
    first, grown = tmp_path / "first.db", tmp_path / "grown.db"
    counts = service.export(first, ["a", "c"])
    service.record("a", TRIALS[:1])
    service.export(grown, "a")

    with open_other(tmp_path) as other:
        taken = other.experiments
        plan = taken.read(first)
        assert (
            dict(plan.counts)
            == counts | {"assigned": 0}
            == {
                "experiments": 2,
                "trials": 4,
                "parameters": 12,
                "outcomes": 8,
                "messages": 5,
                "blobs": 1,
                "assigned": 0,
            }
        )
        assert taken.list().empty
        plan.apply()
        assert not any(taken.read(first).counts.values())
        more = taken.read(grown)
        assert {name: n for name, n in more.counts.items() if n} == {
            "trials": 1,
            "parameters": 3,
            "outcomes": 2,
            "messages": 1,
        }
        more.apply()
        assert not any(taken.read(first, grown).counts.values())
        pd.testing.assert_frame_equal(taken.frame("a"), service.frame("a"))


def test_what_is_nobodys_is_assigned_and_what_is_of_another_is_a_conflict(lab, tmp_path):
    service = filled(lab)
    service.export(tmp_path / "d.db", "d")

    for owner, owned in (({"mouse": "M1"}, ("M1", "")), ({"session": KEY}, ("M1", KEY))):
        plan = service.read(tmp_path / "d.db", **owner)
        assert {name: n for name, n in plan.counts.items() if n} == {"assigned": 1}
        plan.apply()
        row = service.list().set_index("experiment_id").fillna("").loc["d"]
        assert (row["mouse"], row["session"]) == owned
        again = service.read(tmp_path / "d.db", tmp_path / "d.db", **owner)
        assert not any(again.counts.values())
    assert lab.tracker.history(KEY)["changes"].iloc[-1] == {"experiment": "d", "was": "M1"}
    assert service.read(tmp_path / "d.db", mouse="M1").conflicts == ()

    with pytest.raises(ImportFileError, match=rf"d: it is of {KEY} here, not of M2\. Nothing was"):
        service.read(tmp_path / "d.db", mouse="M2").apply()
    assert service.list().set_index("experiment_id").loc["d", "session"] == KEY


def open_other(tmp_path):
    return vrtracker.init(tmp_path / "other.db")


def test_databases_are_combined_with_their_origins_and_conflicts_are_told(lab, tmp_path):
    service = filled(lab)
    with open_other(tmp_path) as other:
        other.mice.add("M1")
        other.experiments.setup("another", experiment="a")
        other.experiments.setup("new", experiment="n", mouse="M1")

    plan = service.combine(tmp_path / "other.db")

    assert len(plan.conflicts) == 1
    assert "a: participant is 'M1' here, None there; name is 'detection'" in plan.conflicts[0]
    with pytest.raises(ImportFileError, match="can only grow"):
        plan.apply()
    assert len(service.list()) == 4
    service.combine(tmp_path / "other.db", leave_out=True).apply()
    taken = service.list().iloc[-1]
    assert (taken["experiment_id"], taken["mouse"]) == ("n", "M1")
    assert taken["origin"].endswith("other.db")


def test_messages_alone_rebuild_experiments_in_an_empty_database(lab, tmp_path):
    service = filled(lab)
    into = tmp_path / "rebuilt.db"

    assert service.replay(into, dry_run=True).counts["a"]["trials"] == 3
    assert not into.exists()
    service.replay(into)

    with open_lab(into) as rebuilt:
        assert rebuilt.experiments.whole() == service.whole()
    with pytest.raises(vrtracker.VrtrackerError, match="not empty"):
        service.replay(into)


@SQLITE
@pytest.mark.parametrize(
    ("given", "outcomes"),
    [
        (None, ()),
        ("hit", (("outcome", "hit"),)),
        (np.bool_(1), (("outcome", True),)),
        (np.array(2), (("outcome", 2),)),
        ({"hit": np.float32(0.5)}, (("hit", 0.5),)),
    ],
)
def test_a_trial_has_one_outcome_or_none_and_may_lack_parameters(lab, given, outcomes):
    service = filled(lab)

    service.record("b", [{"outcomes": given}])

    (trial,) = service.whole("b")[0].trials
    assert (trial.parameters, trial.outcomes) == ((), outcomes)
    assert service.replay().differences == ()


def endless():
    made = []
    made.append(made)
    return made


BAD = ("a\x00", "half \ud800")


@SQLITE
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda e, bad: e.setup(bad), "name"),
        (lambda e, bad: e.setup(about=bad), "about"),
        (lambda e, bad: e.setup(participant=bad), "participant"),
        (lambda e, bad: e.setup(more={"rig": [bad]}), "more, rig"),
        (lambda e, bad: e.setup(message={bad: 1}), "message 1, content"),
        (lambda e, bad: e.record("a", [{"outcomes": 1}, {"parameters": {"x": bad}}]), "trial 2, p"),
        (lambda e, bad: e.record("a", [{"outcomes": {bad: 1}}]), "trial 1, outcomes"),
        (lambda e, bad: e.record("a", [{"outcomes": 1, "extra": {"b": bad}}]), "trial 1, extra, b"),
        (lambda e, bad: e.record_values("a", 1, parameters={"x": bad}), "trial 1, parameters"),
        (lambda e, bad: e.record_message("a", bad, {}), "message 1, verb"),
        (lambda e, bad: e.record_config("a", bad), "message 1, content"),
    ],
)
def test_a_text_that_no_database_keeps_is_refused_with_its_field(lab, act, field, bad):
    service = filled(lab)
    before = contents(lab.tracker)

    with pytest.raises(InvalidValueError, match=f"^{field}.*NUL"):
        act(service, bad)

    assert contents(lab.tracker) == before


@SQLITE
@pytest.mark.parametrize("bad", BAD)
def test_such_a_text_is_refused_in_files_too(lab, tmp_path, bad):
    sent = Message.of({"x": [bad]}, verb="ask")
    write_experiments(tmp_path / "n.db", [Experiment(uid="n", messages=(sent,))])

    with pytest.raises(ImportFileError, match=r"n\.db: 'n', message 1, content, x: .*NUL"):
        lab.tracker.experiments.read(tmp_path / "n.db")


@SQLITE
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda e: e.setup(experiment="a"), DuplicateError),
        (lambda e: e.setup(mouse="M3"), NotFoundError),
        (lambda e: e.setup(session=KEY, mouse="M2"), InvalidValueError),
        (lambda e: e.setup(experiment="x" * 65), InvalidValueError),
        (lambda e: e.frame("A"), NotFoundError),
        (lambda e: e.config("b"), NotFoundError),
        (lambda e: e.record("a", [{"parameters": {"x": [1]}}]), InvalidValueError),
        (lambda e: e.record("a", [{"parameters": [("x", 1), ("x", 2)]}]), InvalidValueError),
        (lambda e: e.record("a", [{"answers": 1}]), UnknownNameError),
        (lambda e: e.record_message("a", "ask", {"x": object()}), InvalidValueError),
        (lambda e: e.record_message("a", "ask", b"bytes"), InvalidValueError),
        (lambda e: e.to_csv("no/such/folder.csv", "a"), r"no folder no/such; make it"),
        *(
            (lambda e, given=given: e.record("a", given), "give a list of trials")
            for given in (5, None, "abc", {"outcomes": 1})
        ),
        *(
            (lambda e, given=given: e.record("a", [given]), "give a mapping")
            for given in ({}, 5, "abc")
        ),
        (lambda e: e.record("a", [{"parameters": {"x": np.zeros(2)}}]), "x is array"),
        (lambda e: e.record("a", [{"parameters": [1]}]), "pairs of name and value"),
        (lambda e: e.record("a", [{"outcomes": {"": 1}}]), "has no name"),
        (lambda e: e.record("a", [{"outcomes": 1, "ended": "noon"}]), "give a datetime"),
        (lambda e: e.record("a", [{"outcomes": 1, "extra": np.zeros(2)}]), "^extra is"),
        (lambda e: e.record(5, [{"outcomes": 1}]), "id is a text"),
        (lambda e: e.restore(5), "id is a text"),
        (lambda e: e.setup(mouse=BAD[1]), "half a character"),
        (lambda e: e.setup(""), "^name is ''"),
        (lambda e: e.setup(participant=""), "^participant is ''"),
        (lambda e: e.setup(more=[1]), "^more is"),
        (lambda e: e.setup(more={"x": endless()}), "give plain values"),
        (lambda e: e.frame(3), "id is a text"),
        (lambda e: e.frame(BAD[1]), "half a character"),
        (lambda e: e.messages(None), "id is a text"),
        (lambda e: e.config("a", "a"), "-1 the last"),
        (lambda e: e.config("a", 99), r"configuration '99' in the experiment a\. There are 1 that"),
        (lambda e: e.assign("a"), "nobody=True"),
        (lambda e: e.assign("a", mouse="M1", nobody=True), "nobody=True"),
    ],
)
def test_wrong_records_are_refused_and_nothing_is_written(lab, act, error):
    service = filled(lab)
    before = contents(lab.tracker)

    kind, words = (VrtrackerError, error) if isinstance(error, str) else (error, None)
    with pytest.raises(kind, match=words):
        act(service)

    assert contents(lab.tracker) == before

"""Rigs are kept by version, sessions point to theirs, and its equipment says what it leaves."""

from __future__ import annotations

import json

import pytest

from support.rigs import BROKEN, a_rig
from vrtracker.errors import InvalidValueError, NotFoundError

ONE, TWO = "M1.2026-03-02.701", "M1.2026-03-02.702"


@pytest.fixture
def rigs(lab):
    """The rigs of a lab with two sessions; b2 has two versions."""
    lab.add(ONE, imaging=True)
    lab.add(TWO)
    found = lab.tracker.rigs
    found.add(a_rig())
    found.add(a_rig(version="1.3", equipment=None), name="B2")
    return found


def test_versions_are_known_by_their_content(rigs):
    again = rigs.add(dict(reversed(a_rig().items())))

    assert again.name == "b2@1"
    assert again.content == a_rig()
    assert [each.name for each in rigs.list()] == ["b2@1", "b2@2"]
    assert rigs.get("B2").name == "b2@2"
    assert len({each.hash for each in rigs.list()}) == 2
    assert rigs.diff("b2@1", "b2@2")[0] == ("$.version", "1.2", "1.3")
    with pytest.raises(NotFoundError, match="b2@2"):
        rigs.get("b2@3")


def test_adding_a_version_is_told_in_the_history_once_and_stays(lab, rigs):
    rigs.add(a_rig())

    told = lab.tracker.events(10)
    told = told[told["verb"] == "rig_added"]
    assert told["subject_key"].tolist() == ["b2@2", "b2@1"]
    assert told["changes"].tolist() == [{"sha256": each.hash} for each in rigs.list()[::-1]]
    plan = lab.tracker.undo(last=True)
    assert plan.problems[0].startswith(
        "The rig b2@2: 'rig_added' cannot be undone; a version stays"
    )


def test_features_are_rows(lab, rigs):
    rows = lab.dump()["rig_features"]

    assert {(row["rig_id"], row["place"], row["feature_name"]) for row in rows} == {
        *((rig.row.rig_id, 1, "licks") for rig in rigs.list()),
        *((rig.row.rig_id, 2, "pupil") for rig in rigs.list()),
    }


def test_wrong_rig_is_refused_with_all_that_is_wrong(lab, rigs):
    before = lab.dump()

    with pytest.raises(InvalidValueError) as caught:
        rigs.add(BROKEN)

    assert "$.features[2].source.video" in str(caught.value)
    assert "23 violations" in str(caught.value)
    with pytest.raises(InvalidValueError, match="no '@'"):
        rigs.add(a_rig(), name="b2@1")
    assert lab.dump() == before


def test_session_points_to_its_version_until_that_is_undone(lab, rigs):
    rigs.set(ONE, "b2@1", reason="the label on the wall")
    rigs.set(None, "b2", mouseName="M1")

    assert rigs.of(ONE).name == rigs.of(TWO).name == "b2@2"
    assert [each.sessions for each in rigs.list()] == [0, 2]
    assert rigs.set(ONE, "b2@2") == []
    told = lab.tracker.history.records(ONE)
    assert [row["verb"] for row in told][-2:] == ["rig_set", "rig_set"]

    plan = lab.tracker.undo(last=True)
    assert {(row["key"], row["now"], row["after"]) for row in plan.rows()} == {
        (ONE, "b2@2", "b2@1"),
        (TWO, "b2@2", None),
    }
    plan.apply()
    assert rigs.of(ONE).name == "b2@1"
    assert rigs.of(TWO) is None
    rigs.set(ONE, None)
    assert rigs.of(ONE) is None


def test_deleted_session_comes_back_with_its_rig_and_the_past_knows_it(lab, rigs):
    rigs.set(ONE, "b2@1")
    then = lab.clock.time
    lab.clock.advance(hours=1)
    rigs.set(ONE, "b2@2")
    lab.tracker.sessions.delete(ONE, force=True, reason="a double")
    lab.tracker.sessions.restore(ONE)

    assert rigs.of(ONE).name == "b2@2"
    lab.clock.advance(hours=1)
    with lab.tracker.as_of(then) as past:
        assert past.rigs.of(ONE).name == "b2@1"


def test_equipment_says_which_files_a_stage_will_miss(lab, rigs):
    rigs.set(ONE, "b2@1")
    workflow = lab.tracker.workflow

    found = workflow.why_not(ONE, "suite2p")
    assert [(each.code, "tiffs/*.tif" in str(each)) for each in found] == [
        ("missing_files", True),
        ("missing_files", False),
    ]
    assert not found.keep_out
    assert "It is in the queue, but" in str(found)
    told = lab.tracker.reconcile().found.notes
    assert {note.message.split(" of its rig")[0] for note in told if note.where == ONE} == {
        *("timeline", "scanner")
    }

    folder = lab.folder(ONE)
    (folder / "tiffs").mkdir()
    for name in ("tiffs/a.tif", "scan.xml", "x_Timeline.mat"):
        (folder / name).touch()
    assert workflow.why_not(ONE, "suite2p") == ()
    assert lab.tracker.reconcile().found.notes == ()


def test_rig_is_set_on_named_sessions_alone(lab, rigs):
    with pytest.raises(InvalidValueError, match="no rig is set on all"):
        rigs.set(None, "b2")
    with pytest.raises(NotFoundError):
        rigs.set("M1.2026-03-02.999", "b2")
    assert all(each.sessions == 0 for each in rigs.list())


def test_copies_carry_rigs(lab, rigs, tmp_path):
    import vrtracker

    rigs.set(ONE, "b2@1")
    vrtracker.clone(lab.url, str(tmp_path / "copy.db"))
    with vrtracker.open(str(tmp_path / "copy.db")) as copied:
        assert copied.rigs.of(ONE).name == "b2@1"
        assert json.dumps(copied.rigs.get("b2@1").content) == json.dumps(a_rig())
    lab.tracker.publish("part", tmp_path / "published", sessionID=702)

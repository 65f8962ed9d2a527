"""What people change on the lab's pages: each shown first, checked, and taken back."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from support.http import Visitor, hidden, served
from support.registrars import good, raises
from support.workflow_lab import wait_for
from vrtracker.operations import operation
from vrtracker.tracker import Tracker

ONE, TWO, THREE = "M1.2023-01-20.1", "M1.2023-01-21.1", "M2.2023-01-21.1"
DAY = "2026-03-02"  # of the lab's clock

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def client(lab):
    for key in (ONE, TWO, THREE):
        lab.add(key, imaging=True, suite2p=True)
    with served(lab.tracker) as client:
        yield client


@pytest.fixture
def visitor(client):
    return Visitor(client)


def _edit(visitor, key, **values):
    form = visitor.see(f"/sessions/{key}/edit")
    was = {f"was.{name}": hidden(form, f"was.{name}") for name in values}
    return {"version": hidden(form, "version"), **was, **values}


def test_what_was_changed_in_the_form_alone_is_written_with_the_reason(visitor, lab):
    form = _edit(visitor, ONE, numPlanes="3", sessionNotes="two\r\nlines", imaging="true")

    done = visitor.send(f"/sessions/{ONE}/edit", reason="measured", **form)

    assert (done.status, done.headers["Location"]) == (303, f"/sessions/{ONE}")
    event = lab.tracker.history.records(ONE)[-1]
    assert event["changes"] == {"numPlanes": [None, 3], "sessionNotes": [None, "two\nlines"]}
    assert event["reason"] == "measured"


def test_an_edit_of_what_somebody_else_changed_shows_both_and_can_be_kept_then(visitor, lab):
    lines = "two\nlines"
    lab.tracker.sessions.update({"experimentType": lines}, ONE)
    form = _edit(visitor, ONE, numPlanes="3", sessionNotes=lines)
    assert f">\n{lines}</textarea>" in visitor.see(f"/sessions/{ONE}/edit")
    lab.tracker.sessions.update({"sessionNotes": "theirs"}, ONE)

    late = visitor.send(f"/sessions/{ONE}/edit", reason="measured", **form)
    page = late.body.decode()
    assert (late.status, lab.row(ONE).sessionNotes) == (409, "theirs")
    assert "<td></td><td>theirs</td>" in page
    # A field of one line would make one line of what nobody has touched.
    assert re.search(rf'<textarea name="sessionNotes"[^>]*>\n{lines}</textarea>', page)
    assert 'name="reason" size="40" value="measured"' in page

    again = {"version": hidden(page, "version"), "was.sessionNotes": "theirs"}
    again |= {"sessionNotes": "ours", "was.numPlanes": "", "numPlanes": "3"}
    assert visitor.send(f"/sessions/{ONE}/edit", **again).status == 303
    assert (lab.row(ONE).sessionNotes, lab.row(ONE).numPlanes) == ("ours", 3)


def test_what_does_not_fit_is_refused_in_the_words_of_every_call(visitor, lab):
    wrong = visitor.send(f"/sessions/{ONE}/edit", **_edit(visitor, ONE, numPlanes="many"))

    assert wrong.status == 400
    assert "numPlanes" in wrong.body.decode()
    assert visitor.send(f"/sessions/{ONE}/edit", mark="", **_edit(visitor, ONE)).status == 403


def test_an_edit_of_many_is_shown_written_and_taken_back(visitor, lab):
    wanted = {"where": "mouseName = 'M1'", "column": "numPlanes", "value": "5", "reason": "all"}

    shown = visitor.send("/sessions/bulk", **wanted).body.decode()
    assert "numPlanes of 2 of 2 matching sessions would become" in shown
    assert lab.row(ONE).numPlanes is None
    done = visitor.send("/sessions/bulk", seen=hidden(shown, "seen"), **wanted)
    assert (done.status, lab.row(TWO).numPlanes, lab.row(THREE).numPlanes) == (303, 5, None)

    undo = visitor.see(done.headers["Location"])
    fields = {name: hidden(undo, name) for name in ("operation", "seen")}
    assert visitor.send("/undo", **fields).status == 303
    assert lab.row(ONE).numPlanes is None


def test_an_edit_of_many_that_would_be_another_one_by_now_is_shown_again(visitor, lab):
    wanted = {"key": [ONE, THREE], "column": "numPlanes", "value": "5"}
    shown = visitor.send("/sessions/bulk", **wanted).body.decode()
    lab.tracker.sessions.update({"numPlanes": 1}, THREE)

    late = visitor.send("/sessions/bulk", seen=hidden(shown, "seen"), **wanted).body.decode()

    assert "have changed since you looked" in late
    assert (lab.row(ONE).numPlanes, lab.row(THREE).numPlanes) == (None, 1)


def test_an_edit_of_many_without_a_condition_is_one_of_all(visitor, lab):
    wanted = {"where": "", "column": "numPlanes", "value": "5"}
    before = lab.row(TWO).numPlanes
    lab.tracker.workflow.scratch(TWO, "slept")
    shown = visitor.send("/sessions/bulk", **wanted).body.decode()

    offered = re.search('<select name="column">(.*?)</select>', visitor.see("/sessions"))[1]
    assert "<option>numPlanes</option>" in offered
    assert not re.search("uSessionID|mouseName|sessionQC", offered)
    assert "numPlanes of 2 of 2 matching sessions would become" in shown
    assert visitor.send("/sessions/bulk", seen=hidden(shown, "seen"), **wanted).status == 303
    assert (lab.row(THREE).numPlanes, lab.row(TWO).numPlanes) == (5, before)
    shown = visitor.send("/sessions/bulk", scratched="yes", **wanted).body.decode()
    assert "numPlanes of 1 of 3 matching sessions would become" in shown


def test_today_s_session_is_entered_like_the_last_one(visitor, lab):
    form = {"mouse": "M1", "date": "today", "number": "701", "like": "yes", "notes": "calm"}

    done = visitor.send("/sessions/new", **form)

    assert done.headers["Location"] == f"/sessions/M1.{DAY}.701"
    row = lab.row(f"M1.{DAY}.701")
    assert (row.imaging, row.suite2p, row.sessionNotes) == (True, False, "calm")
    assert visitor.send("/sessions/new", **form).status == 409
    lab.tracker.mice.add("M3")
    assert visitor.send("/sessions/new", **form | {"mouse": "M3"}).status == 303


def test_a_table_is_shown_with_its_problems_and_added_once_it_has_none(visitor, lab):
    bad = "mouseName,sessionDate,sessionID\nM1,2024-05-06,1\nM7,2024-05-06,1\n"
    good_one = bad.replace("M7", "M2")

    refused = visitor.send("/sessions/import", text=bad).body.decode()
    shown = visitor.send("/sessions/import", text=good_one).body.decode()
    done = visitor.send("/sessions/import", text=good_one, seen=hidden(shown, "seen"))

    assert "M7" in refused
    odd = visitor.send("/sessions/import", text=bad.replace("ID\n", "ID,wat\n")).body.decode()
    assert "Write a column&#39;s name in its place" in odd
    assert "Add 2 sessions" in shown
    assert done.status == 303
    assert lab.tracker.sessions.count(sessionDate="2024-05-06") == 2


def test_the_desk_goes_through_the_queue_and_takes_back(visitor, lab):
    page = visitor.see("/quality/suite2p")
    seen = []
    while "left to judge" in page and 'name="key"' in page and len(seen) < 3:
        key = hidden(page, "key")
        seen.append(key)
        done = visitor.send("/quality/suite2p", key=key, state="ready", level="PASS")
        page = visitor.see(done.headers["Location"])

    assert seen == [ONE, TWO, THREE]
    assert "judged on its own page" in visitor.look("/quality/session").body.decode()
    assert "0 left to judge" in page
    operation = hidden(page, "operation")
    back = visitor.send("/quality/suite2p/undo", operation=operation, key=THREE)
    assert hidden(visitor.see(back.headers["Location"]), "key") == THREE
    assert lab.state(THREE, "suite2p_qc") == "ready"


def test_two_reviewers_never_have_the_same_session_before_them(client, visitor, lab):
    other = Visitor(client)
    mine, theirs = (hidden(who.see("/quality/suite2p"), "key") for who in (visitor, other))
    assert (mine, theirs) == (ONE, TWO)

    taken = other.look("/quality/suite2p", key=ONE)
    judged = {"key": ONE, "state": "ready", "level": "FAIL"}
    no_reason = visitor.send("/quality/suite2p", **judged)
    lab.tracker.workflow.set_qc(ONE, "suite2p", "PASS")
    late = visitor.send("/quality/suite2p", reason="dim", **judged)

    assert [taken.status, no_reason.status, late.status] == [409, 400, 409]
    assert lab.state(ONE, "suite2p_qc") == "done"


def test_of_two_servers_on_one_database_the_second_judgement_is_told_the_first(
    client, visitor, lab
):
    with served(lab.another(actor="bob")) as elsewhere:
        other = Visitor(elsewhere)
        pages = [each.see("/quality/suite2p") for each in (visitor, other)]
        forms = [{name: hidden(page, name) for name in ("key", "state", "seen")} for page in pages]
        assert forms[0] == forms[1]
        assert other.send("/quality/suite2p", level="FAIL", reason="dim", **forms[1]).status == 303

        late = visitor.send("/quality/suite2p", level="PASS", **forms[0])
        as_if = visitor.send("/quality/suite2p", level="PASS", **forms[0] | {"state": "failed"})
        on_its_page = visitor.send(f"/sessions/{ONE}/qc", check="suite2p", level="PASS", seen="0")

    by_call = client.ask("POST", f"/sessions/{ONE}/qc/suite2p", {"level": "PASS", "seen": 0})
    assert [each.status for each in (late, as_if, on_its_page, by_call)] == [409] * 4
    assert "bob said FAIL (dim)" in late.body.decode()
    assert "judged FAIL (dim) by bob" in as_if.body.decode()
    assert lab.state(ONE, "suite2p_qc") == "failed"


def test_the_disk_is_compared_and_written_once_the_plan_was_seen(visitor, lab):
    (lab.root / "M2" / "2024-05-06" / "3").mkdir(parents=True)
    (lab.root / "M2" / "2024-05-06" / "3" / "2024-05-06_3_M2_Timeline.mat").write_bytes(b"x")

    shown = visitor.send("/runs/scan").body.decode()
    done = visitor.send("/runs/scan", seen=hidden(shown, "seen"))

    assert "1 new session to add; " in shown
    assert "apply()" not in visitor.send("/runs/reconcile").body.decode()
    assert done.status == 303
    assert lab.tracker.sessions.get("M2.2024-05-06.3")


def test_a_run_is_started_in_a_process_of_its_own_and_its_output_shown(visitor, lab):
    lab.tracker.workflow.run("registration", TWO, registrar=raises(ValueError("no <disk>")))
    group = hidden(visitor.see("/runs"), "error")

    assert visitor.send("/runs/start", stage="registration", key=ONE).status == 303
    assert visitor.send("/runs/start", stage="registration", where="imagng").status == 400
    assert visitor.send("/runs/start", error=group).status == 303

    wait_for(lambda: "ended with exit code" in visitor.see("/runs/live"))
    wait_for(lambda: ": runs" not in visitor.see("/runs/live"))
    assert lab.tracker.workflow.attempts.records(ONE)[-1]["actor"] == "ann"
    assert len(lab.tracker.workflow.attempts.records(TWO)) == 2
    assert "failed" in visitor.see("/runs/live")


def test_a_snapshot_goes_nowhere_but_into_the_folder_that_the_server_was_told(visitor, monkeypatch):
    monkeypatch.delenv("VRTRACKER_SNAPSHOTS", raising=False)
    unknown = visitor.send("/runs/publish", name="fig3")
    assert "No folder for them is known" in visitor.see("/runs")
    monkeypatch.setenv("VRTRACKER_SNAPSHOTS", "https://lab.example/snapshots")
    elsewhere = visitor.send("/runs/publish", name="fig3")
    monkeypatch.setenv("VRTRACKER_SNAPSHOTS", "relative")
    wrong = [visitor.send("/runs/publish", name=name) for name in ("--to=/etc", "../x", "")]

    assert [each.status for each in (unknown, elsewhere, *wrong)] == [400] * 5
    assert "snapshot publish" not in visitor.see("/runs/live")


def test_the_buttons_of_a_session_s_page_do_what_they_say(visitor, lab):
    lab.tracker.workflow.run("registration", ONE, registrar=good)

    page = visitor.see(f"/sessions/{ONE}")
    assert "Judge suite2p" in page
    for verb, form, state in (
        ("reset", {"stage": "registration", "reason": "moved"}, "ready"),
        ("complete", {"stage": "registration"}, "done"),
        ("scratch", {"reason": "no laser"}, "scratched"),
        ("unscratch", {}, "done"),
    ):
        assert visitor.send(f"/sessions/{ONE}/{verb}", **form).status == 303
        assert lab.state(ONE, "registration") == state
    assert visitor.send(f"/sessions/{ONE}/nothing").status == 404


def test_the_doctor_is_asked(visitor):
    assert "references" in visitor.see("/doctor")


def test_a_tracker_can_sign_for_somebody_else(lab):
    other: Tracker = lab.tracker.signing_as("bob", lab.tracker.role)
    other.sessions.update({"numPlanes": 2}, lab.add(ONE))

    assert lab.tracker.history.records(ONE)[-1]["actor"] == "bob"


def test_a_judgement_sent_to_a_server_without_seen_is_known_again_by_one_with_it(client, lab):
    path, key = f"/sessions/{ONE}/qc/suite2p", "rig-1-2024-05-06-7"
    old = {"level": "PASS", "reason": None, "criteria": None, "evidence": None}
    token = "".join(
        hashlib.sha256(text.encode()).hexdigest()[:16]
        for text in (f"/api/v1{path}\n{key}", json.dumps(old, sort_keys=True))
    )
    with operation(token):
        lab.tracker.workflow.set_qc(ONE, "suite2p", "PASS")

    again = client.ask("POST", path, {"level": "PASS"}, {"Idempotency-Key": key})
    other = client.ask("POST", path, {"level": "FAIL"}, {"Idempotency-Key": key})

    assert [again.status, other.status] == [200, 409]
    assert len(lab.tracker.decisions.records(ONE)) == 1

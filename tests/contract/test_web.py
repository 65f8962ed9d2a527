"""The lab by HTTP: the same rows, rules and errors as in Python."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from support.http import Client, Visitor, hidden, served
from vrtracker.database import Database
from vrtracker.errors import BackendError, DatabaseAwayError, VrtrackerError
from vrtracker.web.problems import status_of

ONE, TWO, THREE = "M1.2023-01-20.1", "M1.2023-01-20.2", "M2.2023-01-19.1"
NEW = "M2.2024-05-06.7"


@pytest.fixture
def client(lab):
    for key in (ONE, TWO, THREE):
        lab.add(key, imaging=key != THREE, suite2p=key == ONE)
    with served(lab.tracker) as client:
        yield client


def test_pages_hold_every_row_once_in_order_of_numbers(client, lab):
    seen, after = [], None
    while True:
        more = {} if after is None else {"after": after}
        page = client.get("/sessions", limit=2, **more)
        seen += page["items"]
        after = page["next"]
        if after is None:
            break

    assert [row["key"] for row in seen] == [ONE, TWO, THREE]
    assert [row["imaging"] for row in seen] == [True, True, False]
    assert client.get("/mice")["items"][1]["KO"] is True


def test_conditions_and_columns_choose_what_comes(client):
    page = client.get("/sessions", where="imaging and not suite2p", columns="sessionID, mouse.KO")

    assert page == {"items": [{"sessionID": 2, "mouse.KO": False}], "next": None}


def test_rows_come_as_csv_and_typed_as_arrow(client, lab):
    text = client.ask("GET", "/sessions", format="csv", limit=2)
    typed = client.ask("GET", "/sessions", format="arrow", limit=2)

    none = client.ask("GET", "/sessions", format="csv", where="sessionID = 0", columns="sessionID")
    assert none.body == b"sessionID\r\n"
    lines = list(csv.DictReader(io.StringIO(text.body.decode())))
    assert [line["key"] for line in lines] == [ONE, TWO]
    assert text.headers["X-Next"] == typed.headers["X-Next"] == TWO
    assert pa.ipc.open_stream(typed.body).read_all() == lab.tracker.query().limit(2).arrow()


def test_a_queue_comes_as_arrow_page_by_page(client):
    asked = {"format": "arrow", "blocked": True, "limit": 1}
    first = client.ask("GET", "/needs/registration", **asked)
    rest = client.ask("GET", "/needs/registration", **asked, after=first.headers["X-Next"])

    assert first.headers["X-Next"] == ONE
    tables = [pa.ipc.open_stream(each.body).read_all() for each in (first, rest)]
    assert tables[0].schema == tables[1].schema
    assert [table["sessionID"].to_pylist() for table in tables] == [[1], [2]]


def test_an_edit_is_refused_once_somebody_else_changed_what_was_seen(client, lab):
    seen = client.ask("GET", f"/sessions/{ONE}")
    lab.tracker.sessions.update({"sessionNotes": "theirs"}, ONE)

    late = client.ask(
        "PATCH",
        f"/sessions/{ONE}",
        {"sessionNotes": "mine", "reason": "seen"},
        {"If-Match": seen.headers["ETag"]},
    )
    assert late.status == 412
    assert late.error["current"]["sessionNotes"] == "theirs"

    again = {"If-Match": late.headers["ETag"]}
    done = client.ask("PATCH", f"/sessions/{ONE}", {"sessionNotes": "mine"}, again)
    assert (done.status, done.document["sessionNotes"]) == (200, "mine")
    assert done.headers["ETag"] == client.ask("GET", f"/sessions/{ONE}").headers["ETag"]


def test_of_many_who_edit_what_they_saw_one_gets_through(client):
    seen = {"If-Match": client.ask("GET", f"/sessions/{ONE}").headers["ETag"]}

    def edit(number: int) -> int:
        own = Client(client.url, client.token)
        return own.ask("PATCH", f"/sessions/{ONE}", {"numPlanes": number}, seen).status

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(edit, range(1, 5)))

    assert statuses == [200, 412, 412, 412]


def test_of_thirty_who_read_and_write_at_once_nobody_is_refused_and_no_edit_is_lost(client, lab):
    columns = ("numPlanes", "headPlateRotation", "planeSeparation", "vrEnvironments")

    def work(number: int) -> list[int]:
        own = Client(client.url, client.token)
        statuses = [own.ask("GET", "/sessions").status, own.ask("GET", "/status").status]
        while number < len(columns):
            seen = {"If-Match": own.ask("GET", f"/sessions/{ONE}").headers["ETag"]}
            edit = own.ask("PATCH", f"/sessions/{ONE}", {columns[number]: number + 1}, seen)
            if edit.status != 412:
                return [*statuses, edit.status]
        return statuses

    with ThreadPoolExecutor(30) as pool:
        statuses = [status for each in pool.map(work, range(30)) for status in each]

    assert set(statuses) == {200}
    assert [getattr(lab.row(ONE), name) for name in columns] == [1, 2, 3, 4]


def test_a_session_that_a_rig_reports_twice_is_added_once(client, lab):
    key = {"Idempotency-Key": "rig-1-2024-05-06-7"}
    body = {"key": NEW, "imaging": True}

    first = client.ask("POST", "/sessions", body, key)
    second = client.ask("POST", "/sessions", body, key)
    third = client.ask("POST", "/sessions", body)

    assert [first.status, second.status, third.status] == [201, 200, 409]
    assert first.headers["Location"] == f"/api/v1/sessions/{NEW}"
    assert first.document == second.document
    other = client.ask("POST", "/sessions", {"key": NEW, "imaging": False}, key)
    assert (other.status, other.error["code"]) == (409, "key_used")
    assert third.error["code"] == "duplicate"
    assert len(lab.tracker.history(NEW)) == 1


def test_a_decision_is_recorded_and_explained(client, lab):
    judged = client.ask("POST", f"/sessions/{ONE}/qc/suite2p", {"level": "PASS", "reason": "ok"})
    blocked = client.ask("POST", f"/sessions/{TWO}/qc/suite2p", {"level": "PASS"})

    assert judged.document["states"]["suite2p_qc"] == "done"
    assert client.get(f"/sessions/{ONE}/qc")["items"][0]["reason"] == "ok"
    assert (blocked.status, blocked.error["code"]) == (409, "invalid_transition")
    assert client.get(f"/sessions/{TWO}/why-not/registration")["items"][0]["code"] == "unmet"


def test_a_foreign_worker_claims_lives_and_succeeds(client, lab):
    asked: dict[str, Any] = {"stage": "registration", "host": "rig", "name": "matlab"}
    key = {"Idempotency-Key": "claim-number-1"}
    claim = client.ask("POST", "/claims", asked, key).document
    assert claim == client.ask("POST", "/claims", asked, key).document
    assert claim["key"] == ONE
    assert claim["path"] == str(lab.folder(ONE))

    lab.clock.advance(minutes=14)
    assert client.ask("POST", f"/claims/{claim['attempt_id']}/heartbeat").status == 200
    lab.clock.advance(minutes=14)
    assert [row["host"] for row in client.get("/claims")["items"]] == ["rig (foreign)"]

    files = [{"path": "oneData/licks.times.npy", "size": 8}]
    told = {"outcome": "succeeded", "datasets": files}
    missing = client.ask("POST", f"/claims/{claim['attempt_id']}/outcome", told)
    assert (missing.status, missing.error["code"]) == (400, "invalid_value")
    (lab.folder(ONE) / "oneData").mkdir()
    (lab.folder(ONE) / "oneData" / "licks.times.npy").write_bytes(b"12345678")
    assert client.ask("POST", f"/claims/{claim['attempt_id']}/outcome", told).status == 200
    # The answer was lost, and it is told again.
    assert client.ask("POST", f"/claims/{claim['attempt_id']}/outcome", told).status == 200
    assert client.get(f"/sessions/{ONE}")["states"]["registration"] == "done"
    assert client.get(f"/sessions/{ONE}/datasets")["items"][0]["rel_path"] == files[0]["path"]
    last = client.get(f"/sessions/{ONE}/attempts")["items"][-1]
    assert (last["outcome"], last["duration_s"]) == ("succeeded", 28 * 60)


def test_a_foreign_failure_keeps_its_message_and_traceback(client):
    claim = client.ask("POST", "/claims", {"stage": "registration"}).document
    told = {
        "outcome": "failed",
        "message": "no disk",
        "error_type": "MException",
        "details": "at 3",
    }

    answer = client.ask(
        "POST", f"/claims/{claim['attempt_id']}/outcome", told | {"details": "at 3"}
    )
    assert answer.status == 200

    failure = client.get("/errors")["items"][0]
    assert (failure["error_type"], failure["error_message"]) == ("MException", "no disk")
    assert "at 3" in failure["error_traceback"]
    late = client.ask("POST", f"/claims/{claim['attempt_id']}/outcome", {"outcome": "succeeded"})
    assert (late.status, late.error["code"]) == (409, "lost_claim")


def test_a_foreign_claim_that_is_given_back_or_expires_is_taken_by_the_next(client, lab):
    asked = {"stage": "registration", "where": "mouseName = 'M1' and suite2p"}
    first = client.ask("POST", "/claims", asked).document
    assert client.ask("POST", "/claims", asked).status == 204
    client.ask("POST", f"/claims/{first['attempt_id']}/outcome", {"outcome": "cancelled"})
    second = client.ask("POST", "/claims", asked).document

    lab.clock.advance(minutes=16)
    third = client.ask("POST", "/claims", asked).document

    assert second["key"] == third["key"] == ONE
    assert client.ask("POST", f"/claims/{second['attempt_id']}/heartbeat").status == 409


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (("GET", "/sessions/M1.2023-01-20.9"), 404, "not_found"),
        (("GET", "/sessions/nothing"), 400, "invalid_key"),
        (("GET", "/sessions?where=imagng"), 400, "condition"),
        (("GET", "/sessions?limit=0"), 422, "invalid_request"),
        (("GET", "/needs/nothing"), 400, "unknown_name"),
        (("GET", "/nothing"), 404, "not_found"),
        (("GET", "/sessions?wher=imaging"), 422, "unknown_parameter"),
        (("POST", "/sessions", {"key": "M9.2023-01-20.9"}), 404, "unknown_mouse"),
        (("POST", "/sessions", {"key": ONE, "nothing": 1}), 400, "unknown_name"),
        (("PATCH", f"/sessions/{ONE}", {"numPlanes": "many"}), 400, "invalid_value"),
        (("POST", "/claims", {"stage": "red_cell_qc"}), 400, "invalid_value"),
        (("POST", f"/claims/{'a' * 32}/heartbeat"), 404, "not_found"),
        (("PUT", "/sessions"), 405, "method_not_allowed"),
    ],
)
def test_every_error_has_one_form(client, asked, status, code):
    answer = client.ask(*asked)

    assert (answer.status, answer.error["code"]) == (status, code)


def test_what_would_fail_again_is_not_called_an_absence():
    told = {DatabaseAwayError("busy"): 503, BackendError("near COLLATE"): 500}
    assert {error: status_of(error) for error in told} == told


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_nobody_comes_in_without_the_token_or_by_another_name(client):
    other = client.ask("GET", "/status", headers={"Authorization": "Bearer other"})
    none = client.ask("GET", "/status", headers={"Authorization": None})
    led = client.ask("GET", "/status", headers={"Host": "evil.example"})
    large = client.ask("POST", "/sessions", {"key": NEW, "sessionNotes": "x" * 2_000_000})

    assert [other.status, none.status, led.status, large.status] == [401, 401, 421, 413]
    assert none.headers["WWW-Authenticate"] == "Bearer"
    assert "default-src 'none'" in none.headers["Content-Security-Policy"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_lab_that_is_only_read_refuses_every_change(lab):
    lab.add(ONE, imaging=True, suite2p=True)
    with served(lab.another(database=Database(lab.url, readonly=True))) as client:
        edit = client.ask("PATCH", f"/sessions/{ONE}", {"numPlanes": 1})
        claim = client.ask("POST", "/claims", {"stage": "registration"})

        visitor = Visitor(client)
        run = visitor.send("/runs/start", stage="registration")
        assert "you only read" in visitor.see("/")
        forms = ("/sessions/new", f"/sessions/{ONE}/edit", "/mice/import")
        pages = [visitor.look(path) for path in forms]
        pages += [visitor.send(f"/sessions/{ONE}/scratch", reason="dim")]

    assert [page.status for page in pages] == [403] * 4
    assert all(b"This server only reads." in page.body for page in pages)
    assert (edit.status, edit.error["code"]) == (403, "read_only")
    assert run.status == 403
    assert (claim.status, claim.error["code"]) == (403, "read_only")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a//b", "a\\b"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_dataset_lies_below_its_session(lab, path):
    foreign = lab.tracker.workflow.foreign

    with pytest.raises(VrtrackerError, match="below the session's folder"):
        foreign.succeed("a" * 32, datasets=[{"path": path, "size": 1}])


def test_every_page_comes_from_every_database(client):
    visitor = Visitor(client)
    pages = (
        "/",
        "/sessions?order=-state.registration",
        "/mice",
        f"/sessions/{ONE}",
        "/runs",
        "/sessions?text=x",
    )
    pages += ("/quality/suite2p", f"/sessions/{ONE}/edit", "/sessions/as/csv", "/undo", "/mice/M1")
    for path in pages:
        assert visitor.see(path)
    bulk = {"where": "imaging", "column": "numPlanes", "value": "4"}
    shown = visitor.send("/sessions/bulk", **bulk).body.decode()
    assert visitor.send("/sessions/bulk", seen=hidden(shown, "seen"), **bulk).status == 303
    assert [row["numPlanes"] for row in client.get("/sessions")["items"]] == [4, 4, None]

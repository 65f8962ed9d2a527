"""The lab's pages: what they show, what they change, and who may."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from support.http import Answer, Client, served
from support.registrars import good, raises

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-21.1"
SCRIPT = "<script>alert(1)</script>"

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Visitor:
    """Somebody with a browser, who came in by the address with the token."""

    def __init__(self, client: Client) -> None:
        self._client = client
        came = client.ask("GET", "//enter", token=client.token)
        assert (came.status, came.headers["Location"]) == (303, "/")
        self.cookie = came.headers["Set-Cookie"].partition(";")[0]

    def look(self, path: str, **query: Any) -> Answer:
        return self._client.ask("GET", f"/{path}", headers=self._headers(), **query)

    def see(self, path: str, **query: Any) -> str:
        answer = self.look(path, **query)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def send(self, path: str, origin: str | None = None, **form: str) -> Answer:
        headers = self._headers() | {"Origin": origin or self._client.url}
        return self._client.send(f"/{path}", urlencode(form), headers)

    def _headers(self) -> dict[str, str | None]:
        return {"Cookie": self.cookie, "Authorization": None}


@pytest.fixture
def client(lab):
    lab.add(ONE, imaging=True, suite2p=True)
    lab.add(TWO, sessionNotes=SCRIPT)
    lab.tracker.workflow.run("registration", ONE, registrar=good)
    lab.tracker.workflow.run("registration", TWO, registrar=raises(ValueError("no <disk>")))
    with served(lab.tracker) as client:
        yield client


@pytest.fixture
def visitor(client):
    return Visitor(client)


def test_the_overview_shows_mice_queues_failures_and_events(visitor):
    page = visitor.see("/")

    assert f'aria-label="{ONE}: registration"' in page
    assert f'aria-label="{TWO}: failed"' in page
    assert "no &lt;disk&gt;" in page
    assert "running → done" in page


def test_sessions_are_found_by_a_condition_and_a_wrong_one_is_pointed_at(visitor):
    found = visitor.see("/sessions", where="imaging", order="-sessionDate")
    wrong = visitor.look("/sessions", where="imagng")

    assert "1 session passes" in found
    assert ONE in found
    assert TWO not in found
    assert wrong.status == 400
    assert "Did you mean &#39;imaging&#39;" in wrong.body.decode()


def test_a_session_s_page_has_states_reasons_files_attempts_and_its_neighbours(visitor):
    page = visitor.see(f"/sessions/{ONE}")

    assert "suite2p is done" in page
    assert "trials.startTimes.npy" in page
    assert f"After: {TWO}" in page
    assert "Traceback" in visitor.see(f"/sessions/{TWO}")
    assert visitor.look("/sessions/M1.2023-01-20.9").status == 404


def test_what_people_wrote_is_never_html(visitor):
    page = visitor.see(f"/sessions/{TWO}")

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_decision_by_a_form_is_recorded_and_a_refusal_explained(visitor, lab):
    done = visitor.send(f"/sessions/{ONE}/qc", check="suite2p", level="PASS", reason="clear")
    refused = visitor.send(f"/sessions/{TWO}/qc", check="red_cell", level="PASS")

    assert (done.status, done.headers["Location"]) == (303, f"/sessions/{ONE}")
    assert lab.state(ONE, "suite2p_qc") == "done"
    assert refused.status == 409
    assert b'role="alert"' in refused.body


def test_notes_that_somebody_else_changed_meanwhile_are_not_overwritten(visitor, lab):
    lab.tracker.sessions.update({"sessionNotes": "theirs"}, ONE)

    late = visitor.send(f"/sessions/{ONE}/notes", shown="", notes="mine")
    seen = visitor.send(f"/sessions/{ONE}/notes", shown="theirs", notes="ours")

    assert (late.status, seen.status) == (409, 303)
    assert b"theirs" in late.body
    assert lab.row(ONE).sessionNotes == "ours"


def test_only_who_came_in_sees_pages_and_only_these_pages_change_anything(client, visitor, lab):
    stranger = client.ask("GET", "//sessions", headers={"Authorization": None})
    guess = client.ask("GET", "//enter", token="guess")
    forged = visitor.send(f"/sessions/{ONE}/scratch", "http://evil.example", reason="x")
    by_cookie = visitor.look("/api/v1/status")
    assert [stranger.status, guess.status, forged.status, by_cookie.status] == [401, 401, 403, 401]
    assert lab.row(ONE).sessionQC

    assert visitor.send("/leave").status == 200
    assert visitor.look("/").status == 401


def test_pages_load_nothing_from_elsewhere(visitor, client):
    for path in ("/", "/sessions", f"/sessions/{ONE}", "/calls"):
        page = visitor.see(path).replace(client.url, "")
        assert "http:" not in page
        assert "https:" not in page
        assert "<script" not in page
    assert "style-src 'self'" in visitor.look("/").headers["Content-Security-Policy"]

"""The lab's pages: what they show, what they change, and who may."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import re

import pyarrow.parquet as pq
import pytest

from support.http import Visitor, served
from support.registrars import good, raises

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-21.1"
SCRIPT = "<script>alert(1)</script>"

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def client(lab):
    lab.add(ONE, imaging=True, suite2p=True)
    lab.add(TWO, sessionNotes=SCRIPT + " the mouse's")
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


def test_the_overview_shows_eight_weeks_and_leads_past_empty_ones(visitor, lab):
    for day in ("2022-06-01", "2023-01-20", "2023-06-01"):
        lab.tracker.sessions.add(("M2", day, 7))
    days = ("2022-06-01", "2023-01-20", "2023-06-01")

    def shown(path, **query):
        page = visitor.see(path, **query)
        links = dict(re.findall(r'rel="(prev|next)" href="[^"]*until=([^"]*)"', page))
        return [day for day in days if f'aria-label="M2.{day}.7' in page], links

    for path in ("/", "/mice/M2"):
        last, links = shown(path)
        assert (last, links) == (["2023-06-01"], {"prev": "2023-01-21" if path == "/" else days[1]})
        middle, links = shown(path, until=links["prev"])
        assert (middle, links["prev"]) == (["2023-01-20"], "2022-06-01")
        assert shown(path, until=links["next"])[0] == ["2023-06-01"]
    assert 'data-live="/live?until=2022-06-01"' in visitor.see("/", until="2022-06-01")
    assert shown("/live", until="2022-06-01")[0] == ["2022-06-01"]
    assert visitor.look("/", until="soon").status == 422
    for day in ("1800-01-01", "9999-12-20", "9999-12-31"):
        lab.tracker.sessions.add(("M2", day, 7))
    assert shown("/")[1]["next"] == "9999-12-26"
    assert set(shown("/", until="9999-12-26")[1]) == {"prev"}
    assert shown("/", until="2022-06-01")[1]["prev"] == "1800-01-01"
    assert set(shown("/", until="1800-01-01")[1]) == {"next"}
    assert [visitor.look("/", until=day).status for day in ("0001-01-01", "9999-12-31")] == [
        422
    ] * 2


def test_times_are_of_the_lab_s_zone_which_every_page_tells(visitor, lab):
    at = lab.tracker.history.records(ONE)[-1]["occurred_at"]
    local, utc = (f"{each:%Y-%m-%d %H:%M:%S}" for each in (at + dt.timedelta(hours=2), at))

    for path in ("/", f"/sessions/{ONE}", "/mice/M1", "/runs", "/quality/suite2p", "/calls"):
        page = visitor.see(path)
        assert "Times are of UTC+02:00" in page
        assert utc not in page
    assert local in visitor.see(f"/sessions/{ONE}")


def test_sessions_are_found_by_a_condition_and_a_wrong_one_is_pointed_at(visitor):
    found = visitor.see("/sessions", where="imaging", order="-sessionDate")
    wrong = visitor.look("/sessions", where="imagng")

    assert "1 session passes" in found
    for text in ("ALERT", "mouse's"):
        assert "1 session passes" in visitor.see("/sessions", text=text)
    assert "0 sessions pass" in visitor.see("/sessions", text="alert", where="imaging")
    assert "0 sessions pass" in visitor.see("/sessions", text="%_")
    assert ONE in found
    assert TWO not in found
    assert wrong.status == 400
    assert "Did you mean &#39;imaging&#39;" in wrong.body.decode()


def test_where_nothing_passes_it_is_said_what_would(visitor, lab):
    lab.tracker.workflow.scratch(ONE, "dim")
    assert "None." in visitor.see("/sessions", where="imaging", text="mouse's")
    page = visitor.see("/sessions/as/count", where="imaging", text="mouse's")

    assert "Without the condition: 1</a>" in page
    assert "With scratched ones" not in page
    assert "With scratched ones: 1</a>" in visitor.see("/sessions/as/count", where="imaging")


def test_a_condition_is_completed_by_what_can_come_next(visitor):
    words = visitor.look("/sessions/as/words", text="not imaging and mouse.K")

    assert words.document == {"at": 16, "words": ["mouse.KO"]}
    assert visitor.look("/sessions/as/words", text="x" * 2_001).status == 422


def test_where_snapshots_are_is_told_without_a_secret(visitor, monkeypatch):
    monkeypatch.setenv("VRTRACKER_SNAPSHOTS", "https://ann:secret@lab.example/snapshots?token=x")

    assert "They are in https://lab.example/snapshots." in visitor.see("/runs")


def test_a_session_s_page_has_states_reasons_files_attempts_and_its_neighbours(visitor):
    page = visitor.see(f"/sessions/{ONE}")

    assert "suite2p is done" in page
    assert "trials.startTimes.npy" in page
    assert f"After: {TWO}" in page
    assert "Traceback" in visitor.see(f"/sessions/{TWO}")
    assert visitor.look("/sessions/M1.2023-01-20.9").status == 404


def test_what_people_wrote_is_never_html(visitor):
    page = visitor.see(f"/sessions/{TWO}")

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_decision_by_a_form_is_recorded_and_a_refusal_explained(visitor, lab):
    done = visitor.send(f"/sessions/{ONE}/qc", check="suite2p", level="PASS", reason="clear")
    refused = visitor.send(f"/sessions/{TWO}/qc", check="red_cell", level="PASS")

    assert (done.status, done.headers["Location"]) == (303, f"/sessions/{ONE}")
    assert lab.state(ONE, "suite2p_qc") == "done"
    assert refused.status == 409
    assert b'role="alert"' in refused.body


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
    for path in ("/", "/sessions", "/mice", f"/sessions/{ONE}", "/calls", "/runs", "/page.js"):
        page = visitor.see(path).replace(client.url, "")
        assert "http:" not in page
        assert "https:" not in page
        assert page.count("<script") in {0, page.count('<script src="/page.js" defer>')}
    assert "script-src 'self';" in visitor.look("/").headers["Content-Security-Policy"]


def test_a_table_comes_in_any_order_page_by_page_with_the_columns_that_were_chosen(visitor, lab):
    rows = [
        {"mouseName": "M2", "sessionDate": "2024-05-06", "sessionID": number, "numPlanes": number}
        for number in range(1, 151)
    ]
    lab.tracker.sessions.add_many(rows)
    condition = {"where": "mouseName = 'M2'", "columns": "numPlanes"}

    first = visitor.see("/sessions", order="-numPlanes", **condition)
    later = re.search('data-later="([^"]*)"', first)[1]
    second = visitor.see("/sessions", order="-numPlanes", page=2, **condition)
    behind = visitor.see("/sessions", after="M2.2024-05-06.100", **condition)

    assert visitor.see(html.unescape(later)).strip() == "150 sessions pass."
    assert [f"M2.2024-05-06.{number}" in first for number in (150, 51, 50)] == [True, True, False]
    assert [f"M2.2024-05-06.{number}" in second for number in (51, 50, 1)] == [False, True, True]
    assert [f"M2.2024-05-06.{number}" in behind for number in (100, 101)] == [False, True]
    assert "page=2" in first
    assert "page=3" not in second
    assert "order=-state.registration" not in first
    assert "order=-state.registration" in visitor.see("/sessions", order="state.registration")
    back = visitor.see("/sessions", order="-state.registration")
    assert re.search('aria-sort="descending"><a [^>]*>registration<', back)


def test_columns_are_kept_for_the_next_time(visitor):
    shown = visitor.look("/sessions", columns="faceCamera")

    cookie = shown.headers["Set-Cookie"].partition(";")[0]
    again = visitor.look("/sessions", cookies=cookie).body.decode()
    assert "order=faceCamera" in again
    assert "order=imaging" not in again


def test_what_passes_is_a_file_a_command_line_and_a_line_of_python(visitor, lab, tmp_path):
    asked = {"where": "imaging", "columns": ["sessionID", "imaging"]}
    page = visitor.see("/sessions", **asked)
    text = visitor.see("/sessions/as/csv", **asked)
    (tmp_path / "x.parquet").write_bytes(visitor.look("/sessions/as/parquet", **asked).body)

    assert list(csv.DictReader(io.StringIO(text))) == [{"sessionID": "1", "imaging": "true"}]
    assert (
        pq.read_table(tmp_path / "x.parquet")
        == lab.tracker.query("imaging").select(*asked["columns"]).arrow()
    )
    assert "vrtracker sessions list --where imaging --columns sessionID,imaging" in page
    line = "tracker.sessions.frame('imaging', columns=['sessionID', 'imaging'])"
    assert line in html.unescape(page)


def test_what_was_chosen_is_shown_alone_and_is_a_file_then(visitor):
    shown = visitor.send("/sessions/as/chosen", key=[TWO]).headers["Location"]
    page = visitor.see(shown)

    assert "1 session passes" in page
    assert TWO in page
    mice = visitor.see(visitor.send("/mice/as/chosen", key="M1").headers["Location"])
    assert "1 mouse passes" in mice
    assert "--include-scratched" not in mice
    assert visitor.send("/sessions/as/chosen").status == 400


def test_mice_have_a_table_and_a_page_each(visitor):
    assert "1 mouse passes" in visitor.see("/mice", where="KO = true")
    page = visitor.see("/mice/M1")
    assert f"{ONE}: registration" in page
    assert "New session" in page

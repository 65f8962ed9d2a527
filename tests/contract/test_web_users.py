"""People with passwords and roles: who gets in, what each may do, whose name is written."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.http import Client, Visitor, hidden, served
from support.registrars import raises
from vrtracker.errors import ConfigurationError, VrtrackerError
from vrtracker.web.kept import KeptFile
from vrtracker.web.serving import LabServer
from vrtracker.web.users import Users

ONE = "M1.2023-01-20.1"
WORD = "correct horse"
SCRIPT = "<script>alert(1)</script>"

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Return users, whose passwords are hashed once."""
    users = Users(tmp_path_factory.mktemp("users") / "web-users.json")
    for name, role in (("ann", "reader"), ("bob", "editor")):
        users.add(name, role, WORD)
    return users.path.read_text()


@pytest.fixture
def users(backend, known, tmp_path):
    users = Users(tmp_path / "web-users.json")
    users.path.write_text(known)
    return users


@pytest.fixture
def client(lab, users):
    lab.add(ONE, suite2p=True)
    with served(lab.tracker, users=users) as client:
        yield client


def _log_in(client, name, password, **headers):
    origin = {"Origin": client.url, **headers}
    return client.send("//login", f"name={name}&password={password}", origin)


def test_an_editor_writes_in_the_own_name_and_a_reader_not_at_all(client, lab):
    editor, reader = Visitor(client, "bob", WORD), Visitor(client, "ann", WORD)

    assert editor.send(f"/sessions/{ONE}/scratch", reason="dim").status == 303
    assert lab.tracker.history.records(ONE)[-1]["actor"] == "bob"
    assert reader.send(f"/sessions/{ONE}/unscratch").status == 403
    assert not lab.row(ONE).sessionQC
    assert "· ann · you only read" in reader.see("/")
    assert b"A reader changes nothing." in reader.look("/sessions/new").body
    assert "Unscratch" not in reader.see(f"/sessions/{ONE}")
    assert "Run again" not in reader.see("/runs")


def test_views_are_one_s_own_opened_by_link_or_first_and_removed(client, lab):
    lab.tracker.sessions.add("M1.2023-01-20.2", sessionNotes="a's")
    ann, bob = Visitor(client, "ann", WORD), Visitor(client, "bob", WORD)
    asked = {"where": "not suite2p", "text": "a's", "columns": "numPlanes", "order": "-sessionID"}

    link = hidden(ann.see("/sessions", **asked), "link")
    kept = ann.send("/sessions/as/view", link=link, name=SCRIPT, first="true")
    opened = ann.see(kept.headers["Location"])
    assert "M1.2023-01-20.2" in opened
    assert 'value="not suite2p"' in opened
    assert "order=numPlanes" in opened
    assert SCRIPT not in opened
    assert ONE not in ann.see("/sessions")
    assert ONE in ann.see("/sessions", where="")
    assert "You have none." in bob.see("/sessions")
    assert ONE in bob.see("/sessions")

    wrong = ann.send("/sessions/as/view", link="where=imagng", name="x")
    nameless = ann.send("/sessions/as/view", link=link, name=" ")
    assert [wrong.status, nameless.status] == [400, 400]
    assert ann.send("/sessions/as/view", remove=SCRIPT).status == 303
    assert ann.send("/sessions/as/view", remove=SCRIPT).status == 400
    assert "You have none." in ann.see("/sessions")


def test_a_first_view_that_no_longer_holds_locks_nobody_out_and_goes_with_its_user(
    client, lab, users
):
    ann = Visitor(client, "ann", WORD)
    kept = KeptFile("web-views.json", "views")
    ann.send("/sessions/as/view", link="where=suite2p", name="mine", first="true")
    kept.write(json.loads(kept.path.read_text().replace("where=suite2p", "where=gone")))

    page = ann.see("/sessions")
    assert "&#39;gone&#39;" in page
    assert 'aria-label="Remove the view mine"' in page
    assert ONE in page

    assert "ann" in kept.read()
    users.remove("ann")
    assert "ann" not in kept.read()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(users):
    users.path.unlink()
    users.path.mkdir()

    with pytest.raises(ConfigurationError, match="cannot be written"):
        KeptFile("", "users", users.path).write({})
    assert [*users.path.parent.iterdir()] == [users.path]


def test_passwords_are_kept_as_hashes_in_a_file_of_one_s_own(users):
    kept = json.loads(users.path.read_text())

    assert kept["ann"]["password"].startswith("$argon2id$")
    assert WORD not in users.path.read_text()
    users.add("cy", "admin", None)
    assert os.name != "posix" or users.path.stat().st_mode & 0o077 == 0
    assert not users.is_password("cy", "")
    for wrong in (("", "reader", WORD), ("d", "king", WORD), ("d", "reader", "short")):
        with pytest.raises(VrtrackerError):
            users.add(*wrong)


def test_trials_are_few(client):
    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(lambda _: _log_in(client, "ann", "wrong").status, range(6)))

    assert statuses == [401, 401, 401, 401, 401, 429]
    assert _log_in(client, "ann", WORD).headers["Retry-After"] == "300"
    assert _log_in(client, "bob", WORD).status == 303


def test_who_is_removed_or_has_left_is_out_at_once(client, users):
    ann, bob = Visitor(client, "ann", WORD), Visitor(client, "bob", WORD)
    assert bob.mark

    users.remove("ann")
    assert bob.send("/leave").status == 200

    assert [ann.look("/").status, bob.look("/").status] == [401, 401]
    assert bob.send("/undo").status == 401


def test_programs_with_somebody_s_token_do_what_the_role_may_in_that_name(lab, users):
    lab.add(ONE)
    with served(lab.tracker, users=users) as client:
        ann, bob = (Client(client.url, users.new_token(name)) for name in ("ann", "bob"))
        edit = ("PATCH", f"/sessions/{ONE}", {"numPlanes": 3})

        assert bob.ask(*edit).status == 200
        assert lab.tracker.history.records(ONE)[-1]["actor"] == "bob"
        refused = ann.ask(*edit[:2], {"numPlanes": 4})
        assert (refused.status, refused.error["code"]) == (403, "role")
        assert ann.get(f"/sessions/{ONE}")["numPlanes"] == 3
        assert ann.token not in users.path.read_text()

        users.remove("ann")
        users.revoke_token("bob")
        newer = users.new_token("bob")
        tries = [client.token, ann.token, bob.token, *["guess"] * 4, newer]
        statuses = [Client(client.url, each).ask("GET", "/status").status for each in tries]
        assert statuses == [200, 401, 401, 401, 401, 401, 429, 200]
        users.path.write_text("{")
        closed = bob.ask("GET", "/status")
        assert (closed.status, closed.error["code"]) == (503, "users")


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_pages(client):
    cookie = _log_in(client, "bob", WORD).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert _log_in(client, "bob", WORD, Origin="http://evil.example").status == 403


def test_a_proxy_names_people_if_its_address_is_trusted(lab, users):
    lab.add(ONE)
    users.add("cy", "editor", None)
    named = {"X-Forwarded-User": "cy", "Authorization": None}
    with served(lab.tracker, users=users, proxy="127.0.0.1", public_name="lab.example") as client:
        led = client.ask("GET", "//sessions", headers={**named, "Host": "evil.example"})
        seen = client.ask("GET", "//sessions", headers={**named, "Host": "lab.example"})
        nobody = client.ask("GET", "//sessions", headers={**named, "X-Forwarded-User": "dan"})
        https = {"X-Forwarded-Proto": "https", "Origin": client.url.replace("http:", "https:")}
        cookie = _log_in(client, "bob", WORD, **https).headers["Set-Cookie"]
    with served(lab.tracker, users=users) as client:
        untrusted = client.ask("GET", "//sessions", headers=named)

    assert [led.status, seen.status, nobody.status, untrusted.status] == [421, 200, 401, 401]
    assert "· cy" in seen.body.decode()
    assert "Secure" in cookie


def test_other_computers_are_answered_once_there_are_users(lab, users, tmp_path):
    with pytest.raises(ConfigurationError, match="web-user add"):
        LabServer(lab.tracker, host="0.0.0.0", ready=print, users=Users(tmp_path / "none"))

    with pytest.raises(ConfigurationError, match="--name HOST"):
        LabServer(lab.tracker, ready=print, users=users, proxy="127.0.0.1")
    with served(lab.tracker, host="0.0.0.0", users=users) as client:
        assert client.ask("GET", "//", headers={"Authorization": None}).status == 401


PLACES = (
    ("/sessions/new", {"mouse": SCRIPT, "date": SCRIPT, "number": SCRIPT, "notes": SCRIPT}),
    ("/sessions/bulk", {"column": SCRIPT, "value": SCRIPT, "where": SCRIPT, "key": SCRIPT}),
    ("/sessions/bulk", {"column": "sessionNotes", "value": SCRIPT, "where": "behavior"}),
    ("/sessions/import", {"text": f"mouseName,sessionDate,sessionID\n{SCRIPT},2024-01-01,1"}),
    (f"/sessions/{ONE}/edit", {"was.sessionNotes": "", "sessionNotes": SCRIPT, "version": "x"}),
    (f"/sessions/{ONE}/qc", {"check": SCRIPT, "level": SCRIPT, "reason": SCRIPT}),
    (f"/sessions/{ONE}/reset", {"stage": SCRIPT, "reason": SCRIPT}),
    ("/quality/suite2p", {"key": ONE, "state": SCRIPT, "level": "FAIL", "reason": SCRIPT}),
    ("/runs/start", {"stage": SCRIPT, "where": SCRIPT, "workers": SCRIPT}),
    ("/runs/reconcile", {"where": SCRIPT}),
    ("/undo", {"operation": SCRIPT, "seen": SCRIPT}),
    ("/login", {"name": SCRIPT, "password": SCRIPT}),
)
LOOKS = (
    ("/sessions", {"where": SCRIPT, "order": SCRIPT, "columns": SCRIPT, "after": SCRIPT}),
    ("/mice", {"where": f"notes = '{SCRIPT}'"}),
    ("/sessions", {"where": f"sessionNotes = '{SCRIPT}'"}),
    (f"/sessions/{SCRIPT}", {}),
    (f"/mice/{SCRIPT}", {}),
    (f"/quality/{SCRIPT}", {"after": SCRIPT, "done": SCRIPT, "level": SCRIPT, "op": SCRIPT}),
    ("/quality/suite2p", {"done": SCRIPT, "level": SCRIPT, "op": SCRIPT}),
    ("/undo", {"operation": SCRIPT}),
    ("/sessions/new", {"mouse": SCRIPT}),
)


def test_no_text_becomes_a_script_nor_an_error_of_the_server(client, lab):
    bob = Visitor(client, "bob", WORD)
    lab.tracker.mice.add("M9", notes=SCRIPT, strain=SCRIPT)
    key = lab.tracker.sessions.add("M9.2024-01-01.1", sessionNotes=SCRIPT, imaging=True).key
    lab.tracker.workflow.run(
        "registration", key, without=["suite2p"], registrar=raises(OSError(SCRIPT))
    )

    answers = [
        *(bob.send(path, **form) for path, form in PLACES),
        *(bob.look(path, **query) for path, query in LOOKS),
        *(bob.look(path) for path in ("/", "/live", "/mice/M9", "/runs", "/sessions")),
        *(bob.look(path) for path in (f"/sessions/{key}", f"/sessions/{key}/edit")),
    ]

    for number, answer in enumerate(answers):
        assert b"<script>alert" not in answer.body, number
        assert answer.status < 500, (number, answer.body)


def _calls(document):
    """Return a strategy of calls that an OpenAPI document describes, with whatever in them."""
    texts = (
        st.sampled_from([ONE, "M1", "registration", "suite2p", "imaging", "1", "true"]) | st.text()
    )
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    )
    names = {"key", "reason", "level", "stage", "outcome", "datasets", "numPlanes", "sessionNotes"}
    bodies = st.none() | st.dictionaries(st.sampled_from(sorted(names)) | texts, values)

    def call(verb, path, told):
        given = told.get("parameters", ())
        query = {each["name"]: texts for each in given if each["in"] == "query"}
        parts = {each["name"]: texts for each in given if each["in"] == "path"}
        headers = {each["name"]: st.from_regex("[ -~]{8}", fullmatch=True) for each in given}
        headers = {name: text for name, text in headers.items() if "-" in name}
        return st.tuples(
            st.just(verb.upper()),
            st.fixed_dictionaries(parts).map(
                lambda found: path.format(**{n: quote(text, safe="") for n, text in found.items()})
            ),
            bodies if verb != "get" else st.none(),
            st.fixed_dictionaries({}, optional=headers),
            st.fixed_dictionaries({}, optional=query),
        )

    paths = document["paths"].items()
    return st.one_of(
        *(call(verb, path, told) for path, verbs in paths for verb, told in verbs.items())
    )


def test_whatever_is_asked_is_no_error_of_the_server_and_a_reader_writes_nothing(lab, users):
    lab.add(ONE, imaging=True, suite2p=True)
    with served(lab.tracker, users=users) as client:
        ann, bob = (Client(client.url, users.new_token(name)) for name in ("ann", "bob"))

        @given(_calls(client.get("//openapi.json")), st.booleans())
        @settings(max_examples=examples(100))
        def ask(call, is_reader):
            verb, path, body, headers, query = call
            events = len(lab.tracker.events.records(10_000)) if is_reader else 0
            answer = (ann if is_reader else bob).ask(verb, f"/{path}", body, headers, **query)
            assert answer.status < 500, answer.body
            if is_reader:
                assert verb == "GET" or answer.status in {400, 403}
                assert len(lab.tracker.events.records(10_000)) == events

        ask()


def test_forged_origins_foreign_forms_large_bodies_and_odd_paths_write_nothing(client, lab):
    bob, other = Visitor(client, "bob", WORD), Visitor(client, "bob", WORD)
    scratch, form = f"/sessions/{ONE}/scratch", {"reason": "x"}
    events = len(lab.tracker.events.records())

    refused = [
        bob.send(scratch, "http://evil.example", **form),
        bob.send(scratch, "null", **form),
        bob.send(scratch, mark=other.mark, **form),
        bob.send(scratch, mark="", **form),
        bob.send(scratch, reason="x" * 2_000_000),
        bob.send("/api/v1/sessions"),
        *(
            bob.look(path)
            for path in (
                "/../../etc/passwd",
                "/sessions/%2e%2e%2f",
                "/sessions/as/x",
            )
        ),
        client.send(f"/{scratch}", "reason=x", {"Origin": client.url}),
    ]

    assert [answer.status for answer in refused[:6]] == [403, 403, 403, 403, 413, 401]
    assert [answer.status for answer in refused[6:]] == [404, 404, 422, 401]
    assert len(lab.tracker.events.records()) == events

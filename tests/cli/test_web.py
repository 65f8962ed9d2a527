"""``vrtracker web``: what it says when it answers, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.command_line import command_line, environment, good, refused, run, told
from support.http import Client, Visitor
from support.workflow_lab import wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "web.md"
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@contextlib.contextmanager
def serving(demo, *words):
    """Serve the demo in a process of its own; yield it, and what it said."""
    words = words or (*demo.options, "web", "--port", 0)
    line = command_line(*words, "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, env=environment(), text=True) as server:
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.send_signal(signal.SIGTERM)


@posix
def test_it_says_where_it_answers_and_ends_when_it_is_asked_to(demo):
    with serving(demo) as (server, said):
        sessions = Client(said["url"], said["token"]).get("/sessions", limit=1)

    assert sessions["items"][0]["key"].startswith("DEMO001")
    assert server.returncode == 0


@posix
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_page_s_lines_with_curl_work_as_they_stand(demo):
    lines = re.search(r"```sh\n(curl.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    with serving(demo) as (_, said):
        named = environment(URL=said["url"], TOKEN=said["token"])
        script = ["bash", "-euc", lines]
        done = subprocess.run(script, env=named, capture_output=True, text=True, check=True)

    decoder, documents, text = json.JSONDecoder(), [], done.stdout.strip()
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].strip()
    assert len(documents[0]["items"]) == 2
    assert documents[1]["key"] == "DEMO001.2024-05-06.703"
    assert documents[2]["sessionNotes"] == "ran well"


@posix
def test_the_demo_ends_with_a_page_that_shows_it(demo):
    with serving(demo, "demo", "--dir", demo.root.parent, "--web") as (server, said):
        visitor = Visitor(Client(said["url"], said["token"]))
        assert "DEMO003" in visitor.see("/")
        assert visitor.send("/runs/start", stage="registration").status == 303

    assert server.returncode == 0


@posix
def test_a_killed_server_takes_no_run_with_it_and_the_next_one_goes_on(demo):
    with demo.open() as tracker:
        done = tracker.query(state={"registration": "done"}).keys()
        for key in done:
            tracker.workflow.reset(key, "registration")
    with serving(demo) as (server, said):
        Visitor(Client(said["url"], said["token"])).send("/runs/start", stage="registration")
        server.kill()
        server.wait()
    with serving(demo) as (_, said), demo.open() as tracker:
        client = Client(said["url"], said["token"])
        wait_for(lambda: len(done) == tracker.query(state={"registration": "done"}).count())
        wait_for(lambda: not client.get("/claims")["items"])
        attempts = tracker.workflow.attempts.records(done[0])
        assert [each["outcome"] for each in attempts] == ["succeeded", "succeeded"]
        assert "DEMO003" in Visitor(client).see("/")


def test_it_answers_no_other_computer_without_users(demo):
    assert "ssh -L" in refused(*demo.options, "web", "--host", "0.0.0.0", code=2)


def test_users_are_let_in_listed_and_removed():
    done = run("web-user", "add", "ann", "--role", "editor", answer="correct horse\n")
    assert done.exit_code == 0, done.output
    assert len(good("web-user", "token", "ann").strip()) == 43
    assert told("web-user", "list") == [{"name": "ann", "role": "editor", "token": True}]
    again = run("web-user", "add", "ann", "--role", "admin", answer="correct horse\n")
    assert "The token ended" in again.output
    assert told("web-user", "list") == [{"name": "ann", "role": "admin", "token": False}]
    good("web-user", "token", "ann")
    good("web-user", "token", "ann", "--revoke")
    assert told("web-user", "list")[0]["token"] is False
    assert "10 characters" in refused("web-user", "add", "bob", code=2)
    good("web-user", "remove", "ann")
    assert "bob" in refused("web-user", "remove", "bob", code=2)


def test_a_port_that_is_taken_is_named(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port}" in refused(*demo.options, "web", "--port", port, code=2)


@posix
def test_an_undo_takes_back_one_request_s_edit_and_nobody_else_s(demo):
    added = run("web-user", "add", "bob", "--role", "editor", answer="correct horse\n")
    assert added.exit_code == 0
    one, other = "DEMO001.2023-01-18.701", "DEMO002.2023-02-08.701"
    with serving(demo) as (_, said), demo.open() as tracker:
        bob = Visitor(Client(said["url"], said["token"]), "bob", "correct horse")
        program = Client(said["url"], said["token"])
        seen = {"version": "*", "was.sessionNotes": "", "sessionNotes": "bob's"}
        assert bob.send(f"/sessions/{one}/edit", **seen).status == 303
        assert program.ask("PATCH", f"/sessions/{other}", {"sessionNotes": "ann's"}).status == 200

        events = [tracker.history.records(key)[-1] for key in (one, other)]
        tracker.undo(events[0]["operation_id"]).apply()
        notes = [tracker.sessions.get(key).sessionNotes for key in (one, other)]

    assert (events[0]["actor"], notes) == ("bob", [None, "ann's"])
    assert len({each["operation_id"] for each in events}) == 2

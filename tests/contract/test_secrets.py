"""A password in the URL is nowhere afterwards: not in files, words, pickles or the process list."""

from __future__ import annotations

import logging
import pickle
import traceback

import psutil
import pytest
from sqlalchemy import make_url

import vrtracker
from support.command_line import run
from support.sample_lab import open_lab, session_rows
from vrtracker.errors import VrtrackerError
from vrtracker.moving import migrate
from vrtracker.settings import load_settings

SECRET = "correct-horse-battery"


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_password_is_kept_nowhere(backend, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    url = (
        make_url(backend.migrated_url()).set(password=SECRET).render_as_string(hide_password=False)
    )
    assert SECRET in url
    config = tmp_path / "config.toml"
    config.write_text(f'[profiles.rig]\nurl = "{tmp_path}/first.db"\n')
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    monkeypatch.setenv("VRTRACKER_BACKUPS", str(tmp_path / "backups"))
    said = []

    with open_lab(url) as tracker:
        tracker.mice.add("ATL012")
        tracker.sessions.add_many(session_rows(2))
        tracker.freeze("fig3").export(tmp_path / "fig3.json")
        tracker.publish("fig3", tmp_path / "published")
        tracker.back_up()
        said += [repr(tracker), repr(tracker.facts()), tracker.history("ATL012").to_csv()]
        said += [repr(pickle.dumps(tracker)), repr(tracker.selection("fig3").verify())]
        with pytest.raises(VrtrackerError) as refused:
            tracker.mice.add("ATL012")
        said += traceback.format_exception(refused.value)
    said += [str(vrtracker.clone(url, tmp_path / "copy.db")), str(vrtracker.doctor(url))]
    said += [str(migrate(url, tmp_path / "moved.db"))]
    for words in (["doctor", "--json"], ["db", "current"], ["--debug", "mice", "add", "ATL012"]):
        said.append(run("--url", url, *words).output)
    away = url.replace("@", "@127.0.0.1:1", 1).partition("?")[0]
    said += [run("--url", away, "status").output, run("--url", away, "doctor").output]
    said += [" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True)]

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"copy.db", "lab.db", "manifest.json", "moved.db"} <= {path.name for path in files}
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path
    for text in [*said, caplog.text]:
        assert SECRET not in text, text
    assert load_settings("rig").database == f"{tmp_path}/first.db"

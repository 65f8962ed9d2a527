"""A database moves to another kind and back: with the profile, and the old one is left."""

from __future__ import annotations

import json

import pytest

import vrtracker
from support.sample_lab import new_lab, numbers, open_lab, run_sql, session_rows, table_counts
from vrtracker.errors import (
    BackendError,
    ClaimHeldError,
    ConfigurationError,
    InvalidValueError,
    NotEmptyError,
    ReadOnlyError,
    RoleError,
)
from vrtracker.moving import migrate
from vrtracker.services.doctor import examine
from vrtracker.settings import load_settings
from vrtracker.settings_file import set_profile_url

SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write a settings file whose profile `rig` names a database; return what writes it."""

    def write(url: str, more: str = "") -> None:
        quoted = json.dumps(url)
        path.write_text(
            f"# the lab's\n[profiles.other]\nurl = 'x.db'\n\n[profiles.rig] # ours\n"
            f"lease_minutes = 20\nurl = {quoted} # here\n{more}[profiles.rig.presets.a]\nurl = 1\n"
        )

    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("VRTRACKER_CONFIG", str(path))
    write.path = path
    return write


def test_database_moves_off_its_kind_and_back(backend, labs, config, tmp_path):
    with new_lab(backend, sessions=3) as tracker:
        old = tracker.url
    config(old)
    new = tmp_path / "new.db"

    made = migrate("rig", new)

    assert made.profile == "rig"
    assert load_settings("rig").database == str(new)
    assert "# the lab's" in config.path.read_text()
    with open_lab("rig") as tracker:
        tracker.sessions.add_many(session_rows(1, start=720))
    if made.note is None:
        return
    with open_lab(old) as left, pytest.raises(ReadOnlyError, match="was moved to"):
        left.mice.add("NEW")
    found = {check.name: check for check in examine(old).checks}
    assert "was moved to" in found["place"].message

    back = migrate("rig", old)

    assert back.kept.is_file()
    with open_lab("rig") as tracker:
        assert numbers(tracker.sessions.frame()) == [701, 702, 703, 720]
        tracker.mice.add("NEW")


@SQLITE
def test_move_that_fails_leaves_all_as_it_was(labs, config, tmp_path):
    tracker = labs.new(sessions=2)
    config(tracker.url)
    full = tmp_path / "full.db"
    vrtracker.clone(tracker.url, full)
    before = config.path.read_text(), table_counts(tracker.url)

    with pytest.raises(NotEmptyError):
        migrate("rig", full)
    run_sql(tracker.url, """UPDATE sessiondb SET "mouseName" = 'NOBODY'""")
    with pytest.raises(BackendError, match="NOBODY"):
        migrate("rig", tmp_path / "new.db")

    assert before == (config.path.read_text(), table_counts(tracker.url))
    assert not list(tmp_path.glob("*.moved.txt"))
    assert not (tmp_path / "new.db").exists()
    tracker.mice.add("NEW")


@SQLITE
def test_move_is_refused_while_somebody_works_or_wrote_or_may_not(lab, config, tmp_path):
    lab.add("M1.2023-01-20.1")
    new = tmp_path / "new.db"
    config(lab.url, '[profiles.rig.roles]\nann = "editor"\n')
    with pytest.raises(RoleError, match="admin"):
        migrate("rig", new, actor="ann")

    def adds(table: str, _done: int, _total: int) -> None:
        if table == "vrt_event" and not lab.tracker.mice.find("NEW"):
            lab.tracker.mice.add("NEW")

    config(lab.url)
    with pytest.raises(BackendError, match="Somebody wrote"):
        migrate("rig", new, progress=adds)
    assert load_settings("rig").database == lab.url

    row = lab.attempt_row(lab.number("M1.2023-01-20.1"), "registration", "a" * 32)
    lab.insert("attempts", [row | {"lease_until": lab.clock().replace(year=2100)}])
    lab.mark("M1.2023-01-20.1", "registration", None, "a" * 32)
    with pytest.raises(ClaimHeldError, match="bob"):
        migrate("rig", tmp_path / "other.db")


@SQLITE
def test_database_moves_once(tracker, tmp_path):
    migrate(tracker.url, tmp_path / "new.db")

    with pytest.raises(InvalidValueError, match="already"):
        migrate(tracker.url, tmp_path / "other.db")


def test_profile_whose_line_cannot_be_told_is_left_alone(config):
    config.path.write_text('[profiles]\nrig = { url = "a.db" }\n')

    with pytest.raises(ConfigurationError, match="by hand"):
        set_profile_url("rig", "b.db")
    assert "a.db" in config.path.read_text()


@SQLITE
def test_variable_of_the_profile_stays_and_others_that_name_the_old_one_are_told(
    labs, config, tmp_path, monkeypatch
):
    old = tmp_path / "old.db"
    vrtracker.init(old).close()
    monkeypatch.setenv("LAB_FOLDER", str(tmp_path))
    config("${LAB_FOLDER}/old.db", f"[profiles.desk]\nurl = {json.dumps(str(old))}\n")

    made = migrate("rig", tmp_path / "new.db")

    assert made.others == ("desk",)
    assert "desk" in str(made)
    assert 'url = "${LAB_FOLDER}/new.db" # here' in config.path.read_text()
    assert load_settings("rig").database == str(tmp_path / "new.db")

"""A part of a database is copied with all that hangs on its sessions, and with nothing else."""

from __future__ import annotations

import datetime as dt

import pytest

import vrtracker
from support.clones import LITTERS_TABLE, filled, rows_of
from support.sample_lab import numbers, open_lab, session_rows
from vrtracker.database import Database
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.services.doctor import examine

SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def test_part_goes_into_every_kind_of_database(backend, tmp_path):
    source = tmp_path / "source.db"
    with vrtracker.init(source) as tracker:
        tracker.mice.add_many([{"mouseName": "ATL012"}, {"mouseName": "ATL015"}])
        tracker.sessions.add_many(session_rows(3))
        tracker.sessions.add("ATL015.2023-01-20.9", sessionNotes="left out")
        destination = backend.new_url()

        made = vrtracker.clone(source, destination, mouseName="ATL012", sessionID=(702, ">="))

        with open_lab(destination) as part:
            assert numbers(part.sessions.frame()) == [702, 703]
            assert list(part.mice.frame().mouseName) == ["ATL012"]
            assert part.verify().differences == ()
            # The next number is none that the whole has given.
            assert part.sessions.add("ATL012.2023-01-21.1").record.uSessionID > 4
    assert {table.name: table.rows for table in made.tables}["sessiondb"] == 2


@SQLITE
def test_rows_of_the_labs_own_tables_come_where_what_they_refer_to_does(backend, tmp_path):
    source = backend.copied_url(filled)
    part = tmp_path / "part.db"

    vrtracker.clone(source, part, mouseName="ATL012")

    database = Database(part, readonly=True)
    with database.connect(readonly=True) as connection:
        assert [row[1] for row in rows_of(connection, LITTERS_TABLE)] == ["ATL012"]
    database.dispose()
    found = {check.name: str(check.status) for check in examine(part).checks}
    assert (found["references"], found["schema"]) == ("ok", "ok")


@SQLITE
def test_nothing_is_written_where_no_session_passes(tracker, tmp_path):
    with pytest.raises(InvalidValueError, match="No session"):
        vrtracker.clone(tracker.url, tmp_path / "none.db", imaging=True)
    assert not list(tmp_path.glob("none*"))


@SQLITE
def test_sizes_are_by_date_or_as_the_profile_says(tracker, tmp_path, monkeypatch):
    newest = dt.date(2024, 6, 1)
    for days in (0, 29, 30, 364, 365):
        tracker.sessions.add(("ATL012", newest - dt.timedelta(days=days), 1), imaging=days == 365)

    def baked(size: str, source: str = tracker.url) -> int:
        path = tmp_path / f"{size}-{source == 'lab'}.db"
        vrtracker.bake(source, path, size=size)
        with open_lab(path) as made:
            return made.sessions.count()

    assert [baked(size) for size in ("small", "medium", "full")] == [2, 4, 5]
    config = tmp_path / "config.toml"
    config.write_text(
        f'[profiles.lab]\nurl = "{tracker.url}"\n[profiles.lab.sizes]\nsmall = {{imaging = true}}\n'
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    assert [baked(size, "lab") for size in ("small", "medium")] == [1, 4]
    with pytest.raises(UnknownNameError, match="medium"):
        baked("medum")

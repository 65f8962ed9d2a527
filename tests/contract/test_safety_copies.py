"""Before a migration or a change of many rows, the database as it was is kept in a copy."""

from __future__ import annotations

import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import vrtracker
from support.postgres import put_programs_on_path
from support.workflow_lab import WorkflowLab
from vrtracker.database import Database
from vrtracker.database.versions import REVISIONS
from vrtracker.domain.disk_rules import SUITE2P_FILES
from vrtracker.errors import BackendError, EditConflictError
from vrtracker.services.administration import migrating
from vrtracker.services.administration.backups import copy_before
from vrtracker.services.entries.editing import Update
from vrtracker.settings import Settings

ONE = "M1.2023-01-20.1"
TWO = "M1.2023-01-20.2"
CSV = "mouseName,sessionDate,sessionID,numPlanes\nM1,2023-01-20,1,7\n"
NEW = "mouseName,sessionDate,sessionID\nM1,2023-01-21,1\n"


@pytest.fixture
def url(backend, monkeypatch) -> str:
    put_programs_on_path(backend.source, monkeypatch)
    return backend.migrated_url()


@pytest.fixture
def safe(tmp_path) -> Path:
    return tmp_path / "safe"


@pytest.fixture
def lab(url, safe, tmp_path):
    with WorkflowLab(url, tmp_path / "root") as made:
        made.tracker = made.another(backups=safe)
        made.add(ONE, numPlanes=5)
        yield made


def edit(lab: Any, folder: Path) -> None:
    (folder / "edit.csv").write_text(CSV, "utf-8")
    lab.tracker.edit_csv(folder / "edit.csv").apply()


def add(lab: Any, folder: Path) -> None:
    (folder / "new.csv").write_text(NEW, "utf-8")
    lab.tracker.import_csv("sessions", folder / "new.csv").apply()


def reconcile(lab: Any, folder: Path) -> None:
    del folder
    lab.tracker.sessions.update({"imaging": True, "numPlanes": 1}, ONE)
    for name in SUITE2P_FILES:
        file = lab.folder(ONE) / "suite2p" / "plane0" / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    assert lab.tracker.reconcile().apply()


@pytest.mark.parametrize(
    ("change", "label"), [(edit, "edit"), (add, "import"), (reconcile, "reconciling")]
)
def test_change_of_many_rows_keeps_a_copy_of_what_was(lab, safe, tmp_path, change, label):
    change(lab, tmp_path)

    [copy] = safe.iterdir()
    assert f".before-{label}." in copy.name
    lab.close()
    vrtracker.restore(lab.url, copy)
    with vrtracker.open(lab.url) as before:
        [session] = before.sessions.iter()
        assert (str(session.key), session.suite2p) == (ONE, False)
        assert session.numPlanes in {1, 5}


def test_change_that_is_refused_or_empty_keeps_none(lab, safe, tmp_path):
    (tmp_path / "same.csv").write_text(CSV.replace("7", "5"), "utf-8")
    lab.tracker.edit_csv(tmp_path / "same.csv").apply()
    assert lab.tracker.reconcile().apply() == []
    assert not safe.exists()


@pytest.fixture
def several(lab):
    """A lab of three sessions, two of them with five planes."""
    lab.add(TWO, numPlanes=5)
    lab.add("M2.2023-01-20.1", numPlanes=6)
    return lab.tracker


def test_update_of_several_sessions_keeps_a_copy_of_what_was(several, lab, safe):
    assert several.sessions.update({"numPlanes": 7}, mouseName="M1").rows == 2

    assert [row.numPlanes for row in several.sessions.iter()] == [7, 7, 6]
    [copy] = safe.iterdir()
    assert ".before-update." in copy.name
    lab.close()
    vrtracker.restore(lab.url, copy)
    with vrtracker.open(lab.url) as before:
        assert [row.numPlanes for row in before.sessions.iter()] == [5, 5, 6]
        assert "edited" not in set(before.history(ONE)["verb"])


def test_update_of_several_mice_keeps_a_copy_of_what_was(several, lab, safe):
    several.mice.update({"notes": "old"}, "M1")
    several.mice.update({"notes": "moved"}, all_rows=True)

    [copy] = safe.iterdir()
    lab.close()
    vrtracker.restore(lab.url, copy)
    with vrtracker.open(lab.url) as before:
        assert [row.notes for row in before.mice.iter()] == ["old", None]


def test_update_that_was_seen_before_keeps_a_copy_too(several, safe):
    seen = several.sessions.update({"numPlanes": 7}, mouseName="M1", dry_run=True)
    several.sessions.update({"numPlanes": 7}, mouseName="M1", seen=seen)
    assert len(list(safe.iterdir())) == 1


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("where", "options"),
    [
        (ONE, {}),
        ({"numPlanes": 6}, {}),
        ({"numPlanes": (6, ">")}, {}),
        ({"mouseName": "M1"}, {"dry_run": True}),
        ({"mouseName": "M1"}, {"seen": Update(0, 0, {}, dry_run=True)}),
    ],
    ids=["by key", "one row by filter", "no row", "dry run", "refused"],
)
def test_update_of_one_row_or_none_keeps_no_copy(several, safe, where, options):
    with contextlib.suppress(EditConflictError):
        several.sessions.update({"numPlanes": 7}, where, **options)
    several.sessions.update({"numPlanes": 7}, where, dry_run=True)
    assert not safe.exists()


def test_update_of_rows_of_which_one_changes_keeps_no_copy(several, safe):
    several.sessions.update({"numPlanes": 7}, TWO)
    assert several.sessions.update({"numPlanes": 7}, mouseName="M1").rows == 1
    assert not safe.exists()


def test_update_of_several_rows_without_room_for_its_copy_is_not_made(several, lab, safe):
    safe.write_bytes(b"no folder")
    with pytest.raises(BackendError, match="cannot be made"):
        several.sessions.update({"numPlanes": 7}, mouseName="M1")
    assert lab.row(ONE).numPlanes == lab.row(TWO).numPlanes == 5
    assert several.sessions.update({"numPlanes": 7}, ONE).rows == 1


def test_update_of_several_rows_without_copies_is_made_all_the_same(several, lab, safe):
    lab.tracker = lab.another(backups=safe, safety_copies=False)
    assert lab.tracker.sessions.update({"numPlanes": 7}, mouseName="M1").rows == 2
    assert lab.row(TWO).numPlanes == 7
    assert not safe.exists()


@pytest.mark.parametrize("where", [ONE, {"numPlanes": (6, "<")}], ids=["by key", "by filter"])
def test_update_of_one_row_takes_no_statement_more_for_copies(lab, safe, where, statement_counter):
    counts = []
    for planes, options in ((3, {"safety_copies": False}), (4, {"backups": safe})):
        lab.tracker = lab.another(**options)
        lab.tracker.sessions.update({"sessionNotes": "warm"}, ONE, dry_run=True)
        with statement_counter() as seen:
            assert lab.tracker.sessions.update({"numPlanes": planes}, where).rows == 1
        counts.append(seen.count)
    assert counts[0] == counts[1]


def test_change_without_room_for_its_copy_is_not_made(lab, safe, tmp_path):
    safe.write_bytes(b"no folder")
    with pytest.raises(BackendError, match="cannot be made"):
        edit(lab, tmp_path)
    assert lab.row(ONE).numPlanes == 5


def test_copies_can_be_turned_off(lab, safe, tmp_path):
    lab.tracker = lab.another(backups=safe, safety_copies=False)
    edit(lab, tmp_path)
    assert not safe.exists()


def test_the_newest_ten_copies_of_each_kind_stay_and_no_other_file_goes(lab, safe, tmp_path):
    kept = lab.tracker.back_up(safe).path
    for number in range(12):
        lab.clock.advance(seconds=1)
        lab.tracker.sessions.update({"numPlanes": number + 20}, ONE)
        edit(lab, tmp_path)
    names = sorted(path.name for path in safe.iterdir())
    assert len(names) == 11
    assert kept.name in names


def test_migration_keeps_a_copy_of_what_was(backend, safe, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    url = backend.new_url()
    settings = Settings(url=url, backups=safe, actor="ada")
    assert migrating.upgrade(settings, REVISIONS[-2]).copy is None

    made = migrating.upgrade(settings)

    assert made.copy is not None
    assert made.revision == REVISIONS[-1]
    assert ".before-migration." in made.copy.name
    assert made.copy.parent == safe
    assert migrating.upgrade(settings).copy is None
    assert migrating.downgrade(settings, REVISIONS[-2]).copy is not None
    assert len(list(safe.iterdir())) == 2


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_copies_lie_beside_a_file_if_no_folder_is_named(backend, tmp_path):
    url = backend.migrated_url()
    with WorkflowLab(url, tmp_path / "root") as lab:
        lab.add(ONE, numPlanes=5)
        edit(lab, tmp_path)
        assert lab.row(ONE).numPlanes == 7
    database = Database(url, readonly=True)
    file = database.backend.file(database.url)
    assert list(file.with_name(f"{file.stem}.backups").glob("*.before-edit.*"))


@pytest.mark.parametrize("backend", ["postgresql16"], indirect=True)
def test_database_on_a_server_is_copied_only_into_a_folder_that_is_named(backend, tmp_path):
    with WorkflowLab(backend.migrated_url(), tmp_path / "root") as lab:
        lab.add(ONE, numPlanes=5)
        edit(lab, tmp_path)
        assert lab.row(ONE).numPlanes == 7
        lab.add(TWO, numPlanes=7)
        lab.tracker.sessions.update({"numPlanes": 8}, mouseName="M1")
        assert lab.row(ONE).numPlanes == lab.row(TWO).numPlanes == 8


def test_copies_of_one_second_both_stay(lab, safe, tmp_path):
    edit(lab, tmp_path)
    lab.tracker.sessions.update({"numPlanes": 5}, ONE)
    edit(lab, tmp_path)
    assert len(list(safe.iterdir())) == 2


@pytest.mark.own_rule
def test_copies_that_several_make_in_one_second_all_come_to_their_end(lab, safe, url):
    at = lab.clock()

    def copy(number: int) -> Path:
        database = Database(url)
        try:
            return copy_before(database, "edit", folder=safe, at=at)
        finally:
            database.dispose()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(copy, range(8)))

    assert sorted(safe.iterdir()) == sorted(made)
    assert len({path.name for path in made}) == 8


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_more_copies_than_are_kept_within_one_second_leave_the_newest(lab, safe, tmp_path):
    for number in range(12):
        lab.tracker.sessions.update({"numPlanes": number + 20}, ONE)
        edit(lab, tmp_path)

    numbers = {path.name.partition(".before-edit")[2].split(".")[0] for path in safe.iterdir()}
    assert numbers == {f"-{number}" for number in range(3, 13)}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_copies_of_another_database_of_the_same_name_stay(lab, safe, tmp_path):
    file = Path(lab.tracker.database.url.database)
    twin = tmp_path / "other" / file.name
    twin.parent.mkdir()
    edit(lab, tmp_path)
    [other] = safe.iterdir()
    lab.close()
    shutil.copy(file, twin)
    lab.tracker = lab.another(database=Database(twin), backups=safe)

    for number in range(11):
        lab.clock.advance(seconds=1)
        lab.tracker.sessions.update({"numPlanes": number + 20}, ONE)
        edit(lab, tmp_path)

    assert other.exists()
    assert len(list(safe.iterdir())) == 11


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_copies_beside_a_file_are_named_alike_wherever_its_folder_is(backend, tmp_path):
    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(Database(backend.migrated_url()).url.database, folder / "lab.db")
        with WorkflowLab(str(folder / "lab.db"), tmp_path / "root") as lab:
            lab.add(ONE, numPlanes=5, folder=False)
            edit(lab, tmp_path)

    here, there = (sorted(one.name for one in folder.glob("lab.backups/*")) for folder in folders)
    assert here == there != []


@pytest.mark.parametrize("backend", ["access"], indirect=True)
def test_copies_before_edits_and_those_of_each_day_do_not_count_together(backend, tmp_path):
    url = backend.migrated_url()
    with WorkflowLab(url, tmp_path / "root") as lab:
        lab.add(ONE, numPlanes=5)
        file = Path(lab.tracker.database.url.database)
        folder = file.with_name(f"{file.stem}.backups")
        folder.mkdir(exist_ok=True)
        days = [folder / f"{file.stem}.2026-01-{day:02}{file.suffix}" for day in range(1, 14)]
        for day in days:
            day.write_bytes(b"a day's")
        for number in range(11):
            lab.clock.advance(seconds=1)
            lab.tracker.sessions.update({"numPlanes": number + 20}, ONE)
            edit(lab, tmp_path)

    assert len(list(folder.glob("*.before-edit.*"))) == 10
    assert all(day.exists() for day in days)

"""Where pg_dump cannot be used, a backup of PostgreSQL is an archive of COPY, and as whole."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import vrtracker
from support.backends import POSTGRES_NAMES
from support.postgres import put_programs_on_path
from support.sample_lab import SAMPLE_MICE, SAMPLE_SESSIONS, open_lab, run_sql, table_counts
from support.workflow_lab import WorkflowLab
from vrtracker.database import Database
from vrtracker.database.migration import downgrade
from vrtracker.errors import (
    BackendError,
    ForeignSchemaError,
    RoleError,
    SchemaError,
    SchemaTooNewError,
)
from vrtracker.services.administration.backups import back_up

pytestmark = pytest.mark.parametrize("backend", POSTGRES_NAMES, indirect=True)

KEY = "M1.2023-01-20.1"
NOTES = [None, "", "\\N", "\\.", "tab\tline\nreturn\r\\backslash\\", "naïve 小鼠 \x01", "NULL"]


@pytest.fixture
def lab(backend, tmp_path, monkeypatch):
    empty = tmp_path / "no programs"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.tracker.mice.add_many(SAMPLE_MICE)
        made.tracker.sessions.add_many(SAMPLE_SESSIONS)
        for number, notes in enumerate(NOTES, start=1):
            made.add(f"M1.2023-01-20.{number}", headPlateRotation=12.8)
            made.edit(f"M1.2023-01-20.{number}", sessionNotes=notes)
        made.tracker.workflow.complete(KEY, "registration")
        yield made


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every cell of every table, in an order of its own."""
    read = {name: run_sql(url, f'SELECT * FROM "{name}"') for name in table_counts(url)}
    return {name: sorted(found, key=repr) for name, found in read.items()}


def counters(url: str) -> list[tuple[Any, ...]]:
    """Return where the counters of numbers stand."""
    return run_sql(url, "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")


def lose(url: str) -> None:
    """Lose every row, and where the counters stand."""
    names = ", ".join(f'"{name}"' for name in table_counts(url))
    run_sql(url, f"TRUNCATE {names} RESTART IDENTITY CASCADE")


def repacked(path: Path, **changes: Any) -> Path:
    """Return a copy of an archive whose manifest says something else."""
    other = path.with_name(f"other.{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                content = json.dumps(json.loads(content) | changes).encode()
            target.writestr(name, content)
    return other


def manifest(path: Path) -> dict[str, Any]:
    """Return what an archive says that it holds."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def test_lost_rows_come_back_with_every_cell_and_counter(lab, tmp_path):
    before, counted = rows(lab.url), counters(lab.url)
    backup = lab.tracker.back_up(tmp_path / "safe")
    assert [path.name for path in (tmp_path / "safe").iterdir()] == [backup.path.name]
    assert backup.path.name.endswith(".copy.zip")
    lose(lab.url)

    vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before
    assert counters(lab.url) == counted
    highest = max(lab.tracker.sessions.frame(include_scratched=True)["uSessionID"])
    assert lab.tracker.sessions.add("M1.2024-01-01.1").uSessionID == highest + 1


def test_number_of_a_deleted_row_is_not_given_again(lab, tmp_path):
    number = lab.tracker.sessions.add("M2.2024-01-01.1").uSessionID
    run_sql(lab.url, f'DELETE FROM sessiondb WHERE "uSessionID" = {number}')
    backup = lab.tracker.back_up(tmp_path / "safe")
    lose(lab.url)

    vrtracker.restore(lab.url, backup.path, save=False)

    assert lab.tracker.sessions.add("M2.2024-01-01.1").uSessionID == number + 1


def test_restore_into_an_empty_database_makes_the_schema(lab, backend, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    other = backend.new_url()

    restored = vrtracker.restore(other, backup.path)

    assert rows(other) == rows(lab.url)
    assert restored.revision == manifest(backup.path)["revision"]
    with open_lab(other) as copy:
        pd.testing.assert_frame_equal(copy.mice.frame(), lab.tracker.mice.frame())


def test_settings_of_the_server_change_no_value(lab, backend, tmp_path):
    before, name = rows(lab.url), lab.tracker.database.url.database
    for setting in ("DateStyle = 'SQL, DMY'", "extra_float_digits = -6"):
        run_sql(lab.url, f"ALTER DATABASE {name} SET {setting}")
    lab.tracker.close()
    backup = lab.another().back_up(tmp_path / "safe")
    other = backend.new_url()

    vrtracker.restore(other, backup.path, save=False)

    assert rows(other) == before


def test_archive_is_of_one_moment_while_another_writes(lab, backend, tmp_path):
    before, other = rows(lab.url), backend.new_url()
    with lab.another()._lab.unit() as unit:
        unit.deletions.take("mouse", [lab.tracker.mice.get("M2").uMouseID])
        backup = lab.tracker.back_up(tmp_path / "safe")

    vrtracker.restore(other, backup.path, save=False)

    assert rows(other) == before


def test_columns_and_tables_of_the_labs_own_come_back(lab, tmp_path):
    run_sql(
        lab.url,
        'ALTER TABLE sessiondb ADD COLUMN "rig temperature, °C" real',
        'UPDATE sessiondb SET "rig temperature, °C" = 21.3',
        'CREATE TABLE "Lab notes" (id serial PRIMARY KEY, parent integer REFERENCES "Lab notes", '
        'session integer REFERENCES sessiondb ("uSessionID"), at timestamptz, note text, '
        "length integer GENERATED ALWAYS AS (length(note)) STORED, raw bytea, took interval)",
        'CREATE TABLE "aardvark" (note integer REFERENCES "Lab notes")',
        'CREATE TABLE "nothing at all" ()',
        'INSERT INTO "nothing at all" DEFAULT VALUES',
        'INSERT INTO "Lab notes" (parent, session, at, note, raw, took) '
        "SELECT 1, min(\"uSessionID\"), now(), 'a', '\\x00ff', '-1 day 2 hours' FROM sessiondb",
        "INSERT INTO aardvark VALUES (1)",
    )
    before, counted = rows(lab.url), counters(lab.url)
    backup = lab.tracker.back_up(tmp_path / "safe")
    lose(lab.url)

    vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before
    assert counters(lab.url) == counted


def test_missing_tables_of_the_labs_own_are_named_with_what_makes_them(lab, backend, tmp_path):
    run_sql(
        lab.url,
        "CREATE TABLE rigs (id serial PRIMARY KEY, name varchar(20))",
        "INSERT INTO rigs (name) VALUES ('left'), ('right')",
        "ALTER TABLE mousedb ADD COLUMN cage text",
    )
    backup = lab.tracker.back_up(tmp_path / "safe")
    other = backend.new_url()

    with pytest.raises(SchemaError, match='CREATE TABLE "rigs"') as refused:
        vrtracker.restore(other, backup.path, save=False)

    assert sum(table_counts(other).values()) == 1
    run_sql(other, str(refused.value).partition("restore again: ")[2])
    vrtracker.restore(other, backup.path, save=False, other=True)
    assert rows(other) == rows(lab.url)
    assert run_sql(other, "INSERT INTO rigs (name) VALUES ('new') RETURNING id") == [(3,)]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ("ADD COLUMN cage text", 'DROP COLUMN "cage"'),
        ('DROP COLUMN "sessionNotes"', 'ADD COLUMN "sessionNotes" text'),
        ('ALTER COLUMN "sessionNotes" TYPE varchar(9000)', 'COLUMN "sessionNotes" TYPE text'),
    ],
)
def test_other_columns_are_refused_and_nothing_is_changed(lab, tmp_path, change, remedy):
    backup = lab.tracker.back_up(tmp_path / "safe")
    run_sql(lab.url, f"ALTER TABLE sessiondb {change}")
    before = rows(lab.url)

    with pytest.raises(SchemaError, match=remedy):
        vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before


@pytest.fixture
def old_backup(lab, backend, tmp_path):
    old = backend.migrated_url()
    with open_lab(old) as tracker:
        tracker.mice.add("M7")
    downgrade(old, "0001")
    return back_up(lab.another(database=Database(old))._lab, tmp_path / "safe").path


def test_backup_of_another_revision_names_the_way_there(lab, old_backup):
    before = rows(lab.url)

    with pytest.raises(SchemaError, match="db downgrade 0001"):
        vrtracker.restore(lab.url, old_backup, save=False, other=True)

    assert rows(lab.url) == before


def test_backup_of_an_older_revision_comes_back_at_that_revision(old_backup, backend):
    other = backend.new_url()

    restored = vrtracker.restore(other, old_backup, save=False)

    assert restored.revision == "0001"
    assert run_sql(other, 'SELECT "mouseName" FROM mousedb') == [("M7",)]


def test_backup_of_a_newer_vrtracker_makes_no_schema(lab, backend, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    other = backend.new_url()

    with pytest.raises(SchemaTooNewError):
        vrtracker.restore(other, repacked(backup.path, revision="9999"), save=False)

    assert table_counts(other) == {}


def test_backup_of_something_else_is_refused(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")

    with pytest.raises(ForeignSchemaError, match="no backup of a database of vrtracker"):
        vrtracker.restore(lab.url, repacked(backup.path, revision=None))

    assert len(list((tmp_path / "safe").iterdir())) == 2


def test_database_of_something_else_is_refused(lab, backend, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    other = backend.new_url()
    run_sql(other, "CREATE TABLE things (name text)")

    with pytest.raises(ForeignSchemaError, match="not a tracker's"):
        vrtracker.restore(other, backup.path, save=False)

    assert table_counts(other) == {"things": 0}


def test_tables_that_came_after_the_backup_stay(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    run_sql(lab.url, "CREATE TABLE later (name text)", "INSERT INTO later VALUES ('kept')")

    vrtracker.restore(lab.url, backup.path, save=False)

    assert run_sql(lab.url, "SELECT name FROM later") == [("kept",)]


def test_later_table_that_refers_to_one_of_the_backup_is_named(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    run_sql(lab.url, 'CREATE TABLE later (s integer REFERENCES sessiondb ("uSessionID"))')
    before = rows(lab.url)

    with pytest.raises(SchemaError, match='ALTER TABLE "later" DROP CONSTRAINT "later_s_fkey"'):
        vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before


CYCLE = (
    "CREATE TABLE a (id integer PRIMARY KEY, b integer)",
    "CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a)",
    "INSERT INTO a VALUES (1, 1)",
    "INSERT INTO b VALUES (1, 1)",
    "ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b",
)


def test_tables_that_refer_to_each_other_come_back_where_a_key_can_wait(lab, tmp_path):
    run_sql(lab.url, *CYCLE)
    backup = lab.tracker.back_up(tmp_path / "safe")
    with pytest.raises(SchemaError, match="DEFERRABLE"):
        vrtracker.restore(lab.url, backup.path, save=False)
    run_sql(lab.url, "ALTER TABLE a ALTER CONSTRAINT to_b DEFERRABLE")

    vrtracker.restore(lab.url, backup.path, save=False)

    assert run_sql(lab.url, "SELECT b.a FROM a JOIN b ON a.b = b.id") == [(1,)]


def test_triggers_of_the_labs_own_change_nothing_that_comes_back(lab, tmp_path):
    run_sql(
        lab.url,
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN NEW.notes := 'spoilt'; RETURN NEW; END$$",
        "CREATE TRIGGER spoil BEFORE INSERT ON mousedb FOR EACH ROW EXECUTE FUNCTION spoil()",
    )
    before = rows(lab.url)
    backup = lab.tracker.back_up(tmp_path / "safe")

    vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before
    lab.tracker.mice.add("M9")
    assert lab.tracker.mice.get("M9").notes == "spoilt"


@pytest.mark.parametrize(
    "obstacle",
    [
        'ALTER TABLE sessiondb ADD CHECK ("sessionID" = 1) NOT VALID',
        "DROP SEQUENCE zz; CREATE SEQUENCE zz MAXVALUE 10",
    ],
    ids=["of a row", "of the last counter"],
)
def test_failure_in_the_middle_undoes_everything(lab, tmp_path, obstacle):
    run_sql(lab.url, "CREATE SEQUENCE zz", "SELECT setval('zz', 50)")
    backup = lab.tracker.back_up(tmp_path / "safe")
    lab.tracker.sessions.add("M1.2024-01-01.1")
    run_sql(lab.url, *obstacle.split(";"))
    before, counted = rows(lab.url), counters(lab.url)

    with pytest.raises(BackendError, match="nothing was changed"):
        vrtracker.restore(lab.url, backup.path, save=False)

    assert rows(lab.url) == before
    assert counters(lab.url) == counted


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    path.write_bytes(content)


def _miscount(path: Path) -> None:
    tables = manifest(path)["tables"]
    tables[-1]["rows"] += 1
    shutil.move(repacked(path, tables=tables), path)


def _of_another_format(path: Path) -> None:
    shutil.move(repacked(path, format=2), path)


def _without_a_member(path: Path) -> None:
    tables = manifest(path)["tables"]
    shutil.move(repacked(path, tables=[*tables, tables[0]]), path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [_cut, _flip, _miscount, _of_another_format, _without_a_member, _empty]
)
def test_damaged_archive_is_refused_before_anything_is_changed(lab, backend, tmp_path, damage):
    backup = lab.tracker.back_up(tmp_path / "safe")
    damage(backup.path)
    before, other = rows(lab.url), backend.new_url()

    with pytest.raises(BackendError, match=r"damaged|of format 2"):
        vrtracker.restore(lab.url, backup.path)
    with pytest.raises(BackendError, match=r"damaged|of format 2"):
        vrtracker.restore(other, backup.path)

    assert rows(lab.url) == before
    assert table_counts(other) == {}
    assert list((tmp_path / "safe").iterdir()) == [backup.path]


def test_dump_cannot_be_restored_without_the_program(lab, backend, tmp_path, monkeypatch):
    with monkeypatch.context() as with_programs:
        put_programs_on_path(backend.source, with_programs)
        backup = lab.tracker.back_up(tmp_path / "safe")
    assert backup.path.suffix == ".dump"

    with pytest.raises(BackendError, match="pg_restore, which is not on the PATH"):
        vrtracker.restore(lab.url, backup.path, save=False)


def test_archives_are_rotated(lab, tmp_path):
    first = lab.tracker.back_up(tmp_path / "safe")
    lab.clock.advance(seconds=1)

    second = lab.tracker.back_up(tmp_path / "safe", keep=1)

    assert second.removed == (first.path,)
    assert list((tmp_path / "safe").iterdir()) == [second.path]


def test_archive_that_is_refused_leaves_nothing_and_tells_no_password(lab, backend, tmp_path):
    address = backend.source.server.password_url(lab.tracker.database.url.database)
    database = Database(address)

    with pytest.raises(RoleError, match="refused this to the user") as refused:
        database.backend.back_up(database.url, tmp_path, "lab")

    assert database.url.password not in str(refused.value)
    assert list(tmp_path.glob("lab*")) == []

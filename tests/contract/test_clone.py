"""A database is copied whole into one of any kind, or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import vrtracker
from support.access_files import mdb_rows
from support.backends import KINDS, OTHERS, Backend, each_kind, each_source, marker
from support.clones import (
    LAST_MOUSE,
    LITTERS,
    LITTERS_TABLE,
    LONG_NOTE,
    contents,
    filled,
)
from support.sample_lab import change_schema, new_lab, open_lab, run_sql, table_counts
from vrtracker.database import Database
from vrtracker.database.migration import check, downgrade, upgrade
from vrtracker.database.structure import read_structure
from vrtracker.database.versions import HEAD, REVISIONS
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    ForeignSchemaError,
    InvalidValueError,
    NotEmptyError,
    SchemaOutOfDateError,
)
from vrtracker.repositories.copying import TableRepository
from vrtracker.services.administration import cloning
from vrtracker.services.administration.cloning import Clone


@pytest.fixture
def full(backend, shared_labs) -> str:
    """The URL of a lab with all that a lab has; for reading alone."""

    def build(keeper: Backend) -> Any:
        return open_lab(keeper.copied_url(filled), readonly=True)

    return shared_labs.get(backend, "full", build).url


@dataclass
class Copied:
    """A clone of `full`: the rows of both, and what its making told."""

    url: str
    source: dict[str, list[tuple[Any, ...]]]
    rows: dict[str, list[tuple[Any, ...]]]
    made: Clone
    told: dict[str, tuple[int, int]]
    _keeper: Backend

    def close(self) -> None:
        self._keeper.close()


@pytest.fixture
def copied(full, backend, other, shared_labs, tmp_path_factory) -> Copied:
    """A clone of `full`, made once; no row of it may change."""

    def build(_: Backend) -> Copied:
        keeper = Backend(other.name, other.source, tmp_path_factory.mktemp("copied"))
        url, told = keeper.new_url(), {}
        made = vrtracker.clone(full, url, progress=lambda table, *rows: told.update({table: rows}))
        return Copied(url, contents(full), contents(url), made, told, keeper)

    return shared_labs.get(backend, f"copied to {other.name}", build)


@pytest.fixture
def small_lab(backend) -> str:
    """The URL of a lab with a mouse and three sessions."""
    with new_lab(backend, sessions=3) as tracker:
        return tracker.url


def path_of(url: Any) -> Path | None:
    """Return the file of a database, None on a server."""
    made = sa.make_url(url)
    return None if made.get_backend_name() == "postgresql" else Path(made.database or "")


def is_untouched(url: str) -> bool:
    """Tell whether there is no table, and nothing beside where it would be."""
    path = path_of(url)
    if path is None:
        return table_counts(url) == {}
    names = {one.name for one in path.parent.iterdir()}
    return names <= {f"{path.name}.vrtracker-lock"}


# -- what comes along ----------------------------------------------------------------------


@each_kind
def test_every_cell_is_equal(full, copied):
    assert copied.rows == copied.source
    with open_lab(full, readonly=True) as old, open_lab(copied.url, readonly=True) as new:
        for name in ("sessions", "mice"):
            options = {"include_scratched": True} if name == "sessions" else {}
            pd.testing.assert_frame_equal(
                getattr(new, name).frame(**options), getattr(old, name).frame(**options)
            )
        pd.testing.assert_frame_equal(new.events(), old.events())
        assert next(new.sessions.iter(arena="naïve ✓")).sessionNotes == LONG_NOTE
    assert check(copied.url) == []


@each_source
def test_report_and_progress_tell_of_every_table(copied):
    counts = {name: len(rows) for name, rows in copied.source.items()}
    assert {table.name: table.rows for table in copied.made.tables} == counts
    assert copied.told == {name: (rows, rows) for name, rows in counts.items()}
    assert copied.made.revision == HEAD
    assert len({table.hash for table in copied.made.tables if table.rows}) == 18


@pytest.mark.parametrize(
    "broken",
    [{"mother": "nobody"}, {"mother": LITTERS[0]["mother"], "weight": 12.25}],
    ids=["foreign key", "unique key"],
)
@each_source
def test_the_labs_own_table_keeps_its_promises(copied, broken):
    database = Database(copied.url)

    try:
        with database.write_engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
            connection.execute(LITTERS_TABLE.insert(), {"weaned": True, **broken})
    finally:
        database.dispose()


@each_source
def test_clone_of_a_clone_has_the_same_hashes_and_gives_the_next_numbers(copied, backend):
    url = backend.new_url()
    highest = max(row[0] for row in copied.source["sessiondb"])

    second = vrtracker.clone(copied.url, url)

    assert second.tables == copied.made.tables
    with open_lab(url) as tracker:
        assert tracker.mice.add("next").uMouseID == LAST_MOUSE + 1
        assert tracker.sessions.add("next.2023-01-20.701").uSessionID == highest + 1


@each_source
def test_what_is_written_meanwhile_stays_out(small_lab, other):
    url = other.new_url()
    before = contents(small_lab)

    def write(table: str, done: int, total: int) -> None:
        if (table, done) == ("mousedb", 0):
            with open_lab(small_lab) as tracker:
                tracker.mice.add("late")
                tracker.sessions.add("late.2023-01-20.701")

    vrtracker.clone(small_lab, url, progress=write)

    assert contents(url) == before


@pytest.mark.skipif(shutil.which("mdb-export") is None, reason="MDB Tools are not installed")
@pytest.mark.parametrize("other", [OTHERS[KINDS.index("access")]], indirect=True)
@each_kind
def test_independent_reader_reads_the_access_file(copied):
    path, expected = path_of(copied.url), copied.source
    for table, rows in expected.items():
        assert len(mdb_rows(path, table)) == len(rows)
    sessions = mdb_rows(path, "sessiondb")
    assert sorted(int(row["uSessionID"]) for row in sessions) == [
        row[0] for row in expected["sessiondb"]
    ]
    # MDB Tools knows no letters beyond the first 65,536.
    assert LONG_NOTE.replace("🐁", "??") in {row["sessionNotes"] for row in sessions}
    assert [row["note"] for row in mdb_rows(path, "litters")] == ["", "鼠"]


@each_source
def test_the_labs_rows_come_along(legacy, other):
    url, source = other.new_url(), legacy.url

    vrtracker.clone(source, url)

    found = contents(url)
    assert found == contents(source)
    assert (len(found["sessiondb"]), len(found["mousedb"])) == (244, 14)


# -- what is refused ---------------------------------------------------------------------------


@each_source
def test_destination_with_rows_is_refused(small_lab, other):
    with new_lab(other) as tracker:
        url = tracker.url
    before = contents(url)

    with pytest.raises(NotEmptyError, match=r"1 rows of mousedb.*new file"):
        vrtracker.clone(small_lab, url)

    assert contents(url) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda op: op.create_table("rigs", sa.Column("rig", sa.Integer, primary_key=True)),
        lambda op: op.add_column("sessiondb", sa.Column("rigs", sa.Integer)),
    ],
    ids=["table", "column"],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_destination_with_something_of_the_labs_is_refused(small_lab, other, change):
    url = other.migrated_url()
    change_schema(url, change)

    with pytest.raises(NotEmptyError, match="rigs"):
        vrtracker.clone(small_lab, url)

    assert contents(url)["mousedb"] == []


# What stands in the tables of an old revision is a matter of their names; SQLite shows them all.
EMPTY = [
    pytest.param(name, revision, marks=getattr(pytest.mark, marker(name)))
    for name in KINDS
    for revision in ([None, *REVISIONS] if name == "sqlite" else [None, REVISIONS[0], HEAD])
]


@pytest.mark.parametrize(("other", "revision"), EMPTY, indirect=["other"])
@each_source
def test_destination_without_rows_is_filled(backend, small_lab, other, revision):
    if revision in {None, HEAD}:
        url = other.migrated_url()
    else:
        url = other.new_url()
        upgrade(url, revision)
    if revision is None:
        downgrade(url, "base")

    vrtracker.clone(small_lab, url)

    assert contents(url) == contents(small_lab)
    assert check(url) == []


@each_kind
def test_database_is_not_copied_into_itself(backend, small_lab):
    before = contents(small_lab)

    with pytest.raises(InvalidValueError, match="one database"):
        vrtracker.clone(small_lab, small_lab)

    assert contents(small_lab) == before


@pytest.mark.parametrize("way", ["symlink", "hard link", "relative"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_another_way_to_the_same_file_is_no_destination(small_lab, tmp_path, monkeypatch, way):
    path = Path(small_lab)
    other = path.with_name("other.db")
    if way == "symlink":
        other.symlink_to(path)
    elif way == "hard link":
        other.hardlink_to(path)
    else:
        monkeypatch.chdir(path.parent)
        other = Path(path.name)

    with pytest.raises(InvalidValueError, match="one database"):
        vrtracker.clone(path, other)


@pytest.mark.parametrize(
    "other", [OTHERS[list(map(marker, KINDS)).index("postgresql")]], indirect=True
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_indexes_and_keys_are_the_same_whether_they_come_before_the_rows_or_after(
    full, other, monkeypatch
):
    before, after = other.new_url(), other.new_url()

    vrtracker.clone(full, before)
    monkeypatch.setattr(cloning, "_MANY", 0)
    vrtracker.clone(full, after)

    assert contents(after) == contents(full)
    for query in (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexdef",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY conname",
    ):
        assert run_sql(after, query) == run_sql(before, query)
    assert check(after) == []


@pytest.mark.parametrize(
    "other", [OTHERS[list(map(marker, KINDS)).index("postgresql")]], indirect=True
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_number_that_is_too_large_for_its_column_is_not_cut(small_lab, other):
    url = other.new_url()
    rack = "CREATE TABLE racks (rack INTEGER PRIMARY KEY, places SMALLINT)"
    run_sql(small_lab, rack, "INSERT INTO racks VALUES (1, 70000)")

    with pytest.raises(BackendError, match="70000"):
        vrtracker.clone(small_lab, url)

    assert is_untouched(url)


def test_another_way_to_the_same_server_is_no_destination(postgres_server, database_sources):
    source = database_sources.get(f"postgresql{postgres_server.version}")
    backend = Backend(f"postgresql{postgres_server.version}", source, Path())
    url = sa.make_url(backend.migrated_url())
    over_tcp = url.set(host=postgres_server.host, port=postgres_server.port, query={})

    with pytest.raises(InvalidValueError, match="one database"):
        vrtracker.clone(
            url.render_as_string(hide_password=False),
            over_tcp.render_as_string(hide_password=False),
        )
    backend.close()


@each_source
def test_older_source_is_refused_before_anything_is_made(backend, other):
    source, url = backend.migrated_url(), other.new_url()
    downgrade(source, REVISIONS[-2])

    with pytest.raises(SchemaOutOfDateError, match="db upgrade"):
        vrtracker.clone(source, url)

    assert is_untouched(url)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_foreign_source_is_refused(backend, other):
    source, url = backend.new_url(), other.new_url()
    run_sql(source, "CREATE TABLE people (name TEXT)")

    with pytest.raises(ForeignSchemaError, match="people"):
        vrtracker.clone(source, url)

    assert is_untouched(url)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["lab.db", "lab.accdb"])
def test_missing_folder_is_named(small_lab, tmp_path, name):
    with pytest.raises(DatabaseUnavailableError, match="no folder"):
        vrtracker.clone(small_lab, tmp_path / "nowhere" / name)


def test_missing_source_is_named(tmp_path):
    with pytest.raises(DatabaseUnavailableError, match=r"missing\.db"):
        vrtracker.clone(tmp_path / "missing.db", tmp_path / "new.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_the_destination_has_no_type_for_is_named_at_once(small_lab, other):
    url = other.new_url()
    run_sql(
        small_lab,
        "CREATE TABLE odd (number INTEGER PRIMARY KEY, anything)",
        "CREATE TABLE tree (number INTEGER PRIMARY KEY, above INTEGER REFERENCES tree (number))",
    )

    with pytest.raises(BackendError, match=r"odd.*anything.*tree \(refers to itself\)|tree.*odd"):
        vrtracker.clone(small_lab, url)

    assert is_untouched(url)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", [OTHERS[KINDS.index("access")]], indirect=True)
def test_empty_tick_box_is_named_where_access_has_none(small_lab, other):
    url = other.new_url()
    change_schema(small_lab, lambda op: op.add_column("sessiondb", sa.Column("wet", sa.Boolean)))

    with pytest.raises(BackendError, match=r"sessiondb\.wet.*tick box"):
        vrtracker.clone(small_lab, url)

    assert is_untouched(url)


@pytest.mark.parametrize("other", [OTHERS[KINDS.index("access")]], indirect=True)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_names_that_access_takes_for_one_are_named(backend, other):
    url = other.new_url()
    with new_lab(backend) as tracker:
        cages = "CREATE TABLE cages (name VARCHAR(20) NOT NULL PRIMARY KEY)"
        run_sql(tracker.url, cages, "INSERT INTO cages VALUES ('A1')")
        run_sql(tracker.url, "INSERT INTO cages VALUES ('a1')")

        with pytest.raises(BackendError, match=r"a1 .*case of letters"):
            vrtracker.clone(tracker.url, url)

    assert is_untouched(url)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_unique_key_may_be_empty_in_many_rows(small_lab, other):
    url = other.new_url()
    run_sql(
        small_lab,
        "CREATE TABLE cage (number INTEGER PRIMARY KEY, tag TEXT UNIQUE)",
        "INSERT INTO cage (tag) VALUES (NULL), (NULL), ('a')",
    )

    vrtracker.clone(small_lab, url)

    assert sorted(run_sql(url, 'SELECT "tag" FROM "cage"'), key=str) == [("a",), (None,), (None,)]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_unique_key_behind_a_type_with_a_length_comes_along(small_lab, other):
    url = other.new_url()
    run_sql(
        small_lab,
        "CREATE TABLE cage (number INTEGER PRIMARY KEY, tag VARCHAR(20) UNIQUE, "
        "rack VARCHAR(20), place INTEGER, UNIQUE (rack, place))",
    )
    vrtracker.clone(small_lab, url)
    database = Database(url, readonly=True)

    with database.connect(readonly=True) as connection:
        found = read_structure(connection, database.backend, same_kind=True)

    database.dispose()
    [cage] = found.added_tables
    uniques = [key for key in cage.constraints if isinstance(key, sa.UniqueConstraint)]
    assert sorted(tuple(key.columns.keys()) for key in uniques) == [("rack", "place"), ("tag",)]


# -- all or nothing ----------------------------------------------------------------------------


@each_source
def test_failure_in_the_middle_leaves_nothing(small_lab, other):
    url = other.new_url()

    def fail(table: str, done: int, total: int) -> None:
        if table == "sessiondb" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vrtracker.clone(small_lab, url, progress=fail)

    assert is_untouched(url)
    vrtracker.clone(small_lab, url)
    assert contents(url) == contents(small_lab)


@each_source
def test_value_that_changes_on_the_way_is_noticed(small_lab, other, monkeypatch):
    url = other.new_url()
    insert = TableRepository.insert

    def inexact(self: TableRepository, rows: Any) -> None:
        at = self.table.c.keys().index("sessionID") if self.name == "sessiondb" else None
        changed = [
            tuple(value + 1 if place == at else value for place, value in enumerate(row))
            for row in rows
        ]
        insert(self, changed)

    monkeypatch.setattr(TableRepository, "insert", inexact)

    with pytest.raises(BackendError, match=r"differs.*sessiondb \(3 rows for 3\)"):
        vrtracker.clone(small_lab, url)

    assert is_untouched(url)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_no_log_stays_beside_the_new_file(small_lab, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()

    vrtracker.clone(small_lab, folder / "lab.db")

    assert [one.name for one in folder.iterdir()] == ["lab.db"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_old_log_of_a_lost_database_is_no_part_of_the_new_one(small_lab, tmp_path):
    log = tmp_path / "lab.db-wal"
    log.write_bytes(b"old")

    with pytest.raises(DatabaseUnavailableError, match=r"lab\.db-wal"):
        vrtracker.clone(small_lab, tmp_path / "lab.db")

    assert log.read_bytes() == b"old"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_remains_of_a_killed_clone_go_and_those_at_work_stay(small_lab, tmp_path):
    left, at_work = (tmp_path / f"lab.db.vrtracker-new-0000000{n}" for n in "12")
    sqlite3.connect(left).execute("CREATE TABLE half (number)").connection.close()
    writer = sqlite3.connect(at_work, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    vrtracker.clone(small_lab, tmp_path / "lab.db")

    writer.close()
    assert not left.exists()
    assert at_work.exists()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_cells_that_do_not_fit_are_named_together_before_anything_is_written(small_lab, other):
    url = other.new_url()
    run_sql(
        small_lab,
        "UPDATE sessiondb SET imaging = 'maybe' WHERE sessionID = 702",
        "UPDATE sessiondb SET numPlanes = 'five', suite2pDate = 'soon' WHERE sessionID = 703",
        "UPDATE mousedb SET notes = zeroblob(2)",
    )

    with pytest.raises(BackendError) as refused:
        vrtracker.clone(small_lab, url)

    for cell in (
        "sessiondb.imaging holds 'maybe' where uSessionID is 2",
        "sessiondb.numPlanes holds 'five' where uSessionID is 3",
        "sessiondb.suite2pDate holds 'soon' where uSessionID is 3",
        r"mousedb.notes holds b'\x00\x00' where uMouseID is 1",
    ):
        assert cell in str(refused.value)
    assert is_untouched(url)
    found = {check.name: check for check in vrtracker.doctor(small_lab).checks}
    assert found["cells"].status == "error"
    assert "'maybe'" in found["cells"].message
    assert "UPDATE " in found["cells"].remedy
    with open_lab(small_lab) as tracker:
        for read in (tracker.sessions.get, tracker.sessions.frame, lambda _: tracker.freeze("all")):
            with pytest.raises(BackendError, match=r"maybe.*doctor"):
                read("ATL012.2023-01-20.702")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_damaged_file_is_not_copied_though_its_rows_can_be_read(small_lab, tmp_path):
    before = contents(small_lab)
    with Path(small_lab).open("r+b") as file:
        # Of the second page: the bytes that are in no row and in no gap.
        file.seek(4096 + 7)
        file.write(b"\xc8")
    assert contents(small_lab) == before

    with open_lab(small_lab) as tracker:
        for copy in (
            lambda: vrtracker.clone(small_lab, tmp_path / "copy.db"),
            lambda: vrtracker.bake(small_lab, tmp_path / "copy.db", size="small"),
            lambda: tracker.publish("fig3", tmp_path / "published"),
        ):
            with pytest.raises(BackendError, match=r"is damaged: .*restore"):
                copy()
    assert not (tmp_path / "copy.db").exists()
    assert not list((tmp_path / "published").iterdir())

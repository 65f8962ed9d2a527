"""A table that a file only has a link to is somebody else's: it is neither read nor written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.sample_lab import open_lab
from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access.writing import back_up
from vrtracker.database.migration import check, upgrade
from vrtracker.domain.adoption import Kind
from vrtracker.errors import BackendError, ForeignSchemaError, SchemaError
from vrtracker.services.administration.adoption import adopt, inspect

GONE = "C:\\data\\gone.accdb"


def link(path: Path, *tables: str, to: Path | str) -> None:
    with ops.opened(path) as file:
        for name in tables:
            file.createLinkedTable(name, str(to), name)


@pytest.fixture
def front(new_file, legacy_file) -> Path:
    """Return a file whose tables of ours are links to the lab's."""
    link(new_file, "sessiondb", "mousedb", to=legacy_file)
    return new_file


@pytest.fixture
def file(tmp_path, put_migrated) -> Path:
    """Return a tracker's file with a link to a file that is gone."""
    path = put_migrated(tmp_path / "tracker.accdb")
    link(path, "Other", to=GONE)
    return path


def test_adoption_of_linked_tables_names_the_file_that_holds_them(front, legacy_file):
    report = inspect(front)

    assert [(one.kind, one.table) for one in report.blocking] == [
        (Kind.TABLE_LINKED, "mousedb"),
        (Kind.TABLE_LINKED, "sessiondb"),
    ]
    assert all(str(legacy_file) in one.remedy for one in report.blocking)
    assert report.rows == {}


def test_adoption_of_linked_tables_writes_to_neither_file(front, legacy_file):
    before = front.read_bytes(), legacy_file.read_bytes()

    with pytest.raises(SchemaError, match="2 findings stand in the way"):
        adopt(front)

    assert (front.read_bytes(), legacy_file.read_bytes()) == before


def test_one_linked_table_stops_the_adoption_of_the_other(legacy_file, tmp_path):
    back = Path(shutil.copy(legacy_file, tmp_path / "back.accdb"))
    with ops.opened(legacy_file) as file:
        ops.catalogue.set_name(file, "mousedb", "old")
    link(legacy_file, "mousedb", to=back)

    report = inspect(legacy_file)

    assert [(one.kind, one.table) for one in report.blocking] == [(Kind.TABLE_LINKED, "mousedb")]
    assert Kind.TABLE_MISSING not in {one.kind for one in report.findings}


def test_file_with_linked_tables_is_not_taken_for_an_empty_one(front, legacy_file):
    before = front.read_bytes()

    with pytest.raises(ForeignSchemaError, match=f"linked to {legacy_file}"):
        upgrade(front)
    with pytest.raises(ForeignSchemaError, match=f"linked to {legacy_file}"):
        open_lab(str(front))

    assert front.read_bytes() == before


def test_file_with_a_link_to_nowhere_is_written_and_checked(file):
    with open_lab(str(file)) as tracker:
        tracker.mice.add("M1")
    with open_lab(f"access:///{file}") as tracker:
        tracker.mice.add("M2")

        assert sorted(tracker.mice.frame()["mouseName"]) == ["M1", "M2"]
    assert check(file) == []


def test_file_with_a_link_to_nowhere_is_backed_up(file, tmp_path):
    target = tmp_path / "copy.accdb"

    back_up(file, target, through_java=True)

    assert target.read_bytes() == file.read_bytes()


def test_file_with_a_link_to_nowhere_is_adopted_with_its_link(legacy_file):
    link(legacy_file, "Other", to=GONE)

    adopt(legacy_file)

    with ops.opened(legacy_file, readonly=True) as adopted:
        assert adopted.getTableMetaData("Other").isLinked()


def test_link_is_no_table_to_sqlalchemy(file):
    engine = sa.create_engine(f"access+ucanaccess:///{file}")
    inspector = sa.inspect(engine)

    assert not inspector.has_table("Other")
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("Other")
    engine.dispose()


def test_failure_of_a_mere_read_does_not_send_to_an_older_copy(file):
    with (
        pytest.raises(BackendError, match="Nothing was changed"),
        ops.opened(file, readonly=True) as opened,
    ):
        opened.getTable("Other")

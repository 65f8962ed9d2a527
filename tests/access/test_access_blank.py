"""The blank file that new ones are copied from where there is no Java."""

from __future__ import annotations

import sqlalchemy as sa

from support.sample_lab import open_lab
from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access.blank import make_blank
from vrtracker.database.migration import check, upgrade

MOST_BYTES = 400_000


def test_blank_file_is_small_and_holds_nothing(tmp_path, mdb_export):
    path = tmp_path / "lab.accdb"
    make_blank(path)
    assert path.stat().st_size < MOST_BYTES
    with ops.opened(path, readonly=True) as file:
        assert ops.list_tables(file) == ()
        assert ops.relationships(file) == ()
        assert str(file.getFileFormat().name()) == "V2010"


def test_blank_file_becomes_a_lab(tmp_path):
    path = tmp_path / "lab.accdb"
    make_blank(path)
    upgrade(path)
    assert check(path) == []
    with open_lab(str(path)) as tracker:
        tracker.mice.add("ATL012")
        assert tracker.mice.count() == 1


def test_file_that_is_there_is_not_overwritten(tmp_path):
    path = tmp_path / "lab.accdb"
    path.write_bytes(b"mine")
    make_blank(path)
    assert path.read_bytes() == b"mine"


def test_windows_dialect_makes_a_file_where_one_is_wanted(windows, tmp_path):
    path = tmp_path / "lab.accdb"
    url = sa.URL.create("access+pyodbc", database=str(path), query={"create": "true"})
    dialect = windows()
    dialect.dbapi = Driver
    parts, options = dialect.create_connect_args(url)
    assert dialect.connect(*parts, **options) == f"{DRIVER};DBQ={path};ExtendedAnsiSQL=1"
    assert path.is_file()


def test_windows_dialect_makes_no_file_unasked(windows, tmp_path):
    dialect = windows()
    dialect.dbapi = Driver
    parts, options = dialect.create_connect_args(
        sa.URL.create("access+pyodbc", database=str(tmp_path / "lab.accdb"))
    )
    dialect.connect(*parts, **options)
    assert list(tmp_path.iterdir()) == []


DRIVER = "Driver={Microsoft Access Driver (*.mdb, *.accdb)}"


class Driver:
    """Takes the connection string that Microsoft's driver would get."""

    @staticmethod
    def connect(text: str) -> str:
        return text

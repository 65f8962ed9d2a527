from __future__ import annotations

import pytest

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access import rebuild, ucanaccess
from vrtracker.backends.access.inspection import Relationship
from vrtracker.errors import BackendError, DatabaseUnavailableError

LINK = Relationship(
    name="fk_sessiondb_mouse",
    parent="mousedb",
    parent_columns=("mouseName",),
    child="sessiondb",
    child_columns=("mouseName",),
    enforced=True,
    cascade_updates=False,
    cascade_deletes=False,
)


@pytest.fixture
def linked_file(legacy_file):
    with ops.opened(legacy_file) as file:
        ops.add_index(file, "mousedb", ops.NewIndex("uq_mouse", ("mouseName",), unique=True))
        ops.add_relationship(file, LINK)
    return legacy_file


def state(path):
    with ops.opened(path, readonly=True) as file:
        tables = {table.name: table for table in ops.list_tables(file)}
        return tables, ops.relationships(file), ops.next_autonumber(file, "sessiondb")


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(DatabaseUnavailableError), ops.opened(tmp_path / "none.accdb"):
        pass


@pytest.mark.parametrize("mouse", ["atl015", "nobody"])
def test_relationship_is_enforced_and_tells_letters_apart_by_case(linked_file, mouse):
    sql = "INSERT INTO [sessiondb] ([mouseName]) VALUES (?)"
    with ucanaccess.connect(linked_file) as connection:
        cursor = connection.cursor()
        cursor.execute(sql, ("ATL015",))
        with pytest.raises(ucanaccess.IntegrityError):
            cursor.execute(sql, (mouse,))


def test_duplicate_rows_stop_a_unique_index(legacy_file):
    with pytest.raises(BackendError), ops.opened(legacy_file) as file:
        ops.add_index(file, "sessiondb", ops.NewIndex("uq", ("mouseName",), unique=True))


def test_rebuild_of_nothing_changes_nothing(linked_file, mdb_export):
    before, text = state(linked_file), mdb_export(linked_file, "sessiondb")
    for _ in range(3):
        with ops.opened(linked_file) as file:
            rebuild.rebuild(file, "sessiondb", rebuild.Change())
    assert state(linked_file) == before
    assert mdb_export(linked_file, "sessiondb") == text


def test_next_autonumber_goes_on_after_a_rebuild(linked_file):
    with ops.opened(linked_file) as file:
        rebuild.rebuild(file, "sessiondb", rebuild.Change())
    with ucanaccess.connect(linked_file) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO [sessiondb] ([mouseName]) VALUES ('ATL015')")
        assert cursor.lastrowid == 256


def test_properties_of_a_column_survive_a_rebuild(linked_file):
    with ops.opened(linked_file) as file:
        properties = file.getTable("sessiondb").getColumn("mouseName").getProperties()
        properties.put("Caption", "Mouse")
        properties.save()
    with ops.opened(linked_file) as file:
        rebuild.rebuild(file, "sessiondb", rebuild.Change(renamed={"mouseName": "mouse"}))
    with ops.opened(linked_file, readonly=True) as file:
        properties = file.getTable("sessiondb").getColumn("mouse").getProperties()
        assert str(properties.getValue("Caption")) == "Mouse"


def test_dropped_table_takes_only_its_relationships(linked_file):
    with ops.opened(linked_file) as file:
        rebuild.drop_table(file, "mousedb")
    tables, links, _ = state(linked_file)
    assert set(tables) == {"sessiondb"}
    assert links == ()


def test_rows_are_copied_with_their_autonumbers(legacy_file, new_file):
    with ops.opened(legacy_file, readonly=True) as source, ops.opened(new_file) as destination:
        table = source.getTable("mousedb")
        columns = [
            ops.NewColumn("uMouseID", "LONG", autonumber=True),
            ops.NewColumn("mouseName", "TEXT", length=255),
        ]
        made = ops.create_table(destination, "mousedb", columns)
        assert ops.copy_rows(table, made) == 14
    with ucanaccess.connect(new_file) as copy, ucanaccess.connect(legacy_file) as original:
        sql = "SELECT [uMouseID],[mouseName] FROM [mousedb] ORDER BY [uMouseID]"
        assert copy.cursor().execute(sql).fetchall() == original.cursor().execute(sql).fetchall()


def test_files_of_microsoft_access_survive_a_rebuild(microsoft_file, mdb_export):
    path = microsoft_file("indexV2010.accdb")
    with ops.opened(path, readonly=True) as file:
        names = [table.name for table in ops.list_tables(file)]
        links = ops.relationships(file)
    texts = {name: mdb_export(path, name) for name in names}
    with ops.opened(path) as file:
        for name in names:
            rebuild.rebuild(file, name, rebuild.Change())
    with ops.opened(path, readonly=True) as file:
        assert sorted(ops.relationships(file), key=str) == sorted(links, key=str)
    assert {name: mdb_export(path, name) for name in names} == texts

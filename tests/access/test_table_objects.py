"""Of each table of an open file there is one Java object, whatever the collector takes."""

from __future__ import annotations

import gc
import os

import pytest

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access import jvm, ucanaccess
from vrtracker.backends.access.table_objects import hold_tables, release_tables


@pytest.fixture
def path(new_file):
    with ops.opened(new_file) as file:
        for name in ("people", "pets"):
            columns = [ops.NewColumn("id", "LONG"), ops.NewColumn("text", "TEXT", length=200)]
            ops.create_table(file, name, columns, [ops.NewIndex("pk", ("id",), primary=True)])
    return new_file


@pytest.fixture
def file(path):
    """Open the file as Jackcess does by itself."""
    builder = jvm.java(f"{ops.PACKAGE}.DatabaseBuilder")(jvm.java("java.io.File")(str(path)))
    database = builder.open()
    yield database
    release_tables(database)
    database.close()


def reference(database, table):
    """Return the cache's weak reference to a table that nobody else holds."""
    page = database.getTable(table).getTableDefPageNumber()
    return jvm.private_field(jvm.private_field(database, "mtableCache"), "_tables").get(page)


def address(database, table):
    """Return what tells the object of a table, without holding it."""
    return int(jvm.java("java.lang.System").identityHashCode(database.getTable(table)))


def collect():
    gc.collect()
    jvm.java("java.lang.System").gc()


def read_pets(database):
    """Read a table that is not in the cache: what was collected is struck from it."""
    reference(database, "pets").clear()
    database.getTable("pets")


def fill(one, other):
    """Write rows through two objects by turns, and read them by the index of the second."""
    row = jvm.java("java.util.LinkedHashMap")
    for number in range(40):
        values = row()
        values.put("id", jvm.java("java.lang.Integer")(number))
        values.put("text", "x" * 200)
        (one, other)[number % 2].addRowFromMap(values)
    builder = jvm.java(f"{ops.PACKAGE}.CursorBuilder")(other)
    cursor = builder.withIndex(other.getPrimaryKeyIndex()).toCursor()
    count = 0
    while cursor.moveToNextRow():
        cursor.getCurrentRow()
        count += 1
    return count


def test_jackcess_by_itself_makes_two_when_the_collector_is_late(file):
    collected = reference(file, "people")
    # What the collector does in two steps, with other threads in between.
    collected.clear()
    one = file.getTable("people")
    collected.enqueue()
    read_pets(file)
    other = file.getTable("people")

    assert other != one
    with pytest.raises(Exception, match="Given rowId is invalid"):
        fill(one, other)


def test_table_held_stays_the_only_one_when_the_collector_is_late(file):
    collected = reference(file, "people")
    collected.clear()
    hold_tables(file)
    one = file.getTable("people")
    collected.enqueue()
    read_pets(file)
    other = file.getTable("people")

    assert other == one
    assert fill(one, other) == 40


def test_open_file_keeps_its_tables_through_a_collection(path):
    with ops.opened(path) as database:
        before = address(database, "people")
        collect()
        assert address(database, "people") == before


def test_new_table_is_kept_through_a_collection(path):
    with ops.opened(path) as database:
        ops.create_table(database, "plants", [ops.NewColumn("id", "LONG")])
        before = address(database, "plants")
        collect()
        assert address(database, "plants") == before


@pytest.mark.parametrize("what", ["opened", "table made", "read anew"])
def test_connection_keeps_its_tables_through_a_collection(path, what):
    with ucanaccess.connect(path) as connection:
        cursor = connection.cursor()
        if what == "table made":
            cursor.execute("CREATE TABLE plants (id LONG)")
        elif what == "read anew":
            os.utime(path)
            cursor.execute("SELECT * FROM people").fetchall()
            connection.commit()
        table = "plants" if what == "table made" else "people"
        before = address(connection.java.getDbIO(), table)
        collect()
        assert address(connection.java.getDbIO(), table) == before


def test_closed_file_lets_its_tables_go(path):
    from vrtracker.backends.access import table_objects

    held = len(table_objects._held)
    with ucanaccess.connect(path) as connection, ucanaccess.connect(path):
        connection.cursor().execute("SELECT * FROM people").fetchall()
    with ops.opened(path):
        pass
    assert len(table_objects._held) == held

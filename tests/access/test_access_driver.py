from __future__ import annotations

import datetime as dt
import functools
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from decimal import Decimal

import pytest

from support.access_files import raise_number
from support.processes import in_child, spawned_at_once
from vrtracker.backends.access import jvm, ucanaccess
from vrtracker.errors import BackendError

PEOPLE = (
    "CREATE TABLE [people] ([id] COUNTER NOT NULL, [name] TEXT(20) NOT NULL, [note] MEMO, "
    "[n] LONG, [d] DOUBLE, [t] DATETIME, [b] YESNO, [c] CURRENCY, [s] SINGLE, [raw] OLE, "
    "[big] DECIMAL(19,0), CONSTRAINT [pk_people] PRIMARY KEY ([id]), "
    "CONSTRAINT [uq_people_name] UNIQUE ([name]))"
)
PETS = (
    "CREATE TABLE [pets] ([k] TEXT(26) NOT NULL, [owner] LONG NOT NULL, "
    "CONSTRAINT [pk_pets] PRIMARY KEY ([k]), "
    "CONSTRAINT [fk_pets_owner] FOREIGN KEY ([owner]) REFERENCES [people] ([id]))"
)
INSERT = "INSERT INTO [people] ([name]) VALUES (?)"


@pytest.fixture
def people(new_file):
    connection = ucanaccess.connect(new_file, timeout_s=5)
    cursor = connection.cursor()
    cursor.execute(PEOPLE)
    cursor.execute(PETS)
    yield connection
    connection.close()


def in_new_process(code, *arguments, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return result.stdout.strip()


def test_missing_file_is_an_error_and_stays_missing(tmp_path):
    with pytest.raises(ucanaccess.OperationalError, match="no file"):
        ucanaccess.connect(tmp_path / "none.accdb")
    assert not (tmp_path / "none.accdb").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("note", 'it\'s [x] #1# "q" ? % é\n' + "x" * 5000),
        ("note", None),
        ("n", 2**31 - 1),
        ("n", -(2**31)),
        ("d", 1e-12),
        ("d", 2.0**52),
        ("t", dt.datetime(2023, 3, 12, 2, 30)),
        ("t", dt.datetime(1900, 1, 1)),
        ("t", dt.datetime(1530, 1, 1, 12)),
        ("b", True),
        ("c", Decimal("1.2345")),
        ("s", 8.25),
        ("raw", b"\x00\xff" * 5000),
        ("big", Decimal(2**55)),
    ],
)
def test_value_returns_as_it_was_also_from_a_reopened_file(people, column, value):
    people.cursor().execute(
        f"INSERT INTO [people] ([name],[{column}]) VALUES (?,?)", ("ATL001", value)
    )
    people.commit()
    people.close()
    with ucanaccess.connect(people.path) as again:
        found = again.cursor().execute(f"SELECT [{column}] FROM [people]").fetchall()
    assert found == [(value,)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_time_that_a_zone_skips_is_kept(people, zone):
    people.close()
    code = (
        "import sys, datetime as dt\n"
        "from vrtracker.backends.access import ucanaccess\n"
        "c = ucanaccess.connect(sys.argv[1])\n"
        "c.cursor().execute(\"INSERT INTO [people] ([name],[t]) VALUES ('a',?)\","
        " (dt.datetime(2023, 3, 12, 2, 30),))\n"
        "c.commit(); c.close(); c = ucanaccess.connect(sys.argv[1])\n"
        "print(c.cursor().execute('SELECT [t] FROM [people]').fetchone()[0])\n"
    )
    assert in_new_process(code, people.path, TZ=zone) == "2023-03-12 02:30:00"


@pytest.mark.parametrize(
    ("statement", "parameters", "error", "state"),
    [
        (INSERT, ("ATL001",), ucanaccess.IntegrityError, "23505"),
        (INSERT, (None,), ucanaccess.IntegrityError, "23502"),
        (INSERT, ("x" * 21,), ucanaccess.DataError, "22001"),
        ("INSERT INTO [pets] VALUES ('b',99)", (), ucanaccess.IntegrityError, "23503"),
        ("DELETE FROM [people]", (), ucanaccess.IntegrityError, "23504"),
        ("SELECT [zz] FROM [people]", (), ucanaccess.ProgrammingError, "42501"),
        ("SELECT * FROM [nope]", (), ucanaccess.ProgrammingError, "42501"),
        ("SELEC 1", (), ucanaccess.ProgrammingError, "42581"),
        ("UPDATE [people] SET [n]=?", (2**31,), ucanaccess.DataError, "22003"),
        ("UPDATE [people] SET [d]=?", (float("nan"),), ucanaccess.DataError, "22003"),
        (
            "UPDATE [people] SET [t]=?",
            (dt.datetime(2020, 1, 1, tzinfo=dt.UTC),),
            ucanaccess.DataError,
            "22007",
        ),
    ],
)
def test_failure_is_classified_by_its_sqlstate(people, statement, parameters, error, state):
    cursor = people.cursor()
    cursor.execute(INSERT, ("ATL001",))
    cursor.execute("INSERT INTO [pets] VALUES ('a',1)")
    with pytest.raises(error) as caught:
        cursor.execute(statement, parameters)
    assert caught.value.sqlstate == state


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("*", ["owner", "K k", "id", "Name", "N"]),
        ("x.[K k], p.[Name] AS [owner], p.[N] AS [name]", ["K k", "owner", "name"]),
        ("COUNT(*) AS [Many], MAX(p.[N]) AS [N]", ["Many", "N"]),
    ],
)
def test_columns_are_called_as_in_the_file_or_as_was_asked_for(new_file, columns, names):
    with ucanaccess.connect(new_file) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE [own pets] ([owner] LONG, [K k] LONG)")
        cursor.execute("CREATE TABLE [people] ([id] LONG, [Name] TEXT(9), [N] LONG)")
        query = (
            f"SELECT {columns} FROM [own pets] AS x INNER JOIN [people] AS p ON p.[id]=x.[owner]"
        )

        cursor.execute(query)

        assert [column[0] for column in cursor.description] == names
        cursor.execute("DROP TABLE [people]")
        cursor.execute("CREATE TABLE [people] ([ID] LONG, [NAME] TEXT(9), [N] LONG)")
        cursor.execute("SELECT * FROM [people]")
        assert [column[0] for column in cursor.description] == ["ID", "NAME", "N"]


def test_row_count_is_that_of_rows_found(people):
    cursor = people.cursor()
    cursor.executemany(INSERT, [("a",), ("b",), ("c",)])
    assert cursor.rowcount == 3
    assert cursor.execute("UPDATE [people] SET [n]=1 WHERE [id]>?", (1,)).rowcount == 2
    assert cursor.execute("UPDATE [people] SET [n]=1 WHERE [id]>?", (99,)).rowcount == 0


def test_autonumber_given_after_a_refused_insert_is_the_one_in_the_file(people):
    cursor = people.cursor()
    cursor.execute(INSERT, ("a",))
    with pytest.raises(ucanaccess.IntegrityError):
        cursor.execute(INSERT, ("a",))
    cursor.execute(INSERT, ("b",))
    given = cursor.lastrowid
    cursor.execute("INSERT INTO [pets] VALUES ('p',?)", (given,))
    people.commit()
    people.close()
    with ucanaccess.connect(people.path) as again:
        owner = "SELECT [name] FROM [people] INNER JOIN [pets] ON [people].[id]=[pets].[owner]"
        assert again.cursor().execute(owner).fetchall() == [("b",)]


def test_readonly_connection_refuses_everything_but_select(people):
    people.close()
    before = people.path.read_bytes()
    with ucanaccess.connect(people.path, readonly=True) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM [people]").fetchall()
        for statement in (
            "DELETE FROM [people]",
            "SELECT * INTO [x] FROM [people]",
            "DROP TABLE [pets]",
        ):
            with pytest.raises(ucanaccess.ReadOnlyConnectionError):
                cursor.execute(statement)
    assert people.path.read_bytes() == before


def test_rollback_leaves_the_file_as_it_was(people):
    people.cursor().execute(INSERT, ("a",))
    people.rollback()
    assert people.cursor().execute("SELECT COUNT(*) FROM [people]").fetchone() == (0,)


def test_writers_of_one_process_lose_no_update(people):
    people.cursor().execute("INSERT INTO [people] ([name],[n]) VALUES ('a',0)")
    people.commit()

    def count():
        with ucanaccess.connect(people.path) as own:
            for _ in range(20):
                own.cursor().execute("UPDATE [people] SET [n]=[n]+1")
                own.commit()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert people.cursor().execute("SELECT [n] FROM [people]").fetchone() == (80,)


def test_writers_of_several_processes_lose_no_update_and_are_seen_at_once(people):
    people.cursor().execute("INSERT INTO [people] ([name],[n]) VALUES ('a',0)")
    people.commit()
    people.cursor().execute("SELECT * FROM [people]").fetchall()
    people.rollback()
    work = functools.partial(raise_number, str(people.path), 10)

    assert spawned_at_once(work, work, work) == [0, 0, 0]

    assert people.cursor().execute("SELECT [n] FROM [people]").fetchone() == (30,)


def test_reader_is_not_held_up_by_a_writer_of_its_own_thread(people):
    people.cursor().execute(INSERT, ("uncommitted",))
    with ucanaccess.connect(people.path, readonly=True) as reader:
        assert reader.cursor().execute("SELECT * FROM [people]").fetchall() == []


def test_second_writer_gives_up_after_its_timeout(people):
    people.cursor().execute(INSERT, ("a",))
    second = ucanaccess.connect(people.path, timeout_s=0.1)
    with pytest.raises(ucanaccess.OperationalError, match="writing"):
        second.cursor().execute(INSERT, ("b",))
    second.close()
    people.rollback()


def _use_java(queue):
    try:
        jvm.start()
    except BackendError as error:
        queue.put(str(error))
    else:
        queue.put("started")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_process_is_refused_and_told_of_spawn():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_use_java, args=(queue,))
    worker.start()
    assert "spawn" in queue.get(timeout=30)
    worker.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_garbage_is_collected_in_a_fork_without_java():
    jvm.start()

    def collect() -> None:
        # JPype comes at the end of a collection, however little there is to collect.
        gc.freeze()
        # By pressure and by itself, it would ask Java for a collection of its own in some.
        for _ in range(200):
            gc.collect()
        assert not [each for each in gc.callbacks if each.__module__ == "_jpype"]

    assert in_child(collect) == 0
    assert [each for each in gc.callbacks if getattr(each, "__module__", "") == "_jpype"]


def test_file_is_free_after_the_last_connection_has_closed(people):
    people.close()
    people.path.rename(people.path.with_name("moved.accdb"))
    with ucanaccess.connect(people.path.with_name("moved.accdb")) as moved:
        assert moved.cursor().execute("SELECT COUNT(*) FROM [people]").fetchone() == (0,)


def test_commit_that_a_process_did_not_survive_is_undone_on_opening(people):
    people.cursor().execute(INSERT, ("kept",))
    people.commit()
    people.close()
    copy = people.path.with_name(people.path.name + ".vrtracker-undo")
    copy.write_bytes(people.path.read_bytes())
    people.path.write_bytes(b"half written")
    with ucanaccess.connect(people.path) as connection:
        assert connection.cursor().execute("SELECT [name] FROM [people]").fetchall() == [("kept",)]
    assert not copy.exists()


def test_half_a_copy_that_a_killed_process_left_goes_with_the_next_transaction(people):
    half = people.path.with_name(people.path.name + ".vrtracker-undo.part")
    half.write_bytes(b"half")
    people.cursor().execute(INSERT, ("kept",))
    assert not half.exists()
    people.commit()
    assert people.cursor().execute("SELECT [name] FROM [people]").fetchall() == [("kept",)]


def test_given_numbers_are_kept_whatever_java_drops_from_its_memory(new_file):
    with ucanaccess.connect(new_file) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (id COUNTER PRIMARY KEY, name TEXT(9))")
        connection.number_rows(on=False)
        connection.number_after("t", 50)
        jvm.java("java.lang.System").gc()
        cursor.executemany("INSERT INTO t (id, name) VALUES (?, ?)", [(7, "a"), (30, "b")])
        connection.number_rows(on=True)
        jvm.java("java.lang.System").gc()
        connection.commit()

    with ucanaccess.connect(new_file) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t (name) VALUES ('c')")
        connection.commit()
        assert cursor.execute("SELECT id FROM t ORDER BY id").fetchall() == [(7,), (30,), (51,)]

"""What only a SQLite file can do, or have done to it."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Column, Double, Integer, MetaData, Table, create_engine

import vrtracker
from support.sample_lab import (
    DAY,
    KEY,
    numbers,
    open_lab,
    registration_queue,
    run_sql,
    session_rows,
)
from vrtracker.backends import forks
from vrtracker.backends import sqlite as backend_module
from vrtracker.backends.sqlite_health import SQLiteHealth
from vrtracker.database.migration import check, downgrade, history, upgrade
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    DatabaseUnavailableError,
    DuplicateError,
    ForeignSchemaError,
    ReadOnlyError,
    SchemaOutOfDateError,
    VrtrackerError,
)

NOBODY = 65534


def fill(url: str) -> None:
    with vrtracker.init(url, actor="tester") as tracker:
        tracker.mice.add("ATL012")
        tracker.sessions.add_many(session_rows(3, numPlanes=5, suite2pDate="2023-01-22 03:04:05"))


@pytest.fixture
def lab(tmp_path, database_sources) -> Iterator[Any]:
    database_sources.get("sqlite").copied(tmp_path, "lab", fill)
    with vrtracker.open(tmp_path / "lab.db", actor="tester") as tracker:
        yield tracker


@pytest.fixture
def public(monkeypatch) -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="vrt-public-"))
    folder.chmod(0o755)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    yield folder
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Act as a user without rights, where the tests run as root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no users to change to")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def without_columns(lab, monkeypatch) -> Callable[[], Any]:
    """Return what opens the lab without the columnar driver."""

    def opened() -> Any:
        other = open_lab(lab.url)
        monkeypatch.setattr(other._lab.database.backend, "arrow_reader", lambda _url: None)
        return other

    return opened


# -- the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [open_lab, check, history, lambda path: downgrade(path, "base")])
def test_missing_file_is_not_made(tmp_path, work):
    path = tmp_path / "missing.db"

    with pytest.raises(DatabaseUnavailableError, match=r"missing\.db"):
        work(path)

    assert list(tmp_path.iterdir()) == []


def test_message_about_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(DatabaseUnavailableError, match=r"vrtracker --url .* init"):
        open_lab(tmp_path / "missing.db")


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, upgrade, check])
def test_missing_folder_is_not_made(tmp_path, work):
    with pytest.raises(DatabaseUnavailableError, match="absent"):
        work(tmp_path / "absent" / "lab.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, upgrade, check])
def test_folder_is_no_database(tmp_path, work):
    folder = tmp_path / "lab.db"
    folder.mkdir()

    with pytest.raises(DatabaseUnavailableError, match="folder"):
        work(folder)

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, upgrade, check])
@pytest.mark.parametrize("content", [b"mouse,date\n" * 100, b"x", b"\x00" * 4096], ids=repr)
def test_file_of_another_kind_is_refused_and_left_alone(tmp_path, work, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(ForeignSchemaError, match=r"notes\.txt"):
        work(path)

    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_empty_file_needs_init_and_takes_it(tmp_path):
    path = tmp_path / "lab.db"
    path.touch()

    with pytest.raises(SchemaOutOfDateError, match="init"):
        open_lab(path)
    vrtracker.init(path).close()
    open_lab(path).close()


def test_damaged_file_is_reported_as_damaged(lab):
    lab.sessions.add_many(session_rows(400, start=1_000, sessionNotes="n" * 500))
    lab.close()
    path = Path(lab.url)
    run_sql(lab.url, "SELECT 1")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[8_192 : len(content) // 2] = random.Random(7).randbytes(len(content) // 2 - 8_192)
    path.write_bytes(content)

    def read() -> None:
        with open_lab(path) as tracker:
            tracker.sessions.frame()

    with pytest.raises(BackendError, match=r"lab\.db is damaged"):
        read()


@pytest.mark.parametrize(
    "call",
    [
        lambda lab: lab.verify(),
        lambda lab: list(lab.sessions.iter()),
        lambda lab: lab.sessions.update({"numPlanes": 6}, all_rows=True),
        lambda lab: lab.workflow.run("registration", registrar=lambda _: None),
    ],
    ids=["verify", "iter", "update", "run"],
)
def test_value_that_no_column_of_its_kind_holds_is_named_with_its_row(lab, tmp_path, call):
    number = lab.sessions.get(KEY).uSessionID
    path = Path(lab.url)
    lab.close()
    run_sql(path, f"UPDATE sessiondb SET sessionDate = 'soon' WHERE uSessionID = {number}")

    with (
        open_lab(path, root=tmp_path) as damaged,
        pytest.raises(BackendError, match=rf"sessionDate holds 'soon'.* uSessionID is {number}"),
    ):
        call(damaged)


def test_paths_with_odd_letters_work(tmp_path):
    for name in ("a b.db", "50%.db", "q?a=1&b.db", "#1.db", "ü 小鼠.db", "it's.db", "100%41.db"):
        with vrtracker.init(tmp_path / name) as tracker:
            tracker.mice.add("ATL012")
            assert len(tracker.mice.frame()) == 1
        assert (tmp_path / name).is_file()


def test_path_below_home_and_relative_path_are_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    vrtracker.init(tmp_path / "lab.db").close()

    open_lab("~/lab.db").close()
    monkeypatch.chdir(tmp_path)
    with open_lab("lab.db") as tracker:
        monkeypatch.chdir("/")
        assert len(tracker.mice.frame()) == 0
        assert tracker.url == str(tmp_path / "lab.db")


def test_relative_url_means_the_same_file_after_a_change_of_folder(tmp_path, monkeypatch):
    vrtracker.init(tmp_path / "lab.db").close()
    monkeypatch.chdir(tmp_path)
    with open_lab("sqlite:///lab.db") as tracker:
        monkeypatch.chdir("/")
        assert len(tracker.mice.frame()) == 0
        assert pickle.loads(pickle.dumps(tracker)).mice.count() == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_database_in_memory_is_refused(url):
    with pytest.raises(ConfigurationError, match="memory"):
        open_lab(url)


# -- permissions -------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, check])
def test_file_without_permission_is_refused(public, work):
    vrtracker.init(public / "lab.db").close()
    (public / "lab.db").chmod(0)

    with ordinary_user(), pytest.raises(DatabaseUnavailableError, match="permission"):
        work(public / "lab.db")


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, check])
def test_file_in_a_closed_folder_is_refused(public, work):
    folder = public / "closed"
    folder.mkdir()
    vrtracker.init(folder / "lab.db").close()
    folder.chmod(0)

    with ordinary_user(), pytest.raises(DatabaseUnavailableError, match="permission"):
        work(folder / "lab.db")


def test_file_cannot_be_made_in_a_folder_without_permission(public):
    folder = public / "full"
    folder.mkdir()
    folder.chmod(0o555)

    with ordinary_user(), pytest.raises(DatabaseUnavailableError, match="permission"):
        vrtracker.init(folder / "lab.db")

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("folder_mode", [0o555, 0o777], ids=oct)
def test_file_that_may_only_be_read_is_read_and_a_write_is_refused(public, folder_mode):
    folder = public / "shared"
    folder.mkdir()
    path = folder / "lab.db"
    with vrtracker.init(path) as tracker:
        tracker.mice.add("ATL012")
        tracker.sessions.add_many(session_rows(3))
    path.chmod(0o444)
    folder.chmod(folder_mode)

    with ordinary_user(), open_lab(path) as tracker:
        assert numbers(tracker.sessions.frame()) == [701, 702, 703]
        assert tracker.sessions.get(KEY).sessionID == 701
        with pytest.raises((ReadOnlyError, DatabaseUnavailableError), match=r"clone|check that"):
            tracker.sessions.add(("ATL012", DAY, 900))
        assert tracker.sessions.count() == 3


# -- locks -------------------------------------------------------------------------------------


@pytest.fixture
def locked(lab, monkeypatch) -> Iterator[None]:
    """Let another process write to the lab's file, and never finish."""
    monkeypatch.setattr(backend_module, "BUSY_SECONDS", 0.2)
    lab.close()
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute('DELETE FROM vrt_event')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, lab.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        yield
        other.communicate()


def test_write_to_a_file_that_another_program_writes_is_refused_after_waiting(lab, locked):
    with pytest.raises(BackendError, match="Another program"):
        lab.sessions.add(("ATL012", DAY, 900))
    with pytest.raises(BackendError, match="Another program"):
        lab.sessions.update({"imaging": True}, KEY)


def test_reading_goes_on_while_another_program_writes(lab, locked):
    assert numbers(lab.sessions.frame()) == [701, 702, 703]
    assert lab.sessions.get(KEY).sessionID == 701
    assert len(lab.events()) == 4


def test_write_waits_for_another_that_ends(lab):
    other = sqlite3.connect(lab.url, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, other.execute, ("COMMIT",)).start()

    assert lab.sessions.add(("ATL012", DAY, 900)).sessionID == 900
    other.close()


# -- hand edits --------------------------------------------------------------------------------

BAD_VALUES = [
    ("numPlanes", "'five'"),
    ("numPlanes", "1.5"),
    ("sessionID", "'seven'"),
    ("suite2pDate", "'yesterday'"),
    ("suite2pDate", "20230122"),
    ("suite2pDate", "2459966.5"),
    ("sessionDate", "'20/01/2023'"),
    ("headPlateRotation", "'steep'"),
    ("imaging", "'perhaps'"),
]


@pytest.mark.parametrize(("column", "value"), BAD_VALUES)
@pytest.mark.parametrize("where", ["sessionID = 702", "1 = 1"], ids=["one row", "all rows"])
def test_value_that_does_not_fit_is_told_with_its_column(
    lab, without_columns, column, value, where
):
    if column.startswith("session") and where == "1 = 1":
        where = "sessionID = 701"
    run_sql(lab.url, f"UPDATE sessiondb SET {column} = {value} WHERE {where}")

    with pytest.raises(BackendError, match=f"column {column} "):
        lab.sessions.frame()
    with without_columns() as slow, pytest.raises(BackendError, match=f"column {column} "):
        slow.sessions.frame()


def test_time_that_is_none_is_told_by_look_ups_too(lab):
    run_sql(lab.url, "UPDATE sessiondb SET suite2pDate = 'yesterday' WHERE sessionID = 702")

    with pytest.raises(BackendError, match="suite2pDate"):
        lab.sessions.get(("ATL012", DAY, 702))
    with pytest.raises(BackendError, match="yesterday"):
        list(lab.sessions.iter())
    with pytest.raises(BackendError, match="yesterday"):
        lab.sessions.update({"suite2pDate": None}, sessionID=(0, ">"), dry_run=True)
    assert lab.sessions.get(KEY).sessionID == 701


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("suite2pDate", "'2023-01-22'", pd.Timestamp("2023-01-22")),
        ("suite2pDate", "'2023-01-22T03:04'", pd.Timestamp("2023-01-22 03:04")),
        ("suite2pDate", "'2023-01-22 03:04:05.000000'", pd.Timestamp("2023-01-22 03:04:05")),
        ("numPlanes", "'7'", 7),
        ("numPlanes", "7.0", 7),
        ("headPlateRotation", "'8.5'", 8.5),
        ("headPlateRotation", "8", 8.0),
        ("imaging", "-1", True),
        ("sessionNotes", "12", "12"),
    ],
)
def test_value_in_a_usual_form_is_read(lab, without_columns, column, value, read):
    run_sql(lab.url, f"UPDATE sessiondb SET {column} = {value} WHERE sessionID = 702")

    frame = lab.sessions.frame()

    assert frame[column][1] == read
    with without_columns() as slow:
        pd.testing.assert_frame_equal(slow.sessions.frame(), frame)
    assert getattr(lab.sessions.get(("ATL012", DAY, 702)), column) == read


# -- columns of many rows ----------------------------------------------------------------------


def test_types_come_from_all_rows_not_from_the_first(lab):
    lab.sessions.add_many(session_rows(20, start=800))
    last = ("ATL012", DAY, 819)
    lab.sessions.update(
        {"logtime": "2023-01-20", "experimentType": "Blender VR", "headPlateRotation": 1.5}, last
    )

    frame = lab.sessions.frame()

    assert len(frame) == 23
    assert frame["logtime"].iloc[-1] == pd.Timestamp("2023-01-20")
    assert frame["experimentType"].iloc[-1] == "Blender VR"
    assert frame["headPlateRotation"].iloc[-1] == 1.5
    assert frame["logtime"].isna().sum() == 22
    assert numbers(lab.sessions.frame(limit=2, order_by="-logtime")) == [819, 701]


def test_bad_value_far_down_is_told_with_its_column(lab):
    lab.sessions.add_many(session_rows(20, start=800))
    run_sql(lab.url, "UPDATE sessiondb SET vrEnvironments = 'all' WHERE sessionID = 819")

    with pytest.raises(BackendError, match="column vrEnvironments "):
        lab.sessions.frame()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on address space")
def test_frame_needs_no_more_memory_than_it_is_large(lab):
    program = (
        "import resource, sys, vrtracker\n"
        "tracker = vrtracker.open(sys.argv[1])\n"
        "tracker.sessions.count()\n"
        "import vrtracker.frames\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
        "assert len(tracker.sessions.frame()) == 3\n"
        "tracker.close()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, lab.url], capture_output=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr.decode()


# -- locks, which a process loses when anything in it closes the file ---------------------------

ANOTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
else:
    print("took the lock")
    connection.execute("ROLLBACK")
connection.close()
"""


def another_process(lab) -> str:
    command = [sys.executable, "-c", ANOTHER, lab.url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_reading_and_opening_again_leave_a_writer_its_lock(lab):
    with lab.database.connect(readonly=False):
        assert len(lab.sessions.frame()) == 3
        with open_lab(lab.url) as again:
            assert len(again.sessions.frame()) == 3

        assert another_process(lab) == "database is locked"


def test_log_stays_while_this_process_has_the_file_open(lab):
    log = Path(f"{lab.url}-wal")
    lab.sessions.update({"numPlanes": 3}, KEY)
    before = log.stat().st_ino
    with open_lab(lab.url) as again:
        assert len(again.sessions.frame()) == 3

    assert another_process(lab) == "took the lock"

    # Whoever closes the file as the last one removes its log.
    assert log.stat().st_ino == before


def cursors_in(error: BaseException | None) -> list[sqlite3.Cursor]:
    """Return the cursors that an error and its causes hold on to."""
    found: list[sqlite3.Cursor] = []
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            found += [each for each in frame.f_locals.values() if isinstance(each, sqlite3.Cursor)]
        error = error.__cause__ or error.__context__
    return found


def test_failed_statement_leaves_no_open_cursor_to_whoever_keeps_its_error(lab):
    with pytest.raises(DuplicateError) as told:
        lab.sessions.add(KEY)

    held = cursors_in(told.value)
    assert held
    for cursor in held:
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            cursor.fetchone()


# -- how it is opened --------------------------------------------------------------------------


def pragma(lab: Any, name: str, *, readonly: bool = False) -> Any:
    database = lab._lab.database
    engine = database.read_engine if readonly else database.write_engine
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_connections_have_the_settings_that_the_data_needs(lab):
    assert pragma(lab, "journal_mode") == "wal"
    assert pragma(lab, "foreign_keys") == 1
    assert pragma(lab, "synchronous") == 2
    assert pragma(lab, "busy_timeout") == 30_000
    assert pragma(lab, "foreign_keys", readonly=True) == 1
    assert pragma(lab, "query_only", readonly=True) == 1


def test_session_to_claim_is_found_and_read_in_one_select_as_by_its_key(lab, statement_counter):
    lab.sessions.update({"imaging": True}, KEY)
    lab.workflow.complete(KEY, "suite2p")
    lab.workflow.set_qc(KEY, "suite2p", "FAIL")
    context = lab._lab
    queue = registration_queue(context, KEY)
    with context.unit() as unit, statement_counter() as seen:
        number, key, whole = queue.take_first(unit.executor, after=0, now=context.now())
        assert seen.count == 1
        assert whole == unit.stages.snapshot(key, lock=True)
        assert queue.take_first(unit.executor, after=number, now=context.now()) is None
    assert set(whole.rows) == {"suite2p_qc"}
    assert whole.row_digest


def test_number_of_a_deleted_session_is_not_given_again(lab):
    last = lab.sessions.get(("ATL012", DAY, 703)).uSessionID
    lab.sessions.delete(("ATL012", DAY, 703))

    assert lab.sessions.add(("ATL012", DAY, 704)).uSessionID == last + 1


def test_nothing_but_the_database_is_left_behind(lab):
    lab.mice.add("ATL013")
    lab.sessions.frame()
    lab.close()

    assert [path.name for path in Path(lab.url).parent.iterdir()] == ["lab.db"]


@pytest.mark.parametrize(
    ("kind", "value", "dtype"),
    [
        ("BOOLEAN", "1", "boolean"),
        ("BIGINT", "9007199254740993", "Int64"),
        ("REAL", "0.5", "float64"),
        ("NUMERIC(10, 2)", "12.25", "float64"),
        ("DATE", "'2022-05-01'", "datetime64[us]"),
        ("VARCHAR", "'x'", "str"),
        ("NVARCHAR(20)", "'x'", "str"),
        ("CLOB", "'x'", "str"),
        ("BLOB", "x'00ff'", "object"),
        ("", "'whatever'", "object"),
        ("INT", "7", "Int64"),
        ("TIMESTAMP", "'2022-05-01 09:30:00'", "datetime64[us]"),
    ],
)
def test_columns_of_any_type_come_along(lab, without_columns, kind, value, dtype):
    run_sql(
        lab.url,
        f"ALTER TABLE sessiondb ADD COLUMN odd {kind}",
        f"UPDATE sessiondb SET odd = {value} WHERE sessionID = 702",
    )

    with open_lab(lab.url) as tracker:
        frame = tracker.sessions.frame()
        assert str(frame["odd"].dtype) == dtype
        assert frame["odd"].isna().tolist() == [True, False, True]
        assert str(tracker.sessions.frame(sessionID=0)["odd"].dtype) == dtype
        assert tracker.sessions.get(("ATL012", DAY, 702)).extra["odd"] is not None
        with without_columns() as slow:
            pd.testing.assert_frame_equal(slow.sessions.frame(), frame)
        tracker.sessions.delete(("ATL012", DAY, 702))
        deleted = tracker.history(("ATL012", DAY, 702))["changes"].iloc[-1]
        assert deleted["odd"][0] is not None


def test_unknown_type_is_written_and_filtered_as_it_is(lab):
    run_sql(lab.url, "ALTER TABLE sessiondb ADD COLUMN odd")

    with open_lab(lab.url) as tracker:
        tracker.sessions.update({"odd": "x"}, KEY)
        assert numbers(tracker.sessions.frame(odd="x")) == [701]
        assert numbers(tracker.sessions.frame(odd=None)) == [702, 703]


def test_foreign_program_may_delete_nothing_that_others_need(lab):
    connection = sqlite3.connect(lab.url)
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM mousedb")
    connection.close()


def test_read_only_is_kept_by_the_file_itself(lab):
    with (
        open_lab(lab.url, readonly=True) as reader,
        reader._lab.database.read_engine.connect() as connection,
    ):
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        with pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("DELETE FROM vrt_event")


def test_file_of_an_init_is_not_open_to_everybody_more_than_others(tmp_path):
    old = os.umask(0o027)
    try:
        vrtracker.init(tmp_path / "lab.db").close()
    finally:
        os.umask(old)

    assert stat.S_IMODE((tmp_path / "lab.db").stat().st_mode) & 0o007 == 0


def test_all_errors_of_a_vanished_file_are_ours(lab):
    lab.sessions.frame()
    lab.close()
    Path(lab.url).unlink()

    for work in (lab.sessions.frame, lab.sessions.count, lambda: lab.sessions.get(KEY)):
        with pytest.raises(VrtrackerError):
            work()
    with pytest.raises(VrtrackerError):
        lab.sessions.add(("ATL012", DAY, 900))
    assert not Path(lab.url).exists()


def test_doctor_takes_whole_numbers_of_bytes_alone():
    columns = (Column("row", Integer, primary_key=True), Column("size_bytes", Double))
    files = Table("files", MetaData(), *columns, Column("modified", Double))
    cells = [0.0, 5, 2.0**53, 4e18, None, 1e19, 1e300, 1e999, 0.5, "big"]
    engine = create_engine("sqlite://")

    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE files (row, size_bytes, modified)")
        rows = [(row, cell, 1.7e9 + 0.25) for row, cell in enumerate(cells)]
        connection.exec_driver_sql("INSERT INTO files VALUES (?, ?, ?)", rows)
        found = SQLiteHealth().misfits(connection, files)
    engine.dispose()

    assert [misfit.value for misfit in found] == cells[5:]


# -- another file under the name ------------------------------------------------------------------


def put_in_its_place(lab, other: Path) -> None:
    path = Path(lab.database.url.database)
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    other.replace(path)


@pytest.fixture
def older(lab, tmp_path) -> Path:
    copy = lab.back_up(tmp_path / "copies").path
    lab.sessions.update({"sessionNotes": "later"}, KEY)
    assert lab.sessions.get(KEY).sessionNotes == "later"
    assert len(lab.sessions.frame()) == 3
    return copy


def test_what_was_put_in_the_place_of_the_file_is_read_and_written(lab, older):
    put_in_its_place(lab, older)

    assert lab.sessions.get(KEY).sessionNotes != "later"
    assert set(lab.sessions.frame()["sessionNotes"].dropna()) & {"later"} == set()
    lab.sessions.update({"sessionNotes": "anew"}, KEY)
    with contextlib.closing(sqlite3.connect(lab.database.url.database)) as direct:
        notes = {row[0] for row in direct.execute('SELECT "sessionNotes" FROM sessiondb')}
    assert "anew" in notes
    assert not lab.verify().differences


def test_nothing_is_written_to_a_file_that_was_removed(lab, older):
    Path(lab.database.url.database).unlink()

    for use in (
        lambda: lab.sessions.update({"sessionNotes": "lost"}, KEY),
        lambda: lab.sessions.get(KEY),
        lab.sessions.frame,
    ):
        with pytest.raises(DatabaseUnavailableError, match=r"lab\.db"):
            use()


def test_result_of_work_that_was_claimed_in_another_file_is_kept_aside(lab, older, tmp_path):
    with vrtracker.open(lab.database.url.database, root=tmp_path / "data") as tracker:
        folder = tmp_path / "data" / KEY.replace(".", "/")
        folder.mkdir(parents=True)

        def register(job: Any) -> None:
            (job.staging / "a.b.npy").write_bytes(b"1")
            if older.exists():
                put_in_its_place(lab, older)

        report = tracker.workflow.run("registration", KEY, registrar=register)

        # The file that is there now knows nothing of the first attempt: the session is due.
        assert [result.outcome for result in report.results] == ["skipped", "succeeded"]
        assert len(list(folder.glob("late_output_*"))) == 1
        assert tracker.workflow.attempts(KEY)["outcome"].tolist() == ["succeeded"]


def test_listings_use_the_connection_that_is_at_hand(lab, monkeypatch):
    def looks() -> None:
        lab.sessions.records()
        lab.sessions.find(KEY)
        lab.workflow.errors.records()
        lab.workflow.table.records()

    looks()

    def refuse(path, *more, **options):
        raise AssertionError(path)

    monkeypatch.setattr(forks, "connect", refuse)
    looks()
    looks()

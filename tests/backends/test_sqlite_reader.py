"""Long results of SQLite, which another process reads through the columnar driver."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pytest
from sqlalchemy import select

import vrtracker
from support.processes import in_child
from support.sample_lab import DAY, KEY, numbers, open_lab, run_sql, session_rows
from vrtracker.arrow import read_table
from vrtracker.backends import sqlite_arrow, sqlite_process, sqlite_reader
from vrtracker.errors import BackendError

ROWS = 400


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "lab.db"
    with vrtracker.init(path, actor="tester") as tracker:
        tracker.mice.add("ATL012")
        tracker.sessions.add_many(session_rows(ROWS, numPlanes=5, suite2pDate="2023-01-22 03:04"))
    return path


@pytest.fixture
def lab(filled, tmp_path) -> Iterator[Any]:
    path = tmp_path / "lab.db"
    path.write_bytes(filled.read_bytes())
    with open_lab(str(path)) as tracker:
        yield tracker


@pytest.fixture
def answers(monkeypatch) -> list[bool]:
    """Leave every result to the other process, and note whether it gave one."""
    for name in ("FEW_ROWS", "WAIT_ROWS"):
        monkeypatch.setattr(sqlite_arrow, name, 1)
    monkeypatch.setattr(sqlite_arrow, "START_ROWS", 0)
    monkeypatch.setattr(sqlite_process, "_START_S", 120)
    given: list[bool] = []
    read = sqlite_process.SQLiteProcess.read

    def noted(self: Any, *arguments: Any) -> Any:
        table = read(self, *arguments)
        given.append(table is not None)
        return table

    monkeypatch.setattr(sqlite_process.SQLiteProcess, "read", noted)
    return given


@pytest.fixture
def wanted(lab) -> pd.DataFrame:
    """The frame as this process reads it."""
    with open_lab(lab.url) as tracker:
        return tracker.sessions.frame()


def process_of(lab: Any) -> Any:
    return lab.database.handle._arrow_reader()._process


def readers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if any("sqlite_reader" in word for word in child.cmdline())
    ]


# -- the same result ---------------------------------------------------------------------------


def test_other_process_gives_the_same_frame(lab, wanted, answers):
    frame = lab.sessions.frame()
    chosen = lab.sessions.frame(
        {"sessionID": (800, "<")}, columns=["sessionID", "mouse__KO"], order_by="-sessionID"
    )

    pd.testing.assert_frame_equal(frame, wanted)
    assert numbers(chosen) == list(range(799, 700, -1))
    assert answers == [True, True]
    frame.loc[:, "numPlanes"] = 1
    frame.loc[:, "headPlateRotation"] = 0.5
    frame.loc[:, "imaging"] = True
    assert frame["imaging"].all()


@pytest.mark.parametrize(
    "values",
    [{"sessionNotes": ["ü%", "x"]}, {"suite2pDate": ("2023-01-01", ">")}, {"imaging": False}],
    ids=repr,
)
def test_values_of_filters_reach_the_other_process(lab, answers, values):
    lab.sessions.update({"sessionNotes": "ü%"}, sessionID=(900, "<"))

    found = numbers(lab.sessions.frame(values))

    assert answers == [True]
    assert found == list(range(701, 900 if "sessionNotes" in values else 701 + ROWS))


@pytest.mark.parametrize(
    ("column", "value"),
    [("numPlanes", "'7'"), ("sessionNotes", "12"), ("suite2pDate", "'2023-01-22T03:04'")],
)
def test_value_in_a_usual_form_is_read_alike(lab, monkeypatch, column, value, request):
    run_sql(lab.url, f"UPDATE sessiondb SET {column} = {value} WHERE sessionID = 999")
    wanted = lab.sessions.frame()

    request.getfixturevalue("answers")

    pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("numPlanes", "'five'"),
        ("numPlanes", "1.5"),
        ("suite2pDate", "20230122"),
        ("suite2pDate", "'yesterday'"),
        ("imaging", "'perhaps'"),
    ],
)
def test_value_that_does_not_fit_is_told_with_its_column(lab, answers, column, value):
    run_sql(lab.url, f"UPDATE sessiondb SET {column} = {value} WHERE sessionID = 999")

    with pytest.raises(BackendError, match=f"column {column} "):
        lab.sessions.frame()

    assert answers == [False]
    assert len(lab.sessions.frame(columns=["sessionID"])) == ROWS


def test_text_that_is_no_utf8_is_an_error_of_ours(lab, answers):
    run_sql(lab.url, "UPDATE sessiondb SET sessionNotes = CAST(x'ff41' AS TEXT)")

    with pytest.raises(BackendError):
        lab.sessions.frame()


def test_column_without_values_in_many_rows_keeps_its_type(lab, answers):
    lab.sessions.update({"logtime": "2023-01-20", "experimentType": "VR"}, ("ATL012", DAY, 1100))

    frame = lab.sessions.frame()

    assert answers == [True]
    assert frame["logtime"].iloc[-1] == pd.Timestamp("2023-01-20")
    assert frame["experimentType"].notna().sum() == 1


def test_texts_that_repeat_come_with_one_dictionary_by_either_way(lab, request):
    lab.sessions.update({"sessionNotes": "ü"}, sessionID=(900, "<"))
    lab.sessions.update({"sessionNotes": "x"}, sessionID=1000)
    database = lab.database.handle
    table = database.tables.sessions
    statement = select(table.c.sessionNotes).execution_options(number=table.c.uSessionID)

    tables = [read_table(database, statement, repeating="sessionNotes")]
    answers = request.getfixturevalue("answers")
    tables.append(read_table(database, statement, repeating="sessionNotes"))

    assert answers == [True]
    for found in tables:
        coded = found.column("sessionNotes").combine_chunks()
        assert sorted(coded.dictionary.to_pylist()) == ["x", "ü"]
        told = {text: found.column("sessionNotes").to_pylist().count(text) for text in "xü"}
        assert told == {"ü": 199, "x": 1}
        assert coded.null_count == ROWS - 200


def test_rows_come_in_parts_by_a_number_that_is_not_among_their_columns(lab, answers, monkeypatch):
    parted = []
    read = sqlite_process.SQLiteProcess.read

    def noted(self: Any, *arguments: Any) -> Any:
        parted.append(arguments[-1]())
        return read(self, *arguments)

    monkeypatch.setattr(sqlite_process.SQLiteProcess, "read", noted)

    found = numbers(lab.sessions.frame(sessionID=(900, "<"), columns=["sessionID"]))

    assert found == list(range(701, 900))
    assert answers == [True]
    [(number, sql)] = parted
    assert number == ("sessiondb", "uSessionID")
    assert sql.count("uSessionID") == 2  # to part the rows and to order them


def test_number_that_its_table_does_not_have_is_an_error_and_no_empty_answer(lab, answers):
    lab.sessions.frame()
    parts = (("sessiondb", "no_number"), "SELECT 7 FROM sessiondb WHERE ? <= ?")

    reader = lab.database.handle._arrow_reader()

    assert process_of(lab).read(reader._uri(), "", [], [pa.int64()], lambda: parts) is None
    assert answers == [True, False]


# -- when it is used ---------------------------------------------------------------------------


def test_short_results_start_no_process(lab):
    assert len(lab.sessions.frame()) == ROWS

    assert readers() == []


def test_long_result_starts_one_and_it_ends_with_the_tracker(lab, monkeypatch):
    monkeypatch.setattr(sqlite_arrow, "START_ROWS", ROWS - 1)

    lab.sessions.frame()

    [reader] = readers()
    assert process_of(lab).is_ready(wait=True)
    lab.close()
    assert not reader.is_running()


def test_process_ends_with_the_one_that_started_it(lab):
    program = (
        "import sys, time, vrtracker\n"
        "from vrtracker.backends import sqlite_arrow\n"
        "sqlite_arrow.START_ROWS, sqlite_arrow.WAIT_ROWS = 0, 1\n"
        "tracker = vrtracker.open(sys.argv[1])\n"
        "tracker.sessions.frame()\n"
        "print(tracker.database.handle._arrow_reader()._process._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, lab.url], stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        reader = psutil.Process(int(one.stdout.readline()))
        one.kill()

    psutil.wait_procs([reader], timeout=20)
    assert not reader.is_running()


def test_frame_comes_without_the_driver_and_without_a_process(lab, wanted, answers, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(sqlite_process, "_DRIVER", ("no_such_driver",))
        pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)
    with monkeypatch.context() as changed:
        changed.setattr(sys, "executable", "/no/such/python")
        pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)
    lab.close()
    with monkeypatch.context() as changed:
        # A process that ends before it is ready.
        changed.setattr(sqlite_process, "_PROGRAM", "raise SystemExit")
        pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)

    assert answers == []


def test_killed_process_is_replaced(lab, wanted, answers):
    lab.sessions.frame()
    [reader] = readers()
    reader.kill()

    pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)
    pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)

    assert answers == [True, False, True]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_process_outlives_an_interrupt_that_only_its_user_is_to_hear(lab, answers):
    lab.sessions.frame()
    [reader] = readers()

    reader.send_signal(signal.SIGINT)

    assert len(lab.sessions.frame()) == ROWS
    assert answers == [True, True]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_has_a_process_of_its_own(lab, wanted, answers):
    lab.sessions.frame()
    before = readers()

    def work() -> None:
        pd.testing.assert_frame_equal(lab.sessions.frame(), wanted)
        assert process_of(lab).is_ready()
        lab.close()

    assert in_child(work) == 0
    assert readers() == before
    assert len(lab.sessions.frame()) == ROWS
    assert answers == [True, True]


def test_few_rows_that_are_found_at_once_do_not_go_there(lab, answers, monkeypatch):
    lab.sessions.frame()
    monkeypatch.setattr(sqlite_arrow, "FEW_ROWS", 200)

    assert len(lab.sessions.frame(limit=199)) == 199
    assert answers == [True]
    assert len(lab.sessions.frame(limit=200)) == 200
    assert answers == [True, True]


def test_few_rows_that_take_long_to_find_go_there(lab, answers, monkeypatch):
    lab.sessions.frame()
    monkeypatch.setattr(sqlite_arrow, "FEW_ROWS", 200)
    monkeypatch.setattr(sqlite_arrow, "FEW_STEPS", 1000)

    assert numbers(lab.sessions.frame(order_by="-sessionID", limit=1)) == [700 + ROWS]
    assert answers == [True, True]


# -- what others do to the file ----------------------------------------------------------------


def test_what_is_written_is_read_and_what_is_not_committed_is_not(lab, answers):
    lab.sessions.frame()
    with lab.database.connect(readonly=False) as connection:
        connection.exec_driver_sql("DELETE FROM sessiondb WHERE sessionID > 710")
        assert len(lab.sessions.frame()) == ROWS

    lab.sessions.update({"numPlanes": 9}, KEY)
    assert lab.sessions.frame()["numPlanes"].iloc[0] == 9
    assert answers == [True] * 3


def test_file_with_a_rollback_journal_is_read_too(lab, wanted, answers):
    lab.close()
    run_sql(lab.url, "PRAGMA journal_mode = DELETE")

    with open_lab(lab.url, readonly=True) as reader:
        pd.testing.assert_frame_equal(reader.sessions.frame(), wanted)
    assert answers == [True]


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_parts_that_are_read_side_by_side_are_of_one_moment(lab, answers, journal):
    lab.close()
    run_sql(lab.url, f"PRAGMA journal_mode = {journal}")
    done = threading.Event()

    def write() -> None:
        for number in itertools.count(10):
            run_sql(lab.url, f"UPDATE sessiondb SET numPlanes = {number}")
            if done.is_set():
                return
            time.sleep(0.001)

    with ThreadPoolExecutor(1) as pool, open_lab(lab.url, readonly=True) as reader:
        writing = pool.submit(write)
        seen = [reader.sessions.frame()["numPlanes"] for _ in range(40)]
        done.set()

    assert {len(planes) for planes in seen} == {ROWS}
    assert all(planes.min() == planes.max() for planes in seen)
    writing.result()
    # Several of those that were written meanwhile.
    assert len({number for planes in seen if (number := planes.iloc[0]) >= 10}) > 1
    assert all(answers)


def test_part_that_is_broken_off_holds_nothing_open():
    def read() -> Iterator[int]:
        yield from range(10)

    part = read()
    sqlite_reader._read(queue.Queue(), [ValueError("another part failed")], 0, part)
    assert part.gi_frame is None


def test_file_of_any_name_in_any_folder_is_read(filled, tmp_path, answers):
    path = tmp_path / "a lab's #1 100% [ü?]" / "it's=my&lab.db"
    path.parent.mkdir()
    path.write_bytes(filled.read_bytes())

    with open_lab(str(path)) as tracker:
        assert len(tracker.sessions.frame()) == ROWS
    assert answers == [True]


def test_file_that_may_only_be_read_is_read(filled, tmp_path, answers):
    folder = tmp_path / "archive"
    folder.mkdir()
    path = folder / "lab.db"
    path.write_bytes(filled.read_bytes())
    path.chmod(0o444)
    folder.chmod(0o555)

    with open_lab(str(path), readonly=True) as tracker:
        assert len(tracker.sessions.frame()) == ROWS
    assert answers == [True]
    folder.chmod(0o755)


def test_other_process_leaves_nothing_behind(lab, answers):
    lab.sessions.update({"numPlanes": 3}, KEY)
    lab.sessions.frame()
    lab.close()

    assert [path.name for path in Path(lab.url).parent.iterdir()] == ["lab.db"]


WRITER = """
import sys, vrtracker
url, first = sys.argv[1], int(sys.argv[2])
with vrtracker.open(url, actor="writer") as tracker:
    for number in range(first, first + 10_000):
        tracker.sessions.add(("ATL012", "2024-01-01", number))
        print(number, flush=True)
"""
SECONDS = float(os.environ.get("VRTRACKER_TEST_READERS_S", "1"))
MANY = 100_000


def through_process(tracker: Any) -> int:
    return len(tracker.sessions.frame())


def through_python(tracker: Any) -> int:
    process_of(tracker).start = lambda: None
    return len(tracker.sessions.frame())


def row_by_row(tracker: Any) -> int:
    tracker.database.handle._reader, tracker.database.handle._reader_known = None, True
    return len(tracker.sessions.frame())


def records(tracker: Any) -> int:
    assert tracker.sessions.get(KEY).sessionID == 701
    return len(list(tracker.sessions.iter()))


def count(tracker: Any) -> int:
    return int(tracker.sessions.count())


class Writers:
    """Processes that add sessions, and tell of each that is committed."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self.running: list[subprocess.Popen[bytes]] = []
        self._files: list[Path] = []
        for _ in range(count):
            self.begin()

    def begin(self) -> None:
        number = len(self._files)
        command = [sys.executable, "-c", WRITER, self._url, str(MANY * (10 + number))]
        self._files.append(Path(self._url).with_suffix(f".{number}"))
        with self._files[-1].open("wb") as stream:
            self.running.append(subprocess.Popen(command, stdout=stream))

    def kill(self) -> None:
        """Kill the one that has written for longest, in the midst of it."""
        process = self.running.pop(0)
        file = self._files[-1 - len(self.running)]
        while not file.stat().st_size and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()

    def told(self) -> list[int]:
        """Kill them all, and return what they have added."""
        for process in self.running:
            process.kill()
            process.wait()
        lines = [line for file in self._files for line in file.read_text().split("\n")[:-1]]
        return [int(line) for line in lines]


def test_readers_by_every_path_beside_eight_writers_that_are_killed_lose_nothing(lab, answers):
    """Four writers are threads, four processes; two of these are killed, and who reads for us."""
    done = threading.Event()
    added: list[int] = []

    def write(first: int) -> None:
        for number in itertools.takewhile(lambda _: not done.is_set(), itertools.count(first)):
            lab.sessions.add(("ATL012", "2024-01-01", number))
            added.append(number)

    def read(path: Any) -> list[int]:
        counts = []
        while not done.is_set():
            with open_lab(lab.url) as tracker:
                counts += [path(tracker) for _ in range(3)]
        return counts

    writers = Writers(lab.url, 4)
    paths = [through_process, through_python, row_by_row, records, count]
    with ThreadPoolExecutor(len(paths) + 4) as pool:
        reading = [pool.submit(read, path) for path in paths]
        writing = [pool.submit(write, MANY * number) for number in range(1, 5)]
        for _ in range(2):
            time.sleep(SECONDS / 2)
            writers.kill()
            writers.begin()
            for reader in readers():
                reader.kill()
        done.set()
        for one in (*writing, *reading):
            assert one.exception() is None
    by_processes = writers.told()

    assert all(one.result() == sorted(one.result()) for one in reading)
    assert {*added, *by_processes} <= {*numbers(lab.sessions.frame(sessionDate="2024-01-01"))}
    assert added
    assert by_processes
    assert any(answers)
    lab.close()
    with contextlib.closing(sqlite3.connect(lab.url)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

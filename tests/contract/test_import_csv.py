"""CSV files come in whole and unchanged, or not at all, with every problem told."""

from __future__ import annotations

import csv
import datetime as dt
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.sample_lab import DAY, KEY, numbers, table_counts
from vrtracker.errors import (
    DuplicateError,
    ImportFileError,
    ReadOnlyError,
    UnknownNameError,
    VrtrackerError,
)

HEADER = "mouseName,sessionDate,sessionID"
GOOD = "ATL012,2023-01-20,801"
READERS = {"bool": lambda text: bool(int(text)), "int64": int, "Int64": int, "float64": float}


def write(folder: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path = folder / "rows.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


def plan_of(tracker: Any, folder: Path, *lines: str, what: str = "sessions", **more: Any) -> Any:
    return tracker.import_csv(what, write(folder, *lines, **more))


# -- the lab's own files -----------------------------------------------------------------------


def read_by_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_typed(text: str, dtype: str) -> Any:
    """Read a field of MDB Tools, with nothing of the package."""
    if text == "":
        return None
    if dtype.startswith("datetime64"):
        return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    return READERS.get(dtype, str)(text)


@pytest.mark.parametrize(
    ("what", "name", "count"), [("mice", "mousedb.csv", 14), ("sessions", "sessiondb.csv", 244)]
)
def test_every_value_of_the_labs_files_is_in_the_frame(legacy, shared_file, what, name, count):
    rows = read_by_csv(shared_file(f"legacy/{name}"))
    service = getattr(legacy, what)

    frame = service.frame(include_scratched=True, show_blinded=True)

    assert len(frame) == len(rows) == count
    for column in rows[0]:
        dtype = str(frame[column].dtype)
        wanted = [as_typed(row[column], dtype) for row in rows]
        got = [None if pd.isna(value) else value for value in frame[column]]
        assert got == wanted, column
    new = set(frame.columns) - set(rows[0])
    assert frame[sorted(new)].isna().to_numpy().all()


def test_columns_of_the_labs_files_are_those_of_the_frame(legacy, shared_file):
    rows = read_by_csv(shared_file("legacy/sessiondb.csv"))

    assert list(legacy.sessions.frame().columns) == list(rows[0])


def test_gaps_between_autonumbers_are_kept_and_the_next_is_the_highest_plus_one(labs, shared_file):
    tracker = labs.new(mice=0)
    tracker.import_csv("mice", shared_file("legacy/mousedb.csv")).apply()
    tracker.import_csv("sessions", shared_file("legacy/sessiondb.csv")).apply()
    ids = [int(row["uSessionID"]) for row in read_by_csv(shared_file("legacy/sessiondb.csv"))]
    assert max(ids) > len(ids)

    assert tracker.sessions.frame(include_scratched=True)["uSessionID"].tolist() == ids
    assert tracker.sessions.add("ATL015.2026-01-01.701").uSessionID == max(ids) + 1
    assert tracker.mice.add("NEW1").uMouseID == 15
    keys = tracker.sessions.add_many(
        [{"mouseName": "NEW1", "sessionDate": DAY, "sessionID": n} for n in range(3)]
    )
    assert [tracker.sessions.get(key).uSessionID for key in keys] == [
        max(ids) + 2,
        max(ids) + 3,
        max(ids) + 4,
    ]


def test_every_imported_row_has_its_event(legacy):
    events = legacy.events(1_000)

    assert list(events["verb"]) == ["added"] * 258
    subjects = set(events["subject_key"])
    assert len(subjects) == 258
    assert {str(found.key) for found in legacy.sessions.iter(include_scratched=True)} < subjects


def test_second_import_of_the_same_file_is_refused_line_by_line(legacy, shared_file):
    before = table_counts(legacy.url)

    plan = legacy.import_csv("sessions", shared_file("legacy/sessiondb.csv"))

    assert {problem.line for problem in plan.problems} == set(range(2, 246))
    with pytest.raises(ImportFileError):
        plan.apply()
    assert table_counts(legacy.url) == before


# -- good files --------------------------------------------------------------------------------


def test_nothing_is_written_before_the_plan_is_applied(small, tmp_path):
    before = table_counts(small.url)

    plan = plan_of(small, tmp_path, f"{HEADER},imaging", f"{GOOD},1")

    assert plan.problems == ()
    assert len(plan.rows) == 1
    assert plan.frame()["sessionID"].tolist() == [801]
    assert table_counts(small.url) == before


def test_applied_plan_adds_all_rows_in_the_order_of_the_file(labs, tmp_path):
    tracker = labs.new()
    plan = plan_of(tracker, tmp_path, HEADER, *(f"ATL012,2023-01-20,{n}" for n in (9, 3, 7)))

    assert plan.apply() == 3
    assert numbers(tracker.sessions.frame()) == [9, 3, 7]
    assert list(tracker.history(("ATL012", DAY, 3))["verb"]) == ["added"]


def test_fields_are_read_by_the_type_of_their_column(labs, tmp_path):
    tracker = labs.new()
    header = f"{HEADER},imaging,behavior,numPlanes,headPlateRotation,suite2pDate,sessionNotes"
    fields = 'ATL012,2023/1/20,007,yes,0,5.0,-1e-3,2023-01-22,"a ""b"", c'
    plan = plan_of(tracker, tmp_path, header, fields, ' x "')
    plan.apply()

    found = tracker.sessions.get(("ATL012", DAY, 7))
    assert (found.imaging, found.behavior, found.numPlanes) == (True, False, 5)
    assert math.isclose(found.headPlateRotation, -0.001)
    assert found.suite2pDate == dt.datetime(2023, 1, 22)
    assert found.sessionNotes == 'a "b", c\n x '


def test_blanks_at_the_ends_of_a_text_are_kept(labs, tmp_path):
    tracker = labs.new()
    plan_of(tracker, tmp_path, f"{HEADER},sessionNotes", f'{GOOD},"  both ends  "').apply()

    assert tracker.sessions.get(("ATL012", DAY, 801)).sessionNotes == "  both ends  "


def test_empty_field_is_a_missing_value_or_the_default(labs, tmp_path):
    tracker = labs.new()
    plan_of(
        tracker, tmp_path, f"{HEADER},numPlanes,sessionQC,imaging,sessionNotes", f"{GOOD},,,,"
    ).apply()

    found = tracker.sessions.get(("ATL012", DAY, 801))
    assert (found.numPlanes, found.sessionNotes) == (None, None)
    assert (found.sessionQC, found.imaging) == (True, False)


@pytest.mark.own_rule
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_every_line_ending_is_read(small, tmp_path, end):
    plan = plan_of(small, tmp_path, HEADER, GOOD, "ATL012,2023-01-20,802", end=end)

    assert plan.problems == ()
    assert [row["sessionID"] for row in plan.rows] == [801, 802]


def test_byte_order_mark_is_no_part_of_the_header(small, tmp_path):
    plan = plan_of(small, tmp_path, HEADER, GOOD, encoding="utf-8-sig")

    assert plan.problems == ()
    assert len(plan.rows) == 1


def test_letters_outside_ascii_are_read(labs, tmp_path):
    tracker = labs.new()
    plan_of(tracker, tmp_path, f"{HEADER},sessionNotes", f"{GOOD},naïve 小鼠 ✓").apply()

    assert tracker.sessions.get(("ATL012", DAY, 801)).sessionNotes == "naïve 小鼠 ✓"


def test_blank_lines_are_passed_over(small, tmp_path):
    plan = plan_of(small, tmp_path, HEADER, "", GOOD, ",,", "", "ATL012,2023-01-20,x")

    assert len(plan.rows) == 1
    assert [problem.line for problem in plan.problems] == [6]


def test_header_alone_adds_nothing(small, tmp_path):
    plan = plan_of(small, tmp_path, HEADER)

    assert plan.apply() == 0


def test_scratched_session_without_a_reason_comes_in_with_a_warning(labs, tmp_path):
    tracker = labs.new()
    plan = plan_of(tracker, tmp_path, f"{HEADER},sessionQC", f"{GOOD},1", "ATL012,2023-01-20,802,0")

    assert [warning.line for warning in plan.warnings] == [3]
    assert plan.apply() == 2
    assert tracker.sessions.count() == 1


def test_mice_and_their_sessions_come_from_two_files(labs, tmp_path):
    tracker = labs.new(mice=0)
    plan_of(tracker, tmp_path, "mouseName,KO,sex", "ATL012,1,F", what="mice").apply()
    plan_of(tracker, tmp_path, HEADER, GOOD).apply()

    assert tracker.mice.get("ATL012").KO is True
    assert tracker.sessions.count(mouse__sex="F") == 1


# -- problems ----------------------------------------------------------------------------------

LONG = "x" * 256
PROBLEMS: dict[str, tuple[list[str], list[tuple[int, str | None, str]]]] = {
    # name: lines of the file; line, column and part of the message of each problem
    "unknown column": ([f"{HEADER},imagin", f"{GOOD},1"], [(1, "imagin", "imaging")]),
    "column of the mouse": ([f"{HEADER},mouse__KO", f"{GOOD},1"], [(1, "mouse__KO", "")]),
    "column without a name": ([f"{HEADER},", f"{GOOD},1"], [(1, "", "")]),
    "missing key column": (["mouseName,sessionID", "ATL012,1"], [(1, "sessionDate", "missing")]),
    "column given twice": ([f"{HEADER},imaging,imaging", f"{GOOD},1,0"], [(1, "imaging", "twice")]),
    "another kind of file": (["<html>", "<p>"], [(1, "<html>", ""), (1, "mouseName", "")]),
    "other separator": (
        ["mouseName;sessionDate;sessionID", "ATL012;2023-01-20;1"],
        [(1, None, "")],
    ),
    "number": ([f"{HEADER},numPlanes", f"{GOOD},five"], [(2, "numPlanes", "five")]),
    "fraction": ([f"{HEADER},numPlanes", f"{GOOD},1.5"], [(2, "numPlanes", "1.5")]),
    "out of range": ([f"{HEADER},numPlanes", f"{GOOD},2147483648"], [(2, "numPlanes", "32 bits")]),
    "flag": ([f"{HEADER},imaging", f"{GOOD},perhaps"], [(2, "imaging", "perhaps")]),
    "date": ([HEADER, "ATL012,20-01-2023,1"], [(2, "sessionDate", "20-01-2023")]),
    "day that is none": ([HEADER, "ATL012,2023-02-30,1"], [(2, "sessionDate", "2023-02-30")]),
    "time with zone": (
        [f"{HEADER},suite2pDate", f"{GOOD},2023-01-20T10:00:00Z"],
        [(2, "suite2pDate", "zone")],
    ),
    "text too long": (
        [f"{HEADER},experimentType", f"{GOOD},{LONG}"],
        [(2, "experimentType", "255")],
    ),
    "NUL character": ([f"{HEADER},sessionNotes", f"{GOOD},a\x00b"], [(2, "sessionNotes", "NUL")]),
    "mouse name": ([HEADER, "../etc,2023-01-20,1"], [(2, "mouseName", "../etc")]),
    "empty key": ([HEADER, ",2023-01-20,1"], [(2, "mouseName", "missing")]),
    "too few fields": ([HEADER, "ATL012,2023-01-20", GOOD], [(2, None, "2 fields")]),
    "too many fields": ([HEADER, f"{GOOD},1"], [(2, None, "4 fields")]),
    "unknown mouse": ([HEADER, "ATL021,2023-01-20,1"], [(2, "mouseName", "ATL012")]),
    "twice in the file": ([HEADER, GOOD, GOOD], [(3, None, "ATL012.2023-01-20.801")]),
    "in the database": ([HEADER, GOOD, "ATL012,2023-01-20,701"], [(3, None, KEY)]),
    "autonumber taken": ([f"uSessionID,{HEADER}", f"1,{GOOD}"], [(2, "uSessionID", "1")]),
    "autonumber twice": (
        [f"uSessionID,{HEADER}", f"90,{GOOD}", "90,ATL012,2023-01-20,802"],
        [(3, "uSessionID", "90")],
    ),
    "autonumber for some": (
        [f"uSessionID,{HEADER}", f"90,{GOOD}", ",ATL012,2023-01-20,802"],
        [(3, "uSessionID", "")],
    ),
    "several in one row": (
        [f"{HEADER},imaging,numPlanes", f"{GOOD},maybe,many"],
        [(2, "imaging", "maybe"), (2, "numPlanes", "many")],
    ),
    "several rows": (
        [HEADER, "ATL012,x,1", GOOD, "ATL012,2023-01-20,y"],
        [(2, "sessionDate", "x"), (4, "sessionID", "y")],
    ),
    "after a field of three lines": (
        [f"{HEADER},sessionNotes", f'{GOOD},"one', "two", 'three"', "ATL012,x,802,short"],
        [(5, "sessionDate", "x")],
    ),
    "at the start of a field of two lines": (
        [f"{HEADER},sessionNotes", GOOD + ",fine", 'ATL012,x,802,"one', 'two"'],
        [(3, "sessionDate", "x")],
    ),
}


@pytest.mark.own_rule
@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_is_told_with_line_and_column_and_nothing_is_written(small, tmp_path, name):
    lines, wanted = PROBLEMS[name]
    before = table_counts(small.url)

    plan = plan_of(small, tmp_path, *lines)

    found = [(problem.line, problem.column, problem.message) for problem in plan.problems]
    for line, column, said in wanted:
        assert any(
            found_line == line and column in {None, found_column} and said in message
            for found_line, found_column, message in found
        ), found
    if name not in {"another kind of file", "other separator"}:
        assert len(found) == len(wanted), found
    with pytest.raises(ImportFileError) as refused:
        plan.apply()
    assert refused.value.problems == plan.problems
    assert f"line {plan.problems[0].line}" in str(refused.value)
    assert table_counts(small.url) == before


def test_duplicate_of_a_scratched_session_is_told(labs, tmp_path):
    tracker = labs.new()
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="no laser")

    plan = plan_of(tracker, tmp_path, HEADER, "ATL012,2023-01-20,701")

    assert [problem.line for problem in plan.problems] == [2]
    assert KEY in plan.problems[0].message


@pytest.mark.parametrize(
    ("lines", "line", "column"),
    [
        (["mouseName,sex", "B1,X"], 2, "sex"),
        (["mouseName,KO", "B1,1", "B1,1"], 3, None),
        (["mouseName", "ATL012"], 2, None),
        (["KO", "1"], 1, "mouseName"),
    ],
    ids=repr,
)
def test_problem_of_a_mouse_is_told(small, tmp_path, lines, line, column):
    before = table_counts(small.url)

    plan = plan_of(small, tmp_path, *lines, what="mice")

    assert [(problem.line, problem.column) for problem in plan.problems] == [(line, column)]
    with pytest.raises(ImportFileError):
        plan.apply()
    assert table_counts(small.url) == before


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (f"{HEADER},sessionNotes\n{GOOD},caf\xe9\n".encode("latin-1"), "UTF-8"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "UTF-8"),
        (f'{HEADER},sessionNotes\n{GOOD},"open\n'.encode(), "CSV"),
        (f'{HEADER},sessionNotes\n{GOOD},"a"b\n'.encode(), "CSV"),
    ],
    ids=["nothing", "blank lines", "mark alone", "latin-1", "utf-16", "open quote", "stray quote"],
)
def test_file_that_is_no_such_file_is_refused(small, tmp_path, content, said):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    before = table_counts(small.url)

    with pytest.raises(ImportFileError, match=said) as refused:
        small.import_csv("sessions", path)

    assert "rows.csv" in str(refused.value)
    assert table_counts(small.url) == before


def test_missing_file_and_folder_are_refused(small, tmp_path):
    with pytest.raises(ImportFileError, match=r"nothing\.csv"):
        small.import_csv("sessions", tmp_path / "nothing.csv")
    with pytest.raises(ImportFileError):
        small.import_csv("sessions", tmp_path)


def test_unknown_kind_is_refused_with_the_known_ones(small, tmp_path):
    with pytest.raises(UnknownNameError) as refused:
        small.import_csv("rats", write(tmp_path, HEADER))

    assert set(refused.value.known) == {"mice", "sessions"}


def test_row_that_somebody_adds_in_between_refuses_the_whole_file(labs, tmp_path):
    tracker = labs.new()
    plan = plan_of(tracker, tmp_path, HEADER, GOOD, "ATL012,2023-01-20,802")
    tracker.sessions.add(("ATL012", DAY, 802))
    before = table_counts(tracker.url)

    with pytest.raises(DuplicateError):
        plan.apply()

    assert table_counts(tracker.url) == before


def test_read_only_tracker_plans_and_refuses_to_add(small, labs, tmp_path):
    reader = labs.open(small.url, readonly=True)
    plan = plan_of(reader, tmp_path, HEADER, GOOD)

    assert plan.problems == ()
    with pytest.raises(ReadOnlyError):
        plan.apply()


def test_every_refusal_is_one_of_ours(small, tmp_path):
    noise = bytes(range(256)) * 20
    for cut in (1, 7, 130, 1_000):
        path = tmp_path / "noise.csv"
        path.write_bytes(noise[cut:])
        with pytest.raises(VrtrackerError):
            small.import_csv("sessions", path).apply()

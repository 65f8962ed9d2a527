"""Tables come in the same however people keep them, or are refused with what would help."""

from __future__ import annotations

import csv
import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.legacy import FLAGS, FLOATS, NUMBERS, TIMES, WHOLE
from support.sample_lab import change_schema, new_lab, table_counts
from support.tables import (
    day_as_text,
    serial,
    spelling,
    write_ods,
    write_parquet,
    write_text,
    write_xlsx,
)
from vrtracker.errors import ImportFileError

# -- one set of rows, ten ways -------------------------------------------------------------------

PROJECT = Path(__file__).resolve().parents[2]
TEXTS = {
    "mice": ("mouseName", "environmentOrder", "sex", "genotype", "strain", "notes"),
    "sessions": (
        *("mouseName", "experimentType", "scratchJustification", "sessionNotes"),
        "vrRegistrationException",
    ),
}
MADE: dict[str, list[dict[str, Any]]] = {
    "mice": [
        {"mouseName": "MÜ-1", "KO": True, "environmentOrder": "1.3.4", "experimentID": 3},
        {"mouseName": "M2", "KO": False, "environmentOrder": None, "experimentID": None},
    ],
    "sessions": [
        {
            "mouseName": "MÜ-1",
            "sessionDate": dt.date(2023, 4, 3),
            "sessionID": 701,
            "imaging": True,
            "headPlateRotation": 12.8000002,
            "numPlanes": 5,
            "sessionQC": True,
            "scratchJustification": None,
            "sessionNotes": 'Blüten, 25 °C; "café" | 3 µm\tor so\nsecond line',
            "suite2pDate": dt.datetime(2023, 4, 13, 13, 49, 20),
        },
        {
            "mouseName": "M2",
            "sessionDate": dt.date(2023, 4, 28),
            "sessionID": 12,
            "imaging": False,
            "headPlateRotation": None,
            "numPlanes": None,
            "sessionQC": False,
            "scratchJustification": "no laser",
            "sessionNotes": None,
            "suite2pDate": None,
        },
        {
            "mouseName": "M2",
            "sessionDate": dt.date(2023, 12, 1),
            "sessionID": 702,
            "imaging": True,
            "headPlateRotation": -0.1,
            "numPlanes": 0,
            "sessionQC": True,
            "scratchJustification": None,
            "sessionNotes": "2023-01-20",
            "suite2pDate": dt.datetime(2023, 12, 5, 0, 0, 1),
        },
    ],
}
WAYS: dict[str, Any] = {
    "comma, UTF-8": ("csv", partial(write_text, spell=spelling(), encoding="utf-8")),
    "UTF-8 with mark": (
        "csv",
        partial(write_text, spell=spelling(yes="True", no="False"), encoding="utf-8-sig"),
    ),
    "semicolon, Latin-1, decimal comma, day first": (
        "csv",
        partial(
            write_text,
            spell=spelling(yes="ja", no="nein", missing="-", comma=True, date="%d/%m/%Y"),
            encoding="latin-1",
            delimiter=";",
        ),
    ),
    "tab, UTF-16": (
        "tsv",
        partial(
            write_text,
            spell=spelling(yes="oui", no="non", missing="NA", date="%Y/%m/%d"),
            encoding="utf-16",
            delimiter="\t",
        ),
    ),
    "pipe": (
        "txt",
        partial(
            write_text,
            spell=spelling(yes="yes", no="no", missing="nan", date="%m/%d/%Y"),
            encoding="utf-8",
            delimiter="|",
            quoting=csv.QUOTE_ALL,
        ),
    ),
    "xlsx, real dates": ("xlsx", write_xlsx),
    "xlsx, dates as text": ("xlsx", partial(write_xlsx, spell=day_as_text)),
    "xlsx, days as numbers": ("xlsx", partial(write_xlsx, spell=serial)),
    "ods": ("ods", write_ods),
    "parquet": ("parquet", write_parquet),
}


def typed(name: str, value: str) -> Any:
    """Return a field of the lab's own files as what it stands for."""
    if not value:
        return None
    if name in TIMES:
        time = dt.datetime.fromisoformat(value)
        return time.date() if name == "sessionDate" else time
    if name in FLAGS:
        return bool(int(value))
    kinds = {**dict.fromkeys(WHOLE, int), **dict.fromkeys(FLOATS, float)}
    return kinds.get(name, str)(value)


def all_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lab's own rows, where they are at hand, and those of this page."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for what, name in (("mice", "mousedb"), ("sessions", "sessiondb")):
        path, found = folder / f"{name}.csv", []
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                found = [{key: typed(key, row[key]) for key in row} for row in csv.DictReader(file)]
        names = dict.fromkeys([*(found[0] if found else ()), *MADE[what][0]])
        number = NUMBERS[name]
        first = max((row[number] for row in found), default=0) + 1
        empty = {key: False if key in FLAGS else None for key in names}
        made = [{**empty, number: first + n, **row} for n, row in enumerate(MADE[what])]
        rows[what] = [{key: row[key] for key in made[0]} for row in [*found, *made]]
    return rows


@pytest.fixture(scope="session")
def rows() -> dict[str, list[dict[str, Any]]]:
    return all_rows(PROJECT.parent / "shared" / "data" / "legacy")


@pytest.fixture
def expected(backend, shared_labs, rows) -> Any:
    """A tracker on those rows, added without any file."""

    def build(keeper: Any) -> Any:
        tracker = new_lab(keeper, mice=0)
        tracker.mice.add_many(rows["mice"])
        tracker.sessions.add_many(rows["sessions"])
        return tracker

    return shared_labs.get(backend, "tables", build)


def frames(tracker: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        tracker.mice.frame(show_blinded=True),
        tracker.sessions.frame(include_scratched=True),
    )


PLAIN = {str, int, float, bool, dt.date, dt.datetime, type(None)}


@pytest.mark.own_rule
@pytest.mark.parametrize("way", WAYS)
def test_rows_are_the_same_whichever_way_they_are_kept(labs, expected, rows, tmp_path, way):
    ending, write = WAYS[way]
    is_text = ending in {"csv", "tsv", "txt"}
    tracker = labs.new(mice=0)

    for what, service in (("mice", tracker.mice), ("sessions", tracker.sessions)):
        more = {"texts": TEXTS[what]} if is_text else {}
        plan = service.read_table(write(tmp_path / f"{what}.{ending}", rows[what], **more))

        assert plan.problems == ()
        # However they were kept, a database is given the same.
        assert {type(value) for row in plan.rows for value in row.values()} <= PLAIN
        assert plan.apply() == len(rows[what])

    for found, wanted in zip(frames(tracker), frames(expected), strict=True):
        assert len(wanted) >= 2
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)


def test_made_rows_are_there_without_the_labs_own(tmp_path):
    rows = all_rows(tmp_path)

    assert [row["uSessionID"] for row in rows["sessions"]] == [1, 2, 3]
    assert set(rows["mice"][1]) == {"uMouseID", *MADE["mice"][0]}


# -- random rows -----------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("aZ09éüß°µ€,;|\t\n\"'=-. "), min_size=1, max_size=30)
RANDOM_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "mouseName": st.just("ATL012"),
            "sessionDate": st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)),
            "sessionID": st.integers(0, 2**31 - 1),
            "imaging": st.booleans(),
            "numPlanes": st.none() | st.integers(-(2**31), 2**31 - 1),
            "headPlateRotation": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "suite2pDate": st.none()
            | st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2060, 1, 1)).map(
                lambda time: time.replace(microsecond=0)
            ),
            "sessionNotes": st.none() | WORDS.filter(lambda text: text.strip() != "-"),
        }
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: (row["sessionDate"], row["sessionID"]),
)
LINES = ["\n", "\r\n"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
DATES = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y"]
HOW = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "lineterminator": st.sampled_from(LINES),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "encoding": st.sampled_from(ENCODINGS),
        "date": st.sampled_from(DATES),
        "comma": st.booleans(),
    }
)


def for_random_rows(kind: str, check: Any) -> None:
    """Call `check` with rows and how they are written; no database has a part in what is read."""
    drawn = given(rows=RANDOM_ROWS, how=HOW)(check)
    settings(max_examples=examples(50, kind), deadline=None)(drawn)()


def written(folder: Path, rows: Any, how: dict[str, Any]) -> Path:
    spell = spelling(date=how["date"], comma=how["comma"])
    rest = {name: how[name] for name in how if name not in {"date", "comma"}}
    return write_text(folder / "rows.txt", rows, spell, texts=["sessionNotes"], **rest)


def as_read(plan: Any, names: Any) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in plan.rows]


def test_random_rows_come_back_equal_when_it_is_said_how_they_are_written(backend, small, tmp_path):
    def check(rows, how):
        plan = small.sessions.read_table(
            written(tmp_path, rows, how),
            delimiter=how["delimiter"],
            encoding=how["encoding"],
            decimal="," if how["comma"] else ".",
            date_format=how["date"],
        )

        assert plan.problems == ()
        assert as_read(plan, rows[0]) == rows

    for_random_rows(backend.marker, check)


def test_random_rows_are_found_out_or_refused_and_never_read_as_others(backend, small, tmp_path):
    def check(rows, how):
        path = written(tmp_path, rows, how)

        try:
            plan = small.sessions.read_table(path)
        except ImportFileError as error:
            told = str(error)
        else:
            told = " ".join(problem.message for problem in plan.problems)
            if not plan.problems:
                assert as_read(plan, rows[0]) == rows

        assert not told or "date_format=" in told or "decimal=" in told or "encoding=" in told

    for_random_rows(backend.marker, check)


# -- refused, and nothing written ------------------------------------------------------------------


def put(folder: Path, *lines: str, name: str = "rows.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


HEADER = "Mouse Name;session date;SESSION_ID"


def test_everything_that_is_not_understood_is_told_at_once_and_nothing_is_written(small, tmp_path):
    before = table_counts(small.url)
    path = put(
        tmp_path,
        f"{HEADER};imagin;num planes;rotation;suite2p",
        "ATL012;03/04/2023;801;1;five;1,234;perhaps",
        "ATL012;05/06/2023;x;1;5;12",
        "NOBODY;2023-01-20;803;1;NA;12;1",
        "ATL012;2023-01-20;701;1;-;;no",
    )

    plan = small.sessions.read_table(path, map={"rotation": "headPlateRotation"})

    told = [(one.line, one.column, one.message) for one in plan.problems]
    wanted = [
        (1, "imagin", 'map={"imagin": "…"}'),
        (2, "sessionDate", 'date_format="%d/%m/%Y"'),
        (2, "numPlanes", "'five'"),
        (2, "headPlateRotation", "1.234 or 1234"),
        (2, "suite2p", "'perhaps'"),
        (3, None, "6 fields, the header 7"),
        (4, "mouseName", "NOBODY"),
        (5, None, "ATL012.2023-01-20.701"),
    ]
    assert [one[:2] for one in told] == [one[:2] for one in wanted]
    for (*_, message), (*_, part) in zip(told, wanted, strict=True):
        assert part in message
    with pytest.raises(ImportFileError, match="8 problems"):
        plan.apply()
    assert table_counts(small.url) == before


def test_row_that_stands_in_the_file_twice_is_told_with_the_first_line(small, tmp_path):
    row = "ATL012;2023-01-20;801"

    plan = small.sessions.read_table(put(tmp_path, HEADER, row, "ATL012;2023-01-21;801", row))

    assert [(one.line, one.column) for one in plan.problems] == [(4, None)]
    assert "line 2 of the file" in plan.problems[0].message


def workbook(folder: Path, *rows: list[Any], merged: str = "") -> Path:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    if merged:
        made.active.merge_cells(merged)
    made.save(folder / "rows.xlsx")
    return folder / "rows.xlsx"


NAMES = ["mouseName", "sessionDate", "sessionID", "sessionNotes", "rig"]


def test_cells_that_are_not_what_they_show_are_told_by_line_and_column(small, tmp_path):
    day = dt.date(2023, 1, 25)
    path = workbook(
        tmp_path,
        NAMES,
        ["ATL012", day, 801, "one for two", "=1"],
        ["ATL012", day, 802, None, "=1"],
        ["ATL012", day, "=C3+1", "x", "=1"],
        merged="D2:D3",
    )

    plan = small.sessions.read_table(path, map={"rig": ""})

    told = [(one.line, one.column, one.message[:23]) for one in plan.problems]
    assert told == [
        (3, "sessionNotes", "part of the merged cell"),
        (4, "sessionID", "a formula without a res"),
    ]


def test_faults_in_a_column_that_is_left_out_do_not_matter(small, tmp_path):
    row = ["ATL012", dt.date(2023, 1, 25), 801, "x", "=1"]
    path = workbook(tmp_path, NAMES, row, [None, None, None, None, "=1"], merged="E2:E4")

    plan = small.sessions.read_table(path, map={"rig": ""})

    assert (plan.problems, len(plan.rows)) == ((), 1)


def test_title_above_the_header_is_one_problem_with_both_lines(small, tmp_path):
    row = ["ATL012", dt.date(2023, 1, 25), 801, "x"]
    plan = small.sessions.read_table(
        workbook(tmp_path, ["Sessions of 2023"], [], NAMES[:4], row, merged="A1:D1"),
        map={"Notes": "sessionNotes"},
    )

    assert [(one.line, one.column, one.message) for one in plan.problems] == [
        (1, None, "line 1 is not a header; line 3 looks like one: delete the lines above it.")
    ]
    assert plan.rows == ()


def test_time_of_day_in_the_day_of_a_session_is_told_and_a_zone_is_refused(small, tmp_path):
    rows = {"mouseName": ["ATL012"], "sessionID": [801]}
    times = pd.to_datetime(["2023-01-25 23:30"])
    path = tmp_path / "rows.parquet"
    pd.DataFrame({**rows, "sessionDate": times}).to_parquet(path)
    plan = small.sessions.read_table(path)
    assert plan.problems == ()
    assert plan.rows[0]["sessionDate"] == dt.date(2023, 1, 25)
    assert "sessionDate: times of day left out, as in '2023-01-25 23:30:00' in line 2" in plan.notes

    pd.DataFrame({**rows, "sessionDate": times.tz_localize("UTC")}).to_parquet(path)
    plan = small.sessions.read_table(path)
    assert [(one.line, one.column) for one in plan.problems] == [(2, "sessionDate")]
    assert "time zone" in plan.problems[0].message


def test_header_alone_is_refused(small, tmp_path):
    with pytest.raises(ImportFileError, match="no rows"):
        small.sessions.read_table(put(tmp_path, HEADER))


def test_key_that_two_headers_name_is_told_once(small, tmp_path):
    path = put(tmp_path, f"{HEADER};Animal", "ATL012;2023-01-20;801;ATL012")

    plan = small.sessions.read_table(path, map={"Animal": "mouseName"})

    assert [(one.line, one.column) for one in plan.problems] == [(1, "mouseName")]
    assert "'Mouse Name', 'Animal'" in plan.problems[0].message


def test_nothing_is_written_before_the_plan_is_applied(labs, tmp_path):
    tracker = labs.new()
    before = table_counts(tracker.url)
    path = put(tmp_path, f"{HEADER};session notes", "ATL012;25/01/2023;7,01E+02;Mäuse", "")
    path.write_bytes(path.read_bytes().decode().encode("cp1252"))

    plan = tracker.sessions.read_table(path)

    assert table_counts(tracker.url) == before
    assert plan.notes == (
        "read as cp1252 (it holds 'Mäuse'), semicolons",
        "decimal commas in sessionID",
        "sessionDate: day first, as in '25/01/2023' in line 2",
    )
    assert plan.apply() == 1
    found = tracker.sessions.get(("ATL012", dt.date(2023, 1, 25), 701))
    assert found.sessionNotes == "Mäuse"


def add_column(op: Any, name: str, kind: Any) -> None:
    op.add_column("sessiondb", sa.Column(name, kind))


def test_columns_of_the_labs_own_are_read_by_their_types(labs, tmp_path):
    made = labs.new()
    made.close()
    for name, kind in (("rig", sa.String(20)), ("water", sa.Double()), ("weighed", sa.DateTime())):
        change_schema(made.url, partial(add_column, name=name, kind=kind))
    tracker = labs.open(made.url)
    path = put(
        tmp_path,
        f"{HEADER};Rig;WATER;weighed",
        "ATL012;2023-01-25;1;NA;1,25;25.01.2023 10:00",
        "ATL012;2023-01-25;2;B;;-",
    )

    plan = tracker.sessions.read_table(path, missing=["NA"])
    plan.apply()

    shown = tracker.sessions.frame(columns=["rig", "water", "weighed"])
    assert shown["rig"].isna().tolist() == [True, False]
    assert shown["water"][0] == 1.25
    assert shown["weighed"][0] == pd.Timestamp(2023, 1, 25, 10)
    assert shown[["water", "weighed"]].isna().to_numpy()[1].all()


def test_edits_from_a_file_stay_with_plain_csv(small, tmp_path):
    edits = small.edit_csv(
        put(tmp_path, "Mouse Name,session_date,session id,numPlanes", "ATL012,2023-01-20,701,9")
    )
    assert edits.problems == ()
    assert list(edits.changes.values()) == [{"numPlanes": [None, 9]}]

    edits = small.edit_csv(
        put(tmp_path, "mouseName,sessionDate,sessionID,numPlanes", "ATL012,20/01/2023,701,9")
    )
    assert [one.column for one in edits.problems] == ["sessionDate"]
    with pytest.raises(ImportFileError, match="UTF-8"):
        small.edit_csv(put(tmp_path, "mouseName,sessionDate,sessionID", encoding="utf-16"))

"""Tables from the shell: what was found out, what stands in the way, and the option that helps."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest

from support.command_line import good, refused, run, told

EUROPEAN = (
    "Mouse Name;Session Date;session_ID;imaging;head plate rotation;notes\n"
    "ATL012;20/01/2023;7,01E+02;ja;12,5;Mäuse\n"
    "ATL012;03/02/2023;702;nein;-;NA\n"
)


@pytest.fixture
def lab(empty: str) -> tuple[str, ...]:
    good("--url", empty, "mice", "add", "ATL012")
    return ("--url", empty)


def file(folder: Path, text: str, *, name: str = "rows.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_table_is_read_as_it_is_and_told_how(lab, tmp_path: Path):
    path = file(tmp_path, EUROPEAN, encoding="cp1252")
    words = (*lab, "import", "table", "sessions", path, "--map", "notes=sessionNotes")

    shown = good(*words, "--dry-run")
    assert "read as cp1252 (it holds 'Mäuse'), semicolons\n" in shown
    assert "decimal commas in sessionID, headPlateRotation\n" in shown
    assert "sessionDate: day first, as in '20/01/2023' in line 2\n" in shown
    assert "warning: line 3, column sessionNotes: 'NA' is kept as text" in shown
    assert '--missing "NA"' in shown
    assert told(*lab, "sessions", "list") == []

    document = told(*words, "--missing", "NA")
    assert (document["imported"], document["problems"], document["warnings"]) == (2, [], [])
    assert document["notes"][0].startswith("read as cp1252")
    found = told(*lab, "sessions", "list", "--all-columns")
    assert [row["sessionNotes"] for row in found] == ["Mäuse", None]
    assert [row["headPlateRotation"] for row in found] == [12.5, None]
    assert [row["sessionID"] for row in found] == [701, 702]


def test_problems_name_the_option_to_type_and_the_option_helps(lab, tmp_path: Path):
    path = file(
        tmp_path,
        'mouseName,sessionDate,sessionID,rotation,rig\nATL012,03/04/2023,1,"12,5",A\n',
    )
    words = (*lab, "import", "table", "sessions", path)

    result = run(*words, "--json")
    messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
    assert result.exit_code == 2
    assert '--map "rotation=…"' in messages[0]
    assert '--map "rig=…"' in messages[1]
    assert '--date-format "%d/%m/%Y" or --date-format "%m/%d/%Y"' in messages[2]

    more = ("--map", "rotation=headPlateRotation", "--map", "rig=", "--date-format", "%d/%m/%Y")
    assert '--decimal ","' in run(*words, *more).stdout
    good(*words, *more, "--decimal", ",")
    found = told(*lab, "sessions", "list", "--all-columns")
    assert (found[0]["sessionDate"], found[0]["headPlateRotation"]) == ("2023-04-03", 12.5)


def test_numbers_of_rows_that_pandas_writes_are_left_out(lab, tmp_path: Path):
    words = (*lab, "import", "table", "mice", file(tmp_path, ",mouseName\n0,ATL013\n"))

    assert 'Leave it out: --map "="' in run(*words).stdout
    assert "1 row imported" in good(*words, "--map", "=")


def test_sheet_of_a_workbook_is_chosen(lab, tmp_path: Path):
    book = openpyxl.Workbook()
    book.active.append(["notes on the colony"])
    book.create_sheet("Mice").append(["Animal", "KO"])
    book["Mice"].append(["ATL013", "x"])
    book["Mice"].append(["ATL014", None])
    book.save(tmp_path / "colony.xlsx")
    words = (*lab, "import", "table", "mice", tmp_path / "colony.xlsx")

    assert '--sheet "Sheet"' in refused(*words, code=2)
    assert "2 rows imported" in good(*words, "--sheet", "Mice", "--map", "Animal=mouseName")
    assert [mouse["KO"] for mouse in told(*lab, "mice", "list")] == [False, True, False]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--map", "Animal"), "HEADER=COLUMN"),
        (("--map", "Animal=mouseName"), "'Animal'"),
        (("--map", "mouseName=mouseNam"), "'mouseName'"),
        (("--sheet", "Mice"), "no sheet"),
        (("--delimiter", "::"), "delimiter"),
        (("--encoding", "klingon"), "encoding"),
        (("--decimal", ";"), "decimal"),
        (("--date-format", "%d"), "%d/%m/%Y"),
    ],
)
def test_wrong_option_is_refused(lab, tmp_path: Path, more: tuple[str, ...], said: str):
    path = file(tmp_path, "mouseName\nATL013\n")

    assert said in refused(*lab, "import", "table", "mice", path, *more, code=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "cannot be read"),
        (".", None, "directory"),
        ("noise.csv", bytes(range(256)), "no text"),
        ("rows.xlsx", b"mouseName\nATL013\n", "text file by its content"),
        ("empty.csv", b"", "empty"),
        ("header.csv", b"mouseName\n", "no rows"),
        ("both.csv", b"mouseName;KO,sex\nA;1,F\n", '--delimiter "comma"'),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(lab, tmp_path: Path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    shown = refused(*lab, "import", "table", "mice", tmp_path / name, "--json", code=2)

    assert said in shown
    assert len(told(*lab, "mice", "list")) == 1


def test_older_name_reads_plain_csv_alone(lab, tmp_path: Path):
    words = (*lab, "import", "csv", "mice")

    assert "1 row imported" in good(*words, file(tmp_path, "Mouse Name,KO\nATL013,1\n"))
    assert "UTF-8" in refused(*words, file(tmp_path, "mouseName\n", encoding="utf-16"), code=2)
    assert "column mouseName" in run(*words, file(tmp_path, "mouseName;KO\nA;1\n")).stdout

"""Files of rows: what they are, how they are written, and what their cells mean."""

from __future__ import annotations

import datetime as dt
import io
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pandas as pd
import pytest
from msoffcrypto.format.ooxml import OOXMLFile
from odf import opendocument
from odf import table as odf_table
from odf.text import P

from support.tables import spelling, write_ods, write_parquet, write_text, write_xlsx
from vrtracker.errors import (
    ImportFileError,
    InvalidValueError,
    MissingDependencyError,
    UnknownNameError,
)
from vrtracker.files.tables import workbooks
from vrtracker.files.tables.cell_faults import Faults, find_faults
from vrtracker.files.tables.columns import Disguised, Kind, Target, Unread
from vrtracker.files.tables.content import read_table
from vrtracker.files.tables.headers import find_header_below, match_headers
from vrtracker.files.tables.meaning import understand
from vrtracker.files.tables.table import PLAIN_CSV, Table, TableOptions

DAY = dt.date(2023, 1, 25)
NOON = dt.datetime(2023, 1, 25, 12, 0, 1)


@pytest.fixture
def text(put: Any, tmp_path: Path) -> Any:
    """Return a table from text, as it would be in a file."""

    def table(content: str | bytes, name: str = "rows.csv", **options: Any) -> Table:
        return read_table(put(tmp_path / name, content), TableOptions(**options))

    return table


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ImportFileError) as refused:
        read_table(path, TableOptions(**options))
    assert path.name in str(refused.value)
    return str(refused.value)


# -- text: delimiter and encoding ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line"), [('a,b\n1,2\n3,"x\n4,y\n', 3), ('a,b\n1,"two\nlines"\n2,"b" c\n', 4)]
)
def test_broken_quotes_are_told_with_the_line_of_their_row(
    put: Any, tmp_path: Path, content: str, line: int
):
    said = refusal(put(tmp_path / "rows.csv", content))

    assert f"begins in line {line}. Close each quote" in said


def test_zero_byte_is_told_with_its_line(put: Any, tmp_path: Path):
    said = refusal(put(tmp_path / "rows.csv", b"name,notes\nM1,x\nM2,some\0thing\n"))

    assert "holds a zero byte in line 3" in said


@pytest.mark.parametrize(
    ("sign", "told"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "pipes")]
)
def test_delimiter_is_found_out_and_told(text, sign, told):
    found = text(f"a{sign}b{sign}c\n1{sign}x, y; z{sign}3\n" if sign != "," else "a,b,c\n1,x,3\n")

    assert (found.header, found.told) == (["a", "b", "c"], f"UTF-8, {told}")
    assert found.delimiter == sign


def test_commas_in_values_do_not_make_a_delimiter(text):
    found = text("a;b\n1,5;2,5\n3,5;4,5\n")

    assert found.rows == [(2, ["1,5", "2,5"]), (3, ["3,5", "4,5"])]


def test_delimiter_that_fits_the_rows_wins_over_one_in_a_name(text):
    assert text('"weight, g";b;c\n1;2;3\n').header == ["weight, g", "b", "c"]
    assert text("weight, g;b\n1;2\n3;4\n").header == ["weight, g", "b"]


def test_file_that_can_be_split_in_two_ways_is_refused_with_both(put, tmp_path):
    path = put(tmp_path / "rows.csv", "a,b;c\n1,2;3\n")

    assert 'delimiter="comma" or delimiter="semicolon"' in refusal(path)
    assert read_table(path, TableOptions(delimiter="semicolon")).header == ["a,b", "c"]


def test_one_column_needs_no_delimiter(text):
    assert text("mouseName\nATL012\n").rows == [(2, ["ATL012"])]


def test_first_line_of_excel_says_the_delimiter(text):
    found = text("sep=;\r\na,b;c\r\n1;2\r\n")

    assert (found.header, found.header_line, found.rows) == (["a,b", "c"], 2, [(3, ["1", "2"])])


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "UTF-8 (it holds 'Mäuse')"),
        ("utf-8-sig", "UTF-8 with mark"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE (it holds 'Mäuse')"),
        ("utf-16-be", "UTF-16-BE (it holds 'Mäuse')"),
        ("utf-32", "UTF-32"),
        ("cp1252", "cp1252 (it holds 'Mäuse')"),
    ],
)
def test_encoding_is_found_out_and_told_with_a_word_to_judge_it_by(text, encoding, told):
    found = text("a,b\nMäuse,25 °C € 3 µm\n".encode(encoding))

    assert found.rows == [(2, ["Mäuse", "25 °C € 3 µm"])]
    assert found.told == f"{told}, commas"


def test_other_encodings_are_refused_until_they_are_said(put, tmp_path):
    chinese = "a,b\n小鼠跑得很好激光漂移,1\n"
    path = put(tmp_path / "rows.csv", chinese.encode("gb18030"))

    assert 'encoding="…"' in refusal(path)
    assert read_table(path, TableOptions(encoding="gb18030")).rows[0][1][1] == "1"
    assert "UTF-8" in refusal(path, encoding="utf-8")


def test_lines_are_counted_as_an_editor_counts_them(text):
    found = text('\n\na,b\n"one\ntwo",2\n\n3,4\n')

    assert (found.header_line, [line for line, _ in found.rows]) == (3, [4, 7])


def test_columns_without_name_and_value_are_dropped(text):
    assert text("a,b,,\n1,2,,\n3,4,,\n").header == ["a", "b"]
    assert text("a,b,\n1,2,x\n").header == ["a", "b", ""]


# -- what is no table ----------------------------------------------------------------------------


def test_file_is_known_by_its_content_and_not_by_its_name(put, tmp_path):
    book = write_xlsx(tmp_path / "book.xlsx", [{"a": 1}]).read_bytes()
    sheet = write_ods(tmp_path / "sheet.ods", [{"a": 1}]).read_bytes()
    frame = write_parquet(tmp_path / "frame.parquet", [{"a": 1}]).read_bytes()

    assert "Excel workbook (.xlsx) by its content" in refusal(put(tmp_path / "a.csv", book))
    assert "OpenDocument" in refusal(put(tmp_path / "b.xlsx", sheet))
    assert "Parquet" in refusal(put(tmp_path / "c.txt", frame))
    assert "text file by its content" in refusal(put(tmp_path / "d.xlsx", "a,b\n1,2\n"))
    assert "text file by its content" in refusal(put(tmp_path / "e.parquet", "a,b\n1,2\n"))
    assert read_table(put(tmp_path / "export.dat", book), TableOptions()).rows == [(2, [1])]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"", "empty"),
        ("rows.csv", b"\n\n", "empty"),
        ("rows.xlsx", b"", "empty"),
        ("rows.csv", b"%PDF-1.7 x", "PDF"),
        ("rows.csv", b"PK\x03\x04 no more", "damaged"),
        ("rows.xlsx", b"PK\x03\x04 no more", "damaged"),
        ("rows.csv", bytes(range(256)) * 20, "no text"),
        ("rows.parquet", b"PAR1PAR1", "Parquet"),
        ("rows.xls", b"\xd0\xcf\x11\xe0" * 200, "cannot be read"),
        ("rows.csv", b'a,b\n1,"open\n', "CSV"),
    ],
)
def test_file_that_is_no_table_is_refused_in_one_sentence(put, tmp_path, name, content, said):
    assert said in refusal(put(tmp_path / name, content))


def test_missing_file_and_folder_are_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.xlsx")
    assert "directory" in refusal(tmp_path)


def test_workbook_with_a_password_is_refused(tmp_path):
    plain = io.BytesIO(write_xlsx(tmp_path / "plain.xlsx", [{"a": 1}]).read_bytes())
    for name in ("locked.xlsx", "locked.csv", "locked.xls"):
        with (tmp_path / name).open("wb") as file:
            OOXMLFile(plain).encrypt("secret", file)

        assert "password" in refusal(tmp_path / name)


def test_empty_workbook_and_frame_without_columns_are_empty(tmp_path):
    openpyxl.Workbook().save(tmp_path / "book.xlsx")
    pd.DataFrame().to_parquet(tmp_path / "frame.parquet")

    assert "empty" in refusal(tmp_path / "book.xlsx")
    assert "empty" in refusal(tmp_path / "frame.parquet")


# -- workbooks and Parquet -----------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Path:
    made = openpyxl.Workbook()
    made.active.title = "Mice"
    for row in ([], [None, "a", "b"], [None, 1, None], [], [None, NOON, True]):
        made.active.append(row)
    made.create_sheet("empty")
    hidden = made.create_sheet("lists")
    hidden.append(["hidden"])
    hidden.sheet_state = "hidden"
    made.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


def test_rows_of_a_sheet_are_counted_as_the_program_shows_them(book):
    found = read_table(book, TableOptions())

    assert (found.told, found.header, found.header_line) == ("sheet 'Mice'", ["a", "b"], 2)
    assert found.rows == [(3, [1, None]), (5, [NOON, True])]


def test_sheet_is_chosen_by_name_and_asked_for_where_there_are_several(book):
    made = openpyxl.load_workbook(book)
    made["empty"].append(["c"])
    made.save(book)

    assert 'sheet="Mice"' in refusal(book)
    assert read_table(book, TableOptions(sheet="empty")).header == ["c"]
    assert read_table(book, TableOptions(sheet="lists")).header == ["hidden"]
    with pytest.raises(UnknownNameError, match="Mice"):
        read_table(book, TableOptions(sheet="mice"))


def test_times_of_a_workbook_are_whole_seconds(tmp_path):
    times = [dt.datetime(2023, 1, 25) + dt.timedelta(seconds=n) for n in range(0, 86_400, 977)]
    path = write_xlsx(tmp_path / "book.xlsx", [{"a": time} for time in times])

    found = read_table(path, TableOptions()).rows

    assert [cells[0] for _, cells in found if isinstance(cells[0], dt.datetime)] == times[1:]


def test_workbook_that_counts_from_1904_gives_the_same_days(tmp_path):
    made = openpyxl.Workbook()
    made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    made.active.append(["sessionDate"])
    made.active.append([DAY])
    made.active.append([(DAY - dt.date(1904, 1, 1)).days])
    made.save(tmp_path / "mac.xlsx")

    assert meant(read_table(tmp_path / "mac.xlsx", TableOptions()))[0]["sessionDate"] == [DAY, DAY]


def test_labels_of_a_frames_rows_are_no_column(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 3]})
    frame[frame["a"] != 2].to_parquet(tmp_path / "frame.parquet")

    found = read_table(tmp_path / "frame.parquet", TableOptions())

    assert (found.header, found.rows) == (["a"], [(2, [1]), (3, [3])])


@pytest.mark.parametrize(
    ("option", "value"), [("sheet", "Mice"), ("delimiter", ";"), ("encoding", "utf-8")]
)
def test_option_that_a_file_does_not_have_is_refused(book, put, tmp_path, option, value):
    other = put(tmp_path / "rows.csv", "a\n1\n") if option == "sheet" else book

    assert f"no {option}" in refusal(other, **{option: value})


# -- cells that are not what they show ------------------------------------------------------------


@pytest.fixture
def sheet(tmp_path: Path) -> Any:
    """Return a table from rows of an Excel workbook, after a change of its sheet or XML."""

    def table(rows: list[list[Any]], change: Any = None, **replaced: str) -> Table:
        made = openpyxl.Workbook()
        for row in rows:
            made.active.append(row)
        if change is not None:
            change(made.active)
        made.save(tmp_path / "plain.xlsx")
        return read_table(edited(tmp_path / "plain.xlsx", replaced), TableOptions())

    return table


def edited(path: Path, replaced: dict[str, str]) -> Path:
    """Return a copy of a workbook with other XML in its sheet, and as if it was calculated."""
    copy = path.with_name("book.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            for cell, xml in replaced.items():
                content = re.sub(rf'<c r="{cell}".*?</c>', xml, content)
            if replaced:
                content = content.replace(' fullCalcOnLoad="1"', "")
            new.writestr(name, content)
    return copy


def ods(path: Path, rows: list[list[dict[str, Any]]]) -> Table:
    """Return a table from an OpenDocument sheet; cells by attribute, their text, or covered."""
    book = opendocument.OpenDocumentSpreadsheet()
    for name in ("empty", "Tabelle1"):
        sheet = odf_table.Table(name=name)
        book.spreadsheet.addElement(sheet)
    for cells in rows:
        line = odf_table.TableRow()
        for cell in cells:
            rest = {key: cell[key] for key in cell if key not in {"shown", "covered"}}
            kind = odf_table.CoveredTableCell if "covered" in cell else odf_table.TableCell
            made = kind(**rest)
            if "shown" in cell:
                made.addElement(P(text=cell["shown"]))
            line.addElement(made)
        sheet.addElement(line)
    book.save(str(path))
    return read_table(path, TableOptions())


def word(text: str) -> dict[str, Any]:
    return {"valuetype": "string", "shown": text}


def faults(table: Table) -> dict[tuple[int, int], str]:
    """Return the messages of a table's cells that are not read, by line and column from 0."""
    return {
        (line, number): cell.message
        for line, cells in table.rows
        for number, cell in enumerate(cells)
        if isinstance(cell, Unread)
    }


NO_RESULT = "a formula without a result; open the file in a spreadsheet program and save it."


def test_cells_under_a_merged_one_are_refused_with_its_name(sheet):
    found = sheet(
        [["a", "b", "c"], [1, "x", "y"], [2], [3, "z", None]],
        lambda made: [made.merge_cells(name) for name in ("B2:B3", "B4:C4")],
    )

    assert faults(found) == {
        (3, 1): "part of the merged cell B2:B3; unmerge and fill every cell.",
        (4, 2): "part of the merged cell B4:C4; unmerge and fill every cell.",
    }
    assert found.rows[0] == (2, [1, "x", "y"])


def test_cells_under_a_merged_one_are_refused_in_opendocument(tmp_path):
    covered = {"covered": True}
    found = ods(
        tmp_path / "a.ods",
        [
            [word("a"), word("b"), word("c"), word("d")],
            [word("1"), word("x") | {"numberrowsspanned": 2, "numbercolumnsspanned": 2}, covered],
            [word("2"), covered, covered, word("y")],
        ],
    )

    assert list(faults(found)) == [(2, 2), (3, 1), (3, 2)]
    assert found.rows[1][1][3] == "y"
    assert "merged cell B2:C3" in faults(found)[3, 2]


def test_merged_cells_of_old_workbooks_are_those_that_calamine_tells():
    rows = [(1, ["a", "b"]), (2, [1, "x"]), (3, [2, None])]

    Faults(merged=[((1, 1), (2, 1))]).put_into(rows)

    assert rows[1] == (2, [1, "x"])
    assert "merged cell B2:B3" in unread(rows[2][1][1])


def test_old_workbooks_are_asked_for_their_merged_cells_alone():
    book = SimpleNamespace(get_sheet_by_name={"a": SimpleNamespace(merged_cell_ranges=None)}.get)

    assert find_faults(b"\xd0\xcf\x11\xe0", "a") is None
    assert workbooks._faults(Path("a.xls"), b"\xd0\xcf\x11\xe0", book, "a") == Faults()


def test_row_of_nothing_but_merged_cells_is_none_that_is_empty(sheet):
    found = sheet(
        [["a", "b"], [1, "x"], [], [2, "y"], ["z"]],
        # With an element for each of the cells as openpyxl, and without as others write it.
        lambda made: (made.merge_cells("A2:A3"), made.merged_cells.add("A5:A99999")),
    )

    assert list(faults(found)) == [(3, 0), (6, 0)]


def test_merged_title_and_header_are_no_faults_and_columns_of_nothing_else_are_dropped(sheet):
    def merge(made: Any) -> None:
        for row in (1, 2):
            made.merge_cells(start_row=row, end_row=row, start_column=2, end_column=3)

    found = sheet([["a", "b", None, "d"], [1, "x", None, "y"]], merge)

    assert (found.header, found.rows) == (["a", "b", "d"], [(2, [1, "x", "y"])])


@pytest.mark.parametrize("result", ["", "<v></v>", "<v />"])
def test_formula_without_a_result_is_refused(sheet, result):
    found = sheet([["a", "b"], [1, "=A2"]], B2=f'<c r="B2"><f>A2</f>{result}</c>')

    assert faults(found) == {(2, 1): NO_RESULT}


def test_formulas_that_openpyxl_writes_are_refused_even_below_the_last_value(sheet):
    assert list(faults(sheet([["a", "b"], [1, "=A2"], ["=A2"]]))) == [(2, 1), (3, 0)]


def test_zero_of_a_formula_is_no_result_where_the_file_was_not_calculated(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(["a"])
    made.active.append(["=1+1"])
    made.save(tmp_path / "plain.xlsx")
    zero = {"A2": '<c r="A2"><f>1+1</f><v>0</v></c>'}
    path = edited(tmp_path / "plain.xlsx", zero)
    assert read_table(path, TableOptions()).rows == [(2, [0])]

    with zipfile.ZipFile(path, "a") as book:
        head = book.read("xl/workbook.xml").decode()
        with pytest.warns(UserWarning, match="Duplicate"):
            book.writestr("xl/workbook.xml", head.replace("<calcPr", '<calcPr fullCalcOnLoad="1"'))

    assert faults(read_table(path, TableOptions())) == {(2, 0): NO_RESULT}


def test_formulas_with_results_are_read(sheet):
    found = sheet(
        [["a", "b"], [1, 2], [3, 4]],
        A2='<c r="A2"><f>1+1</f><v>2</v></c>',
        B2='<c r="B2" t="str"><f>""</f><v></v></c>',
        A3='<c r="A3" t="str"><f>"x"</f><v>x</v></c>',
        B3='<c r="B3" t="b"><f>1=1</f><v>1</v></c>',
    )

    assert found.rows == [(2, [2, None]), (3, ["x", True])]


def test_error_of_a_formula_is_refused_by_its_name(sheet):
    found = sheet([["a", "b"], [1, 2]], B2='<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>')

    assert faults(found)[2, 1].startswith("the formula's result is #DIV/0!;")


def test_formulas_without_result_and_with_an_error_are_refused_in_opendocument(tmp_path):
    found = ods(
        tmp_path / "a.ods",
        [
            [word("a"), word("b"), word("c"), word("d")],
            [
                {"formula": "of:=1+1"},
                {"formula": "of:=1/0", "valuetype": "float", "value": "0", "shown": "#DIV/0!"},
                {"formula": "of:=1+1", "valuetype": "float", "value": "2", "shown": "2"},
                {"formula": 'of:=""', "valuetype": "string", "stringvalue": ""},
            ],
        ],
    )

    assert list(faults(found).values()) == [
        NO_RESULT,
        "the formula's result is #DIV/0!; mend the formula, or empty the cell.",
    ]
    assert found.rows[0][1][2:] == [2, None]


def test_errors_are_known_by_the_mark_of_libreoffice():
    names = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<x xmlns:t="{names}:table:1.0" xmlns:p="{names}:text:1.0" '
        'xmlns:c="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
        '<t:table t:name="a"><t:table-row><t:table-cell c:value-type="error"><p:p>Err:502</p:p>'
        "</t:table-cell></t:table-row></t:table></x>"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as book:
        book.writestr("content.xml", content)

    found = find_faults(packed.getvalue(), "a")

    assert "Err:502" in unread(found.unread[0, 0])


@pytest.mark.parametrize("shown", ['"ATL"000', "000", "0.00", "0%", "#,##0.0", "[$-409]000"])
def test_number_that_shows_another_text_is_refused_in_texts_alone(sheet, shown):
    found = sheet(
        [["mouseName", "numPlanes"], [12, 12]], lambda made: formatted(made, shown, "A2", "B2")
    )

    assert found.rows == [(2, [Disguised(12), Disguised(12)])]
    cells, _, _ = meant(found)
    assert unread(cells["mouseName"][0]) == (
        "the cell shows another text than the number 12 that it holds; format the column as text "
        "and type it again."
    )
    assert cells["numPlanes"] == [12]


def formatted(made: Any, shown: str, *names: str) -> None:
    for name in names:
        made[name].number_format = shown


@pytest.mark.parametrize("shown", ["General", "@", "0", "#,##0", "[$-407]General", "#"])
def test_number_that_is_shown_as_it_is_stays_one(sheet, shown):
    found = sheet([["mouseName"], [12]], lambda made: formatted(made, shown, "A2"))

    assert meant(found)[0] == {"mouseName": ["12"]}


@pytest.mark.parametrize(("number", "shown"), [(12.5, "0"), (1234, "#,##0")])
def test_number_that_its_format_shortens_or_parts_is_refused_in_texts(sheet, number, shown):
    found = sheet([["mouseName"], [number]], lambda made: formatted(made, shown, "A2"))

    assert f"the number {number} " in unread(meant(found)[0]["mouseName"][0])


def test_days_are_not_taken_for_numbers_that_show_another_text(sheet):
    assert sheet([["a"], [NOON]]).rows == [(2, [NOON])]


def test_number_that_shows_another_text_is_refused_in_opendocument(tmp_path):
    number = {"valuetype": "float", "value": "12"}
    texts = ["012", "ATL012", "12", "12.00"]
    found = ods(
        tmp_path / "a.ods",
        [
            [word("mouseName")],
            *([{**number, "shown": shown}] for shown in texts),
            [{"valuetype": "float", "value": "2.5", "shown": "2,5"}],
            [number],
        ],
    )

    cells = meant(found)[0]["mouseName"]
    assert [isinstance(cell, Unread) for cell in cells] == [True, True, False, True, False, False]
    assert [cells[n] for n in (2, 4, 5)] == ["12", "2.5", "12"]


def test_faults_are_those_of_the_sheet_that_is_read(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(["a"])
    made.active.append(["=1+1"])
    made.create_sheet("second").append(["a"])
    made["second"].append([1])
    made.save(tmp_path / "book.xlsx")

    assert read_table(tmp_path / "book.xlsx", TableOptions(sheet="second")).rows == [(2, [1])]
    assert faults(read_table(tmp_path / "book.xlsx", TableOptions(sheet="Sheet")))


def test_workbook_whose_parts_do_not_fit_is_refused_with_what_would_help(monkeypatch, book):
    def damaged(*_: Any) -> Any:
        raise KeyError("xl/worksheets/sheet1.xml")

    monkeypatch.setattr("vrtracker.files.tables.workbooks.find_faults", damaged)

    assert "save it again" in refusal(book)


# -- what is not installed -----------------------------------------------------------------------


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python_calamine", "charset_normalizer"):
        monkeypatch.setitem(sys.modules, name, None)


def test_without_the_extra_marked_and_utf8_text_and_parquet_are_read(without_extra, text, tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert text("a\né\n".encode(encoding)).rows == [(2, ["é"])]
    assert text("a\né\n".encode("latin-1"), encoding="latin-1").rows == [(2, ["é"])]
    frame = write_parquet(tmp_path / "frame.parquet", [{"a": 1}])
    assert read_table(frame, TableOptions()).rows == [(2, [1])]


def test_without_the_extra_the_rest_says_what_to_install(without_extra, text, tmp_path):
    wanted = r'pip install "vrtracker\[tables\]"'
    with pytest.raises(MissingDependencyError, match=wanted):
        text("a\né\n".encode("latin-1"))
    for write, name in ((write_xlsx, "book.xlsx"), (write_ods, "sheet.ods")):
        with pytest.raises(MissingDependencyError, match=wanted):
            read_table(write(tmp_path / name, [{"a": 1}]), TableOptions())


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("delimiter", sign) for sign in ("", ";;", '"', "\n")),
        *(("encoding", name) for name in ("klingon", "", "rot13", "hex")),
        *(("decimal", sign) for sign in (";", "")),
        *(("date_format", form) for form in ("", "%d", "%d/%m", "%Y", "day", "%H:%M", "%Q%Y")),
    ],
)
def test_wrong_option_is_refused(option, value):
    with pytest.raises(InvalidValueError):
        TableOptions(**{option: value})


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m-%d-%y", "%Y%m%d", "%d %b %Y", "iso"])
def test_formats_of_dates_are_taken(form):
    assert TableOptions(date_format=form).date_format == form


# -- headers -------------------------------------------------------------------------------------

KNOWN = ["mouseName", "sessionDate", "sessionID", "KO"]


@pytest.mark.parametrize(
    "name", ["mouseName", "Mouse Name", "mouse_name", "MOUSENAME", "mouse  NAME", "Mouse\u00a0name"]
)
def test_headers_are_matched_without_case_blanks_and_underscores(name):
    assert match_headers([name], KNOWN, {}) == (["mouseName"], [])


def test_header_that_names_nothing_is_told_with_the_nearest_and_the_option():
    columns, problems = match_headers(["mouseNam", "KO"], KNOWN, {})

    assert columns == [None, "KO"]
    assert problems[0][0] == "mouseNam"
    assert "'mouseName'" in problems[0][1]
    assert 'map={"mouseNam": "…"}' in problems[0][1]
    assert "map=" not in match_headers(["mouseNam"], KNOWN, None)[1][0][1]


def test_column_without_a_name_can_be_left_out():
    columns, problems = match_headers(["", "KO"], KNOWN, {})

    assert columns == [None, "KO"]
    assert 'map={"": ""}' in problems[0][1]
    assert match_headers(["", "KO"], KNOWN, {"": ""}) == ([None, "KO"], [])


def test_two_headers_of_one_column_are_told_with_both():
    columns, problems = match_headers(["Mouse Name", "KO", "mouse_name"], KNOWN, {})

    assert columns == [None, "KO", None]
    assert problems[0][0] == "mouseName"
    assert "'Mouse Name', 'mouse_name'" in problems[0][1]


def test_columns_that_differ_in_underscores_alone_go_by_their_exact_names():
    known = ["weight", "Weight", "we_ight"]

    assert match_headers(known, known, {}) == (known, [])
    columns, problems = match_headers(["WEIGHT"], known, {})
    assert columns == [None]
    assert "weight or Weight or we_ight" in problems[0][1]


def test_mapped_header_comes_before_what_it_says_and_may_be_left_out():
    found = match_headers(
        ["Animal", "KO", "Comment"], KNOWN, {"animal": "mouseName", "Comment": "", "KO": ""}
    )

    assert found == (["mouseName", None, None], [])


@pytest.mark.parametrize("wrong", [{"Animl": "mouseName"}, {"Animal": "mouseNam"}])
def test_map_that_names_nothing_is_refused(wrong):
    with pytest.raises(UnknownNameError) as refused:
        match_headers(["Animal"], KNOWN, wrong)

    assert refused.value.nearest in {("Animal",), ("mouseName",)}


KEYS = ["mouseName", "sessionDate"]


@pytest.mark.parametrize(
    "content",
    [
        "Sessions of 2023,,\n\nMouse Name,session_date,KO\nM1,2023-01-20,1\n",
        "Sessions of 2023\n\nMouse Name;session_date;KO\nM1;2023-01-20;1\n",
        "rig 2, 2023\n\nMouse Name\tsession_date\tKO\nM1\t2023-01-20\t1\n",
        "KO,,\n\nAnimal,session_date,KO\nM1,2023-01-20,1\n",
    ],
)
def test_header_below_a_title_is_found(text, content):
    assert find_header_below(text(content), KEYS, {"Animal": "mouseName"}) == 3


@pytest.mark.parametrize(
    "content",
    [
        "mouseName,KO\nmouseName,sessionDate\n",
        "Title,\nmouseName,KO\n",
        "Title,\n" + "x,y\n" * 10 + "mouseName,sessionDate\n",
    ],
)
def test_header_is_not_looked_for_below_one_far_away_or_in_part_of_the_key(text, content):
    assert find_header_below(text(content), KEYS, None) is None


# -- meaning -------------------------------------------------------------------------------------

TARGETS = {
    "mouseName": Target("mouseName", Kind.TEXT, can_be_missing=False),
    "sessionDate": Target("sessionDate", Kind.DATE, can_be_missing=False),
    "imaging": Target("imaging", Kind.FLAG, can_be_missing=False),
    "numPlanes": Target("numPlanes", Kind.INTEGER),
    "rotation": Target("rotation", Kind.NUMBER),
    "power": Target("power", Kind.NUMBER),
    "suite2pDate": Target("suite2pDate", Kind.TIME),
    "notes": Target("notes", Kind.TEXT),
}


def meant(table: Table, **options: Any) -> tuple[dict[str, list[Any]], list[str], list[str]]:
    """Return the cells by column, dates without their midnight, what was told, what is in doubt."""
    targets = [TARGETS[name] for name in table.header]
    meaning = understand(table, table.rows, targets, TableOptions(**options))
    cells = {
        name: [cell.date() if is_midnight(name, cell) else cell for cell in column]
        for name, column in meaning.columns.items()
    }
    return cells, list(meaning.notes), [f"{d.line} {d.column}: {d.message}" for d in meaning.doubts]


def is_midnight(name: str, cell: Any) -> bool:
    return name == "sessionDate" and isinstance(cell, dt.datetime)


def column(name: str, cells: list[Any], delimiter: str | None = ",", **options: Any) -> Any:
    table = Table([name], 1, [(line, [cell]) for line, cell in enumerate(cells, 2)], "", delimiter)
    found, notes, doubts = meant(table, **options)
    return found[name], notes, doubts


def unread(cell: Any) -> str:
    assert isinstance(cell, Unread), cell
    return cell.message


def test_words_for_nothing_are_missing_values_where_a_column_can_be_missing():
    words = ["", " ", "NA", "n/a", "nan", "NaN", "-", "NULL", "None", "<NA>", float("nan"), None]

    for name in ("numPlanes", "rotation", "suite2pDate"):
        assert column(name, words)[0] == [None] * len(words)
    assert column("imaging", ["NA", "", "-"])[0] == ["NA", None, "-"]


def test_words_for_nothing_are_kept_in_texts_and_told_once():
    cells, _, doubts = column("notes", ["NA", "", "fine", " nan ", "-"])

    assert cells == ["NA", None, "fine", " nan ", "-"]
    assert len(doubts) == 1
    assert doubts[0].startswith("2 notes: 'NA' is kept as text here and in 2 more")
    assert 'missing=["NA"]' in doubts[0]


def test_words_that_are_said_to_be_missing_are_so_in_texts_too():
    assert column("notes", ["NA", "na ", "-", "?"], missing=["NA", "?"])[0] == [
        *(None, None, "-", None)
    ]
    assert column("mouseName", ["NA"], missing=["NA"])[0] == ["NA"]
    assert column("numPlanes", ["?", "5"], missing=["?"])[0] == [None, 5]


@pytest.mark.parametrize(
    ("yes", "no"),
    [("yes", "no"), ("TRUE", "False"), ("ja", "Nein"), ("oui", "non"), ("1", "0"), ("x", "no")],
)
def test_tick_boxes_are_read_in_the_words_of_spreadsheets(yes, no):
    assert column("imaging", [yes, no, f" {yes} "])[0] == [True, False, True]


def test_numbers_of_pandas_are_tick_boxes():
    assert column("imaging", ["1.0", "0.0"])[0] == [True, False]
    assert column("imaging", [True, 0.0, 1])[0] == [True, 0.0, 1]


def test_blank_beside_crosses_is_a_no():
    cells, notes, _ = column("imaging", ["x", "", "X", None])

    assert cells == [True, False, True, False]
    assert notes == ["imaging: x is yes, blank is no"]


def test_blank_beside_crosses_and_a_no_is_missing():
    assert column("imaging", ["x", "", "no"])[0] == [True, None, False]


def test_word_that_no_tick_box_knows_is_left_for_the_column_to_refuse():
    assert column("imaging", ["perhaps"])[0] == ["perhaps"]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("7.01E+02", 701),
        ("701.0", 701),
        ("701", 701),
        (701.0, 701),
        ("9007199254740993", 9007199254740993),
        ("9007199254740993.0", 9007199254740993),
        ("1.5", "1.5"),
        (1.5, 1.5),
        ("1e400000", "1e400000"),
        ("five", "five"),
    ],
)
def test_whole_numbers_are_read_as_spreadsheets_write_them(cell, number):
    assert column("numPlanes", [cell])[0] == [number]


def test_decimal_commas_are_found_out_beside_semicolons():
    cells, notes, _ = column("rotation", ["12,5", "3", "-0,25", "1,234", "1,5e3"], delimiter=";")

    assert cells == ["12.5", "3", "-0.25", "1.234", "1.5e3"]
    assert notes == ["decimal commas in rotation"]


@pytest.mark.parametrize("delimiter", [",", "\t", "|", None])
def test_decimal_commas_beside_anything_else_are_refused_until_they_are_said(delimiter):
    assert 'decimal=","' in unread(column("rotation", ["12,5"], delimiter=delimiter)[0][0])
    assert column("rotation", ["12,5"], delimiter=delimiter, decimal=",")[0] == ["12.5"]


def test_comma_that_may_part_thousands_is_refused_with_both_readings():
    said = unread(column("rotation", ["1,234", "5"], delimiter=";")[0][0])

    assert "1.234 or 1234" in said
    assert 'decimal=","' in said


def test_points_beside_commas_are_refused():
    cells = column("rotation", ["12,5", "12.5", "1"], delimiter=";")[0]
    assert 'decimal=","' in unread(cells[0])
    assert cells[1:] == ["12.5", "1"]
    assert "a point" in unread(column("rotation", ["1.234,5"], decimal=",")[0][0])


def test_point_in_one_column_beside_commas_in_another_is_refused(text):
    table = text("rotation;power\n12,5;1.234\n")

    cells, _, _ = meant(table)

    assert cells["rotation"] == ["12.5"]
    assert "rotation has decimal commas" in unread(cells["power"][0])
    assert meant(table, decimal=".")[0] == {"rotation": ["12,5"], "power": ["1.234"]}


@pytest.mark.parametrize("name", ["rotation", "numPlanes", "notes"])
def test_date_that_a_spreadsheet_made_of_something_else_is_refused(name):
    assert "2004-03-01" in unread(column(name, [dt.date(2004, 3, 1)], delimiter=None)[0][0])


def test_numbers_in_texts_are_written_as_they_were_typed():
    assert column("notes", [1.0, 12, 2.5, "1.0"], delimiter=None)[0] == ["1", "12", "2.5", "1.0"]


@pytest.mark.parametrize(
    "cell",
    [
        *("2023-01-25", "2023/1/25", "2023.01.25", "20230125", "2023-01-25 00:00:00"),
        *("25/01/2023", "25.1.2023", "01/25/2023", "1-25-2023", "25/01/2023 0:00:00"),
        *(DAY, dt.datetime(2023, 1, 25), 44951, 44951.0, 20230125, "44951"),
    ],
)
def test_dates_are_read_in_every_usual_form(cell):
    assert column("sessionDate", [cell])[0] == [DAY]


@pytest.mark.parametrize(
    "cell",
    [
        *("2023-01-25 12:00:01", "2023-01-25T12:00:01", "2023/1/25 12:00:01.4"),
        *("25/01/2023 12:00:01", "01/25/2023, 12:00:01", NOON, 44951.500011574, "44951,500011574"),
    ],
)
def test_times_are_read_in_every_usual_form(cell):
    assert column("suite2pDate", [cell])[0] == [NOON]


def test_order_of_day_and_month_is_that_of_the_whole_column():
    cells, notes, _ = column("sessionDate", ["03/04/2023", "2023-01-25", "25/01/2023"])
    assert cells == [dt.date(2023, 4, 3), DAY, DAY]
    assert notes == ["sessionDate: day first, as in '25/01/2023' in line 4"]

    cells, notes, _ = column("sessionDate", ["03/04/2023", "01/25/2023"])
    assert cells == [dt.date(2023, 3, 4), DAY]
    assert "month first" in notes[0]


def test_order_that_nothing_settles_is_refused_with_both_readings():
    cells, notes, _ = column("sessionDate", ["03/04/2023", "05/05/2023", "2023-01-25"])

    said = unread(cells[0])
    assert "3 April 2023 or 4 March 2023" in said
    assert 'date_format="%d/%m/%Y" or date_format="%m/%d/%Y"' in said
    assert (cells[1:], notes) == ([dt.date(2023, 5, 5), DAY], [])
    assert 'date_format="%d.%m.%Y"' in unread(column("sessionDate", ["03.04.2023"])[0][0])


def test_column_with_both_orders_is_refused_with_both_lines():
    cells, _, _ = column("sessionDate", ["25/01/2023", "03/04/2023", "01/26/2023"])

    for cell in cells:
        assert "line 2" in unread(cell)
        assert "line 4" in unread(cell)


def test_dates_are_read_by_the_format_that_is_given():
    cells = ["03/04/2023", "2023-01-25", DAY, "25/01/2023 12:30", 44951]
    found = column("sessionDate", cells, date_format="%d/%m/%Y")[0]

    assert found == [dt.date(2023, 4, 3), *[DAY] * 4]
    found = column("sessionDate", ["2023-03-04", "2023-25-01"], date_format="%Y-%d-%m")[0]
    assert found == [dt.date(2023, 4, 3), DAY]
    said = unread(column("sessionDate", ["25 Jan"], date_format="%d/%m/%Y")[0][0])
    assert "'25 Jan' is not a date of the form %d/%m/%Y" in said


def test_year_first_beside_a_format_that_begins_with_the_year_is_not_guessed():
    assert "form" in unread(column("sessionDate", ["2023-04-20"], date_format="%Y-%d-%m")[0][0])


@pytest.mark.parametrize("cell", ["31/02/2023", "2023-02-30", "25/13/2023", "0/1/2023", "soon"])
def test_day_that_is_none_is_refused(cell):
    assert cell in unread(column("sessionDate", [cell])[0][0])


def test_number_that_is_no_likely_day_is_left_for_the_column_to_refuse():
    for cell in (5, 12_345.0, 20231399, 1e300, float("inf"), True):
        assert column("sessionDate", [cell], delimiter=None)[0] == [cell]


def test_numbers_of_days_are_told():
    assert column("sessionDate", [44951.0], delimiter=None)[1] == [
        "sessionDate: days as numbers, 44951 in line 2 is 2023-01-25"
    ]


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("2023-01-25T10:00:00", {}),
        ("2023-1-25 10:00", {}),
        ("25/01/2023 10:00", {}),
        ("25/01/2023 10:00", {"date_format": "%d/%m/%Y"}),
        (NOON, {}),
        (44951.75, {}),
        ("44951.75", {}),
    ],
)
def test_times_of_day_in_a_column_of_dates_are_told_once(cell, options):
    cells, notes, _ = column("sessionDate", ["2023-01-25", cell, cell], **options)

    assert [found if type(found) is dt.date else found.date() for found in cells] == [DAY] * 3
    told = f"sessionDate: times of day left out, as in '{cell}' in line 3"
    assert [note for note in notes if "times of day" in note] == [told]


@pytest.mark.parametrize("cell", ["2023-01-25 00:00:00", dt.datetime(2023, 1, 25), 44951.0, DAY])
def test_midnight_is_no_time_of_day(cell):
    assert not any("times of day" in note for note in column("sessionDate", [cell])[1])
    assert column("suite2pDate", [NOON])[1] == []


def test_times_of_day_are_told_where_years_come_first_by_what_was_said():
    cells, notes, _ = column("sessionDate", ["2023-01-25T10:00:00", "x"], date_format="iso")

    assert cells == ["2023-01-25T10:00:00", "x"]
    assert notes == ["sessionDate: times of day left out, as in '2023-01-25T10:00:00' in line 2"]


@pytest.mark.parametrize("form", [None, "iso", "%d/%m/%Y"])
@pytest.mark.parametrize(
    "cell",
    [
        *("2023-01-25T23:30:00Z", "2023-1-25 23:30+02:00", "2023-01-25T00:00:00+00:00"),
        NOON.replace(tzinfo=dt.UTC),
    ],
)
def test_time_zone_in_a_column_of_dates_is_refused(cell, form):
    cells, notes, _ = column("sessionDate", [cell], date_format=form)

    assert "carries a time zone" in unread(cells[0])
    assert notes == []


def test_real_dates_beside_texts_are_doubted():
    cells, _, doubts = column("sessionDate", [dt.date(2023, 4, 3), "25/01/2023"], delimiter=None)

    assert cells == [dt.date(2023, 4, 3), DAY]
    assert "exchanged day and month" in doubts[0]


def test_nothing_is_found_out_about_plain_csv(put, tmp_path):
    path = put(tmp_path / "rows.csv", "rotation,sessionDate\n12;5,25/01/2023\n")
    table = read_table(path, PLAIN_CSV)

    found = understand(table, table.rows, [TARGETS[name] for name in table.header], PLAIN_CSV)

    assert found.columns == {"rotation": ["12;5"], "sessionDate": ["25/01/2023"]}
    assert found.notes == ()


def test_written_and_read_by_each_way_cells_are_of_their_kind(tmp_path):
    row = {"notes": "x", "rotation": 0.5, "imaging": True, "suite2pDate": NOON}

    for write, name in ((write_xlsx, "a.xlsx"), (write_ods, "a.ods"), (write_parquet, "a.parquet")):
        table = read_table(write(tmp_path / name, [row]), TableOptions())
        assert dict(zip(table.header, table.rows[0][1], strict=True)) == row
    path = write_text(tmp_path / "a.csv", [row], spelling(), encoding="utf-8", texts=["notes"])
    assert read_table(path, TableOptions()).rows == [(2, ["x", "0.5", "1", "2023-01-25 12:00:01"])]

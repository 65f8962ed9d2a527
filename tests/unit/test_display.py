"""Facts as lines of text and as HTML."""

from __future__ import annotations

import pytest

from vrtracker.display import Facts, table_of
from vrtracker.domain.adoption import AdoptionReport, Finding, Kind


def test_text_and_html_of_a_table():
    facts = Facts("Two rows.", [("a", 1), ("long name", None)], ("name", "value"), notes=["odd"])

    assert facts.text() == "Two rows.\n  name       value\n  a          1\n  long name\nodd"
    assert facts.html() == (
        "<div><p>Two rows.</p><table><thead><tr><th>name</th><th>value</th></tr></thead><tbody>"
        "<tr><td>a</td><td>1</td></tr><tr><td>long name</td><td></td></tr></tbody></table>"
        "<ul><li>odd</li></ul></div>"
    )


def test_table_without_rows_has_no_headings():
    facts = Facts("None.", [], ("name", "value"))
    assert facts.text() == "None."
    assert facts.html() == "<div><p>None.</p></div>"


@pytest.mark.parametrize("where", ["title", "rows", "columns", "notes"])
def test_what_looks_like_html_is_text(where):
    sign = "<img src=x onerror=\"f('')\">&"
    parts = {"title": "t", "rows": [["cell"]], "columns": ["head"], "notes": ["note"]}
    parts[where] = {"title": sign, "rows": [[sign]], "columns": [sign], "notes": [sign]}[where]

    html = Facts(**parts).html()

    assert "&lt;img src=x onerror=&quot;f(&#x27;&#x27;)&quot;&gt;&amp;" in html
    assert "<img" not in html
    assert sign in Facts(**parts).text()


def test_long_tables_and_notes_say_how_many_are_left():
    facts = Facts("Many.", [[f"row {at}"] for at in range(3)], count=9, notes=list("abcd"), most=2)

    assert facts.text().splitlines() == [
        *("Many.", "  row 0", "  row 1", "… and 7 more", "a", "b", "… and 2 more of these")
    ]
    assert "<p>… and 7 more</p>" in facts.html()


def test_long_values_are_cut_and_stand_on_one_line():
    facts = Facts("t", [["first\n  second"], ["x" * 1000]])
    assert facts.text().splitlines()[1:] == ["  first second", f"  {'x' * 200}…"]


def test_table_has_the_columns_in_which_a_row_says_something():
    rows = [{"key": "a", "no": False, "none": None}, {"key": "b", "zero": 0, "yes": True}]
    assert table_of(rows) == (["key", "zero", "yes"], [["a", None, None], ["b", 0, True]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"revision": None}, "lab.db (sessiondb: 3 rows) can be adopted; nothing was written."),
        ({"revision": "0009"}, "is a tracker's database already, at revision 0009."),
        ({"revision": "0009", "applied": True}, "is adopted, at revision 0009."),
    ],
)
def test_report_of_an_adoption_says_where_it_stands(given, said):
    assert said in str(AdoptionReport(url="lab.db", rows={"sessiondb": 3}, **given))


def test_report_of_an_adoption_has_what_stands_in_the_way_first():
    findings = [
        Finding(kind=Kind.EMPTY_TEXT, table="sessiondb", column="n", count=2, remedy="goes"),
        Finding(Kind.DUPLICATE_MOUSE, "mousedb", None, remedy="rename", blocks=True),
    ]
    report = AdoptionReport(url="lab.db", revision=None, rows={}, findings=tuple(findings))

    title, _, first, second = str(report).splitlines()

    assert title == "lab.db: 1 of 2 findings stand in the way."
    assert first.split() == ["duplicate", "mouse", "mousedb", "rename", "yes"]
    assert second.split() == ["empty", "text", "sessiondb.n", "2", "goes"]
    assert "<td>rename</td>" in report._repr_html_()

"""The schema from the shell."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from support.command_line import good, refused, run, told
from vrtracker.database.versions import HEAD, REVISIONS

SVG = "{http://www.w3.org/2000/svg}"


def test_upgrade_makes_a_missing_file_and_says_so(tmp_path: Path):
    url = tmp_path / "lab.db"

    assert good("--url", url, "db", "upgrade").splitlines()[0] == f"made {url}"
    assert told("--url", url, "db", "upgrade") == {
        "url": str(url),
        "revision": HEAD,
        "created": False,
        "copy": None,
    }


def test_init_makes_a_database_and_tells_how_to_use_it(tmp_path: Path):
    url = tmp_path / "a lab.db"

    shown = good("--url", url, "init")
    again = told("--url", url, "init")

    assert shown.startswith(f"made {url}, at revision {HEAD}")
    assert f"export VRTRACKER_URL='{url}'" in shown
    assert again["created"] is False
    assert told("--url", url, "status")["sessions"] == 0


def test_every_revision_is_reached_up_and_down(tmp_path: Path):
    lab = ("--url", tmp_path / "lab.db")

    for revision in REVISIONS:
        assert told(*lab, "db", "upgrade", revision)["revision"] == revision
    for revision in (*reversed(REVISIONS[:-1]), "base"):
        assert told(*lab, "db", "downgrade", revision)["revision"] == revision


def test_current_tells_revision_and_head(tmp_path: Path):
    lab = ("--url", tmp_path / "lab.db")
    good(*lab, "db", "upgrade", "0001")

    shown = good(*lab, "db", "current")

    assert told(*lab, "db", "current")["revision"] == "0001"
    assert told(*lab, "db", "current")["head"] == HEAD
    assert "db upgrade" in shown


def test_downgrade_of_a_database_with_data_needs_yes(demo):
    error = refused(*demo.options, "db", "downgrade", "0001", code=2)
    still = demo.told("db", "current")["revision"]
    demo.good("db", "downgrade", "0001", "--yes")

    assert "--yes" in error
    assert still == HEAD
    assert demo.told("db", "current")["revision"] == "0001"


def test_downgrade_of_older_data_needs_yes_too(demo):
    demo.good("db", "downgrade", "0001", "--yes")

    refused(*demo.options, "db", "downgrade", "base", code=2)


@pytest.mark.parametrize("verb", ["upgrade", "downgrade"])
def test_unknown_revision_is_refused(empty: str, verb: str):
    assert "9999" in refused("--url", empty, "db", verb, "9999", "--json", code=2)


def test_check_finds_no_difference_after_init(empty: str):
    assert told("--url", empty, "db", "check") == {"url": empty, "differences": []}
    assert "no differences" in good("--url", empty, "db", "check")


def test_check_finds_a_missing_column(empty: str):
    with sqlite3.connect(empty) as connection:
        connection.execute("ALTER TABLE mousedb DROP COLUMN strain")
    connection.close()

    result = run("--url", empty, "db", "check")

    assert result.exit_code == 1
    assert "strain" in result.stdout


def test_history_marks_the_revision_of_the_database(empty: str):
    rows = told("--url", empty, "db", "history")

    assert [row["revision"] for row in rows] == list(REVISIONS)
    assert [row["current"] for row in rows] == [False] * (len(REVISIONS) - 1) + [True]
    assert HEAD in good("--url", empty, "db", "history")


def test_history_needs_no_database():
    result = run("db", "history")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(REVISIONS)
    assert "No database is named" in result.stderr


def test_old_schema_names_the_command_that_mends_it(tmp_path: Path):
    lab = ("--url", tmp_path / "lab.db")
    good(*lab, "db", "upgrade", "0001")

    error = refused(*lab, "sessions", "list", code=4)

    assert "0001" in error
    assert HEAD in error
    assert f"vrtracker --url {tmp_path / 'lab.db'} db upgrade" in error


def test_newer_schema_asks_for_a_newer_package(empty: str):
    with sqlite3.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    for words in (["status"], ["db", "check"], ["db", "upgrade"]):
        error = refused("--url", empty, *words, code=4)
        assert "9999" in error
        assert HEAD in error


def test_foreign_database_is_refused(tmp_path: Path):
    url = tmp_path / "other.db"
    with sqlite3.connect(url) as connection:
        connection.execute("CREATE TABLE spikes (time REAL)")
    connection.close()

    for words in (["status"], ["init"], ["db", "upgrade"], ["db", "downgrade", "base"]):
        assert "spikes" in refused("--url", url, *words, code=4)


def test_profile_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = tmp_path / "lab.db"
    config = tmp_path / "config.toml"
    config.write_text(f"[profiles.rig]\nurl = {str(url)!r}\n", encoding="utf-8")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))

    good("--url", "rig", "db", "upgrade")

    assert told("--url", "rig", "status")["url"] == str(url)


def test_environment_names_the_database(empty: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VRTRACKER_URL", empty)

    assert told("status")["url"] == empty
    assert told("db", "current")["revision"] == HEAD


def test_upgrade_names_mice_that_differ_in_case_alone(tmp_path: Path):
    url = tmp_path / "lab.db"
    good("--url", url, "db", "upgrade", "0002")
    connection = sqlite3.connect(url)
    with connection:
        connection.executemany(
            'INSERT INTO mousedb ("mouseName", tracked, "trackerExists", "KO", "Blinded") '
            "VALUES (?, 0, 0, 0, 0)",
            [("ATL012",), ("atl012",)],
        )
    connection.close()

    error = refused("--url", url, "db", "upgrade", code=4)

    assert f"{url} cannot go to head: mice differ in the case of letters alone" in error
    assert "ATL012 (0 sessions) and atl012 (0 sessions)" in error
    assert told("--url", url, "db", "current")["revision"] == "0002"


def test_schema_tells_what_every_column_holds(demo):
    tables = {table["name"]: table for table in demo.told("db", "schema")}

    columns = {column["name"]: column for column in tables["sessiondb"]["columns"]}
    assert columns["mouseName"]["refers_to"] == "mousedb.mouseName"
    assert columns["headPlateRotation"]["comment"].endswith("degrees")
    assert (columns["sessionDate"]["type"], columns["imaging"]["type"]) == ("date", "tick box")
    ours = [each for table in tables.values() for each in table["columns"]]
    assert all(each["comment"] for each in ours)


def test_schema_is_a_page_with_a_diagram_that_knows_the_labs_own_columns(demo):
    with sqlite3.connect(demo.url) as connection:
        connection.execute("ALTER TABLE sessiondb ADD COLUMN arena VARCHAR(20)")
    connection.close()

    page = demo.good("db", "schema", "--markdown")

    assert 'mousedb ||--o{ sessiondb : "mouseName"' in page
    assert "| arena | text of 20 letters | yes | a column of the lab's own |" in page
    assert "arena" not in good("db", "schema", "--markdown")


def test_database_lives_and_dies_from_the_shell(tmp_path: Path):
    lab = ("--url", tmp_path / "lab.db")

    assert run(*lab, "db", "exists").exit_code == 1
    assert told(*lab, "db", "create")["revision"] == HEAD
    assert told(*lab, "db", "list") == ["lab.db"]
    assert told(*lab, "db", "drop-tables", "vrt_dataset", "--name", "lab.db") == ["vrt_dataset"]
    assert "vrt_dataset" not in told(*lab, "db", "tables")
    assert told(*lab, "db", "create-tables") == ["vrt_dataset"]
    assert "done" in good(*lab, "db", "vacuum")
    assert "done" in good(*lab, "db", "analyze", "sessiondb")
    assert told(*lab, "db", "readers") == [{"name": None, "role": "admin", "is_you": False}]
    assert Path(told(*lab, "db", "reset", "lab.db")["copy"]).is_file()
    refused(*lab, "db", "drop", "other.db", code=2)
    assert "was dropped" in good(*lab, "db", "drop", "lab.db")
    assert not (tmp_path / "lab.db").exists()
    assert "no database" in run(*lab, "db", "list").stderr
    assert "one of" in refused(*lab, "db", "schema", "--html", "--markdown", code=2)


def test_page_of_the_schema_is_whole_and_loads_nothing(demo):
    page = demo.good("db", "schema", "--html")

    root = ET.fromstring(page.partition("\n")[2].replace('<meta charset="utf-8">', ""))
    boxes = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    headings = [heading.text for heading in root.iter("h2")]
    targets = [each.get("href") for each in [*root.iter("a"), *root.iter(f"{SVG}a")]]
    assert boxes == headings
    assert {"mousedb", "sessiondb", "vrt_event"} <= set(headings)
    assert len(list(root.iter(f"{SVG}path"))) >= 5
    assert all(target.startswith("#") and target[1:] in headings for target in targets)
    assert "<script" not in page


def test_check_finds_cells_that_do_not_fit(empty: str):
    good("--url", empty, "mice", "add", "M1")
    connection = sqlite3.connect(empty)
    with connection:
        connection.execute("UPDATE mousedb SET KO = 'maybe'")
    connection.close()

    result = run("--url", empty, "db", "check")

    assert result.exit_code == 1
    assert "mousedb.KO holds 'maybe' where uMouseID is 1" in result.output

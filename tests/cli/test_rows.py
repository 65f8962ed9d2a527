"""List, show, add, edit and delete sessions and mice."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from support.command_line import good, refused, run, told
from vrtracker.cli import listing
from vrtracker.cli.exits import Exit

FIRST = "DEMO001.2023-01-18.701"
SECOND = "DEMO001.2023-01-19.701"
NEW = "DEMO001.2023-01-21.701"


def keys(rows: list[dict]) -> list[str]:
    return [row["key"] for row in rows]


def test_json_holds_every_column_as_plain_values(sample):
    row = sample.told("sessions", "list")[0]

    with sample.open() as tracker:
        assert list(row) == ["key", *tracker.sessions.columns]
    assert row["key"] == FIRST
    assert row["sessionDate"] == "2023-01-18"
    assert row["sessionID"] == 701
    assert row["imaging"] is True
    assert row["experimentID"] is None
    assert row["headPlateRotation"] is None
    assert row["suite2pDate"] == "2023-01-20T14:00:00"


def test_json_holds_bytes_in_base64(demo):
    with contextlib.closing(sqlite3.connect(demo.url)) as connection, connection:
        connection.execute("ALTER TABLE sessiondb ADD COLUMN photo BLOB")
        connection.execute("UPDATE sessiondb SET photo = x'0102ff'")

    listed = demo.told("sessions", "list")
    shown = demo.told("sessions", "show", FIRST)

    assert {row["photo"] for row in listed} == {"AQL/"}
    assert shown["photo"] == "AQL/"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 12),
        (["--mouse", "DEMO001"], 4),
        (["--mouse", "DEMO001", "--mouse", "DEMO003"], 8),
        (["--date", "2023-1-20"], 2),
        (["--since", "2023-02-08"], 6),
        (["--until", "2023-01-19"], 2),
        (["--since", "2023-01-19", "--until", "2023-02-06"], 4),
        (["--imaging"], 11),
        (["--no-imaging"], 1),
        (["--where", "imaging=no"], 1),
        (["--where", "sessionID>=702"], 2),
        (["--where", "sessionID>=1", "--where", "sessionID<=700"], 1),
        (["--where", "mouseName~%003"], 4),
        (["--where", "numPlanes="], 2),
        (["--where", "numPlanes!="], 10),
        (["--where", "sessionID=1,702"], 3),
        (["--where", "sessionID!=701,702"], 1),
        (["--where", "mouse__KO=true"], 4),
        (["--where", "mouse.KO or not imaging"], 5),
        (["--where", "imaging and (sessionID = 1 or sessionID in (702, 703))"], 2),
        (["--where", "sessionID=701", "--where", "sessionID=702"], 0),
        (["--where", "nth_session = 1 and state.registration != not_applicable"], 3),
        (["--limit", "3"], 3),
        (["--where", FIRST], 1),
        (["--where", f"{FIRST} or numPlanes is missing"], 3),
        (["--where", f"key in ({FIRST}, DEMO003/2023-03-16/1)"], 2),
        (["--date", "today"], 0),
        (["--since", "yesterday"], 0),
        (["--until", "today - 2 weeks"], 12),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filters_choose_sessions(sample, options: list[str], count: int):
    assert len(sample.told("sessions", "list", *options)) == count


def test_columns_are_those_asked_for(sample):
    rows = sample.told("sessions", "list", "--columns", "mouse__KO,key,numPlanes", "--limit", "1")

    assert [list(row.items()) for row in rows] == [
        [("mouse__KO", False), ("key", FIRST), ("numPlanes", 2)]
    ]


def test_order_is_the_one_asked_for(sample):
    rows = sample.told("sessions", "list", "--order-by", "-sessionDate,sessionID", "--limit", "2")

    assert keys(rows) == ["DEMO003.2023-03-16.1", "DEMO003.2023-03-15.701"]


def test_scratched_sessions_are_listed_on_request_alone(demo):
    demo.good("scratch", FIRST, "--reason", "laser off")

    assert FIRST not in keys(demo.told("sessions", "list"))
    assert FIRST in keys(demo.told("sessions", "list", "--include-scratched"))
    assert keys(demo.told("sessions", "list", "--where", "sessionQC=false")) == [FIRST]
    assert "laser off" in demo.good("sessions", "list", "--include-scratched")


def test_table_has_one_line_a_session_and_whole_keys(demo):
    long = "word " * 100 + "end\nof two lines [bold]"
    demo.good("sessions", "edit", FIRST, "--set", f"sessionNotes={long}")

    lines = demo.good("sessions", "list").splitlines()

    assert len(lines) == 13
    assert lines[0].split()[:2] == ["key", "imaging"]
    assert lines[1].startswith(FIRST)
    assert lines[1].endswith("end of two lines [bold]")


def test_table_of_all_columns_has_them_all(sample):
    header = sample.good("sessions", "list", "--all-columns").splitlines()[0].split()

    with sample.open() as tracker:
        assert header == ["key", *tracker.sessions.columns]


def test_count_goes_to_standard_error(sample):
    result = run(*sample.options, "sessions", "list", "--mouse", "DEMO001")

    assert "4 sessions" in result.stderr
    assert "4 sessions" not in result.stdout


def test_empty_listing_is_an_empty_document(sample):
    result = run(*sample.options, "sessions", "list", "--date", "1999-01-01")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no such sessions" in result.stderr


@pytest.mark.parametrize("words", ["sessions list", "needs suite2p", "status", "qc list"])
def test_a_mouse_that_is_not_there_is_told_with_those_like_it(sample, words: str):
    said = refused(*sample.options, *words.split(), "--mouse", "DEMO01", code=2)

    assert "no mouse 'DEMO01'" in said
    assert "Did you mean 'DEMO001'" in said


def test_a_day_that_is_not_told_to_the_end_shows_what_is_missing(sample):
    said = refused(*sample.options, "sessions", "list", "--since", "today - 7", code=2)

    assert "days or weeks" in said


def test_show_tells_columns_path_and_states(sample):
    session = sample.told("sessions", "show", FIRST)

    assert session["key"] == FIRST
    assert session["suite2pDate"] == "2023-01-20T14:00:00"
    assert session["path"] == str(sample.root / "DEMO001" / "2023-01-18" / "701")
    assert session["states"]["registration"] == "done"


def test_show_is_readable(sample):
    shown = sample.good("sessions", "show", FIRST)

    assert FIRST in shown
    assert "red_cell_qc" in shown


def test_show_without_a_root_has_no_path(sample):
    assert told("--url", sample.url, "sessions", "show", FIRST)["path"] is None


def test_added_session_has_its_values(demo):
    told_keys = demo.told("sessions", "add", NEW, "--set", "imaging=yes", "--set", "numPlanes=5")

    session = demo.told("sessions", "show", NEW)
    assert told_keys == {"added": [NEW]}
    assert (session["imaging"], session["numPlanes"]) == (True, 5)


def test_several_sessions_are_added_at_once(demo):
    second = "DEMO002.2023-01-21.701"

    assert demo.good("sessions", "add", NEW, second) == f"added {NEW}\nadded {second}\n"


def test_of_several_sessions_all_are_added_or_none(sample):
    refused(*sample.options, "sessions", "add", NEW, FIRST, code=5)

    assert len(sample.told("sessions", "list")) == 12


def test_edit_changes_one_session_and_signs_it(demo):
    good(
        *(*demo.options, "--actor", "Ada", "sessions", "edit", FIRST),
        *("--set", "numPlanes=7", "--set", "sessionNotes=", "--reason", "recount"),
    )

    event = demo.told("history", FIRST)[-1]
    assert demo.told("sessions", "show", FIRST)["numPlanes"] == 7
    assert (event["actor"], event["verb"], event["reason"]) == ("Ada", "edited", "recount")
    assert event["changes"] == {"numPlanes": [2, 7]}


def test_dry_run_of_an_edit_writes_nothing(sample):
    told_changes = sample.told(
        "sessions", "edit", "--mouse", "DEMO001", "--set", "numPlanes=7", "--dry-run"
    )

    assert (told_changes["rows"], told_changes["dry_run"]) == (4, True)
    assert told_changes["changes"][FIRST] == {"numPlanes": [2, 7]}
    assert sample.told("sessions", "show", FIRST)["numPlanes"] == 2


def test_edit_of_several_rows_is_refused_without_somebody_to_ask(sample):
    words = ("sessions", "edit", "--mouse", "DEMO001", "--set", "numPlanes=7")

    error = refused(*sample.options, *words, code=2)

    assert "4 rows" in error
    assert "--yes" in error
    assert sample.told("sessions", "show", FIRST)["numPlanes"] == 2


def test_edit_is_refused_where_somebody_edits_while_it_asks(demo, monkeypatch):
    def agree(*_: object, **__: object) -> None:
        with demo.open() as tracker:
            tracker.sessions.update({"numPlanes": 5}, SECOND)

    monkeypatch.setattr(listing, "agree", agree)
    words = ("sessions", "edit", "--mouse", "DEMO001", "--set", "numPlanes=7")

    error = refused(*demo.options, *words, code=5)

    assert f"{SECOND} numPlanes: was 2, is 5 now, was to be 7" in error
    assert demo.told("sessions", "show", FIRST)["numPlanes"] == 2


def test_edit_of_several_rows_goes_on_with_yes(demo):
    done = demo.told("sessions", "edit", "--mouse", "DEMO001", "--set", "numPlanes=7", "--yes")

    assert (done["matched"], done["rows"], done["dry_run"]) == (4, 4, False)
    assert demo.told("sessions", "show", SECOND)["numPlanes"] == 7


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "numPlanes=7"],
        [FIRST, "--mouse", "DEMO001", "--set", "numPlanes=7"],
        [FIRST, "--all", "--set", "numPlanes=7"],
        [FIRST],
        [FIRST, "--set", "numPlanes"],
        [FIRST, "--set", "numPlanes=many"],
        [FIRST, "--set", "numPlans=7"],
        [FIRST, "--set", "sessionQC=no"],
        ["DEMO001.2023-01-18.709", "--set", "numPlanes=7"],
    ],
    ids=" ".join,
)
def test_edit_that_makes_no_sense_is_refused(sample, words: list[str]):
    refused(*sample.options, "sessions", "edit", *words, code=2)

    assert sample.told("sessions", "show", FIRST)["numPlanes"] == 2


def test_edit_of_everything_must_be_asked_for(demo):
    done = demo.told("sessions", "edit", "--all", "--set", "behavior=no", "--yes")

    assert (done["matched"], done["rows"]) == (12, 12)


def test_forced_delete_needs_a_reason(sample):
    error = refused(*sample.options, "sessions", "delete", FIRST, "--force", code=2)

    assert "--reason" in error


def test_forced_delete_takes_the_session_away(demo):
    demo.good("sessions", "delete", FIRST, "--force", "--reason", "entered twice")

    refused(*demo.options, "sessions", "show", FIRST, code=2)
    assert demo.told("history", FIRST)[-1]["verb"] == "deleted"


def test_deleted_session_is_listed_restored_and_purged(demo):
    demo.good("sessions", "delete", FIRST, "--reason", "entered twice")
    listed = demo.told("sessions", "deleted")
    assert [(row["key"], row["reason"]) for row in listed] == [(FIRST, "entered twice")]
    assert "attempt" in listed[0]["hanging"]

    assert demo.told("sessions", "restore", FIRST) == {"restored": FIRST}
    demo.good("sessions", "delete", FIRST)

    assert "--yes" in refused(*demo.options, "sessions", "purge", FIRST, code=2)
    assert demo.told("sessions", "purge", FIRST, "--yes") == {"purged": FIRST}
    refused(*demo.options, "sessions", "restore", FIRST, code=2)


def test_deleted_mouse_is_restored(empty):
    lab = ("--url", empty)
    good(*lab, "mice", "add", "ATL099", "--set", "notes=quiet")
    good(*lab, "mice", "delete", "ATL099")

    good(*lab, "mice", "restore", "ATL099")

    assert told(*lab, "mice", "show", "ATL099")["notes"] == "quiet"
    assert told(*lab, "mice", "deleted") == []


def test_delete_tells_the_key_as_the_database_has_it(demo):
    demo.good("sessions", "add", NEW)

    assert demo.told("sessions", "delete", "DEMO001/2023-01-21/701") == {"deleted": NEW}


def test_mouse_is_added_shown_edited_and_deleted(empty):
    lab = ("--url", empty)
    good(*lab, "mice", "add", "ATL012", "--set", "dateOfBirth=2022-09-14", "--set", "KO=1")
    good(*lab, "mice", "edit", "ATL012", "--set", "genotype=wild type")

    mouse = told(*lab, "mice", "show", "ATL012")
    listed = told(*lab, "mice", "list", "--where", "KO=true", "--columns", "mouseName,genotype")
    good(*lab, "mice", "delete", "ATL012")

    assert (mouse["dateOfBirth"], mouse["KO"], mouse["sessions"]) == ("2022-09-14", True, 0)
    assert listed == [{"mouseName": "ATL012", "genotype": "wild type"}]
    assert told(*lab, "mice", "list") == []


def test_several_mice_are_added_all_or_none(empty):
    refused("--url", empty, "mice", "add", "A1", "B1", "A1", code=5)
    none = told("--url", empty, "mice", "list")

    assert told("--url", empty, "mice", "add", "A1", "B1") == {"added": ["A1", "B1"]}
    assert none == []


def test_mouse_with_sessions_is_not_deleted_unless_forced(demo):
    refused(*demo.options, "mice", "delete", "DEMO001", code=5)
    demo.good("mice", "delete", "DEMO001", "--force", "--reason", "not ours")

    assert len(demo.told("sessions", "list")) == 8
    assert "4 sessions" in demo.told("mice", "deleted")[0]["hanging"]
    assert demo.told("mice", "restore", "DEMO001") == {"restored": "DEMO001", "sessions": 4}


def test_edit_of_mice_wants_a_mouse_or_a_filter(demo):
    refused(*demo.options, "mice", "edit", "--set", "tracked=yes", code=2)
    refused(*demo.options, "mice", "edit", "--all", "--set", "tracked=yes", code=2)

    assert demo.told("mice", "edit", "--where", "KO=yes", "--set", "tracked=yes")["rows"] == 1


def test_mice_are_listed_as_a_table(sample):
    lines = sample.good("mice", "list").splitlines()

    assert lines[0].split()[:3] == ["mouseName", "sex", "dateOfBirth"]
    assert [line.split()[0] for line in lines[1:]] == ["DEMO001", "DEMO002", "DEMO003"]
    assert "2022-09-14" in lines[1]
    assert "DEMO001" in sample.good("mice", "show", "DEMO001")


def test_text_of_other_alphabets_survives(empty):
    note = 'naïve Ünïcøde ✓ 小鼠 "quoted" 100% [bold]x[/bold]'
    good("--url", empty, "mice", "add", "ATL012", "--set", f"notes={note}")

    assert told("--url", empty, "mice", "show", "ATL012")["notes"] == note
    assert note in good("--url", empty, "mice", "list")


def test_columns_that_the_lab_added_come_along(empty):
    with sqlite3.connect(empty) as connection:
        connection.execute('ALTER TABLE mousedb ADD COLUMN "rig" TEXT')
    connection.close()
    good("--url", empty, "mice", "add", "ATL012", "--set", "rig=left")

    assert told("--url", empty, "mice", "show", "ATL012")["rig"] == "left"
    assert told("--url", empty, "mice", "list", "--where", "rig=left", "--columns", "rig") == [
        {"rig": "left"}
    ]


def test_json_is_one_document(sample):
    result = run(*sample.options, "mice", "list", "--json")

    assert json.loads(result.stdout)
    assert result.stderr == ""


def test_sessions_are_added_like_the_last_one_on_several_days(demo):
    days = ("--mouse", "DEMO001", "--date", "2023-03-01,2023-03-02", "--date", "2023-03-03")
    words = ("sessions", "add", *days, "--number", "701", "--like", "LAST", "--set", "imaging=no")
    last = demo.told("sessions", "list", "--mouse", "DEMO001", "--order-by", "-sessionDate")[0]

    shown = demo.told(*words, "--dry-run")
    added = demo.told(*words)["added"]

    assert [row["key"] for row in shown] == added
    assert [key.split(".")[1] for key in added] == ["2023-03-01", "2023-03-02", "2023-03-03"]
    new = demo.told("sessions", "show", added[2])
    assert (new["experimentType"], new["imaging"]) == (last["experimentType"], False)


@pytest.mark.parametrize(
    ("key", "says", "code"),
    [(FIRST, "already", 5), ("DEMO009.2023-01-18.701", "/lab mice add DEMO009", 2)],
)
def test_dry_run_of_adding_refuses_what_adding_would_refuse(sample, key, says, code):
    words = ("sessions", "add", key, "--dry-run")
    assert says in refused(*sample.options, *words, code=code)


def test_odd_word_is_told_and_refused_on_request(demo):
    words = ("sessions", "add", NEW, "--set", "experimentID=77", *("--like", "LAST"))
    demo.good("sessions", "edit", FIRST, "--set", "experimentID=7")

    assert "77" in refused(*demo.options, *words, "--strict", code=2)
    assert "experimentID: no session has 77 yet" in run(*demo.options, *words).stderr


@pytest.mark.parametrize(
    "words", [[], ["--mouse", "DEMO001"], [NEW, "--date", "2023-03-01"], [NEW, "--preset", "nope"]]
)
def test_sessions_that_are_not_named_whole_are_refused(sample, words: list[str]):
    refused(*sample.options, "sessions", "add", *words, code=2)


def test_file_of_edits_is_shown_and_then_applied(demo, tmp_path):
    path = tmp_path / "edit.csv"
    path.write_text(
        "mouseName,sessionDate,sessionID,sessionNotes\nDEMO001,2023-01-18,701,ran far\n", "utf-8"
    )
    words = ("sessions", "edit", "--csv", str(path))

    shown = demo.good(*words)
    assert "ran far" in shown
    assert demo.told("sessions", "show", FIRST)["sessionNotes"] != "ran far"

    assert demo.told(*words, "--apply")["applied"] is True
    assert demo.told("sessions", "show", FIRST)["sessionNotes"] == "ran far"


def test_problems_of_a_file_of_edits_are_told(demo, tmp_path):
    path = tmp_path / "edit.csv"
    path.write_text("mouseName,sessionDate,sessionID,numPlanes\nDEMO001,2023-01-18,7,x\n", "utf-8")

    result = run(*demo.options, "sessions", "edit", "--csv", str(path), "--apply")

    assert result.exit_code == 2
    assert "line 2, column numPlanes" in result.stdout


@pytest.mark.parametrize(
    "words", [["--apply", FIRST, "--set", "numPlanes=5"], ["--csv", "x.csv", FIRST]]
)
def test_options_of_files_do_not_mix_with_others(sample, words: list[str]):
    refused(*sample.options, "sessions", "edit", *words, code=2)


def test_recording_that_went_on_is_split_and_put_together(demo):
    parts = demo.told("sessions", "split", FIRST, "702", "703")["parts"]
    assert parts == [f"DEMO001.2023-01-18.{number}" for number in (701, 702, 703)]
    assert demo.told("sessions", "show", FIRST)["recording"] == parts

    demo.good("sessions", "merge", "--undo", parts[2])
    assert demo.told("sessions", "show", FIRST)["recording"] == parts[:2]
    assert demo.told("sessions", "merge", FIRST, parts[2])["parts"] == parts


def test_genotype_of_a_blinded_mouse_is_left_out_unless_asked_for(demo):
    demo.good("mice", "edit", "DEMO001", "--set", "Blinded=yes", "--set", "KO=yes")
    columns = ("--columns", "mouse__KO", "--mouse", "DEMO001", "--limit", "1")

    assert demo.told("mice", "show", "DEMO001")["KO"] is None
    assert demo.told("mice", "show", "DEMO001", "--unblind")["KO"] is True
    assert demo.told("mice", "list")[0]["KO"] is None
    assert demo.told("mice", "list", "--unblind")[0]["KO"] is True
    assert demo.told("sessions", "list", *columns) == [{"mouse__KO": None}]
    assert demo.told("sessions", "list", *columns, "--unblind") == [{"mouse__KO": True}]


def test_editing_a_blinded_mouse_does_not_show_its_genotype(demo):
    demo.good("mice", "edit", "DEMO001", "--set", "Blinded=yes", "--set", "strain=SECRET")
    edit = ("mice", "edit", "DEMO001", "--set", "strain=C57", "--set", "notes=read again")

    assert "SECRET" not in demo.good(*edit, "--dry-run")
    changes = demo.told(*edit)["changes"]["DEMO001"]

    assert changes["strain"] == ["(blinded)", "C57"]
    assert changes["notes"][1] == "read again"
    assert "SECRET" not in str(changes)


def test_edits_past_the_tracker_are_told_then_entered(demo):
    with contextlib.closing(sqlite3.connect(demo.url)) as connection, connection:
        connection.execute(
            """UPDATE sessiondb SET "sessionNotes" = 'by hand'
            WHERE "mouseName" = 'DEMO001' AND "sessionDate" LIKE '2023-01-18%'"""
        )

    found = run(*demo.options, "history", "--verify", "--json")

    document = json.loads(found.stdout)
    assert list(document) == ["events", "rows", "differences"]
    assert document["differences"] == [
        {"key": FIRST, "column": "sessionNotes", "history": None, "row": "by hand"}
    ]
    assert found.exit_code == Exit.NO
    assert demo.told("history", "--absorb") == document
    assert demo.told("history", "--verify")["differences"] == []
    assert demo.told("history", FIRST)[-1]["actor"] == "outside"
    refused(*demo.options, "history", FIRST, "--verify", code=Exit.BAD_INPUT)
    assert demo.told("undo", "--actor", "outside", "--since", "2020-01-01", "--apply")["applied"]
    assert demo.told("sessions", "show", FIRST)["sessionNotes"] is None


def test_last_command_is_shown_undone_and_the_undoing_undone(demo):
    demo.good("sessions", "edit", FIRST, "--set", "numPlanes=9")

    shown = demo.told("undo", "--last")
    assert (shown["applied"], shown["problems"]) == (False, [])
    assert [(row["what"], row["now"]) for row in shown["values"]] == [("numPlanes", 9)]
    assert demo.told("sessions", "show", FIRST)["numPlanes"] == 9

    assert demo.told("undo", "--last", "--apply")["applied"]
    assert demo.told("sessions", "show", FIRST)["numPlanes"] != 9
    undoing = demo.told("history", FIRST)[-1]["operation_id"]
    demo.good("undo", "--operation", undoing, "--apply", "--reason", "it was right")
    assert demo.told("sessions", "show", FIRST)["numPlanes"] == 9


def test_last_operation_that_can_be_undone_is_offered_behind_a_run(demo):
    demo.good("sessions", "edit", FIRST, "--set", "sessionNotes=seen")
    demo.good("register", FIRST, "--force")

    refused(*demo.options, "undo", "--last", code=Exit.CONFLICT)
    said = run(*demo.options, "undo", "--last").stdout
    assert f"vrtracker reset {FIRST} registration" in said
    short = said.rpartition("undo --operation ")[2].split()[0]
    assert short in demo.good("history", FIRST)

    nobodys = run(*demo.options, "undo", "--last", "--actor", "ann")
    assert (nobodys.exit_code, "nothing of ann" in nobodys.stderr) == (Exit.CONFLICT, True)
    demo.good("undo", "--operation", short, "--apply")
    assert demo.told("sessions", "show", FIRST)["sessionNotes"] is None


def test_undo_of_what_later_work_rests_on_is_refused_in_the_shell(demo):
    demo.good("sessions", "edit", FIRST, "--set", "numPlanes=9")
    first = demo.told("history", FIRST)[-1]["operation_id"]
    demo.good("sessions", "edit", FIRST, "--set", "numPlanes=8")

    refused(*demo.options, "undo", "--operation", first, "--apply", code=5)
    refused(*demo.options, "undo", "--last", "--operation", first, code=2)

    assert demo.told("sessions", "show", FIRST)["numPlanes"] == 8

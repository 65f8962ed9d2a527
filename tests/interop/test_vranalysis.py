"""The calls that notebooks make of the old module, on the lab's own rows and for a day's work."""

from __future__ import annotations

import csv
import datetime as dt
import inspect
import io
import os
import pickle
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tqdm import tqdm

from vrtracker.errors import ConfigurationError, InvalidValueError, UnknownNameError
from vrtracker.interop.vranalysis import (
    BaseDatabase,
    SessionDatabase,
    get_database,
    get_database_metadata,
)
from vrtracker.interop.vranalysis.printing import readable_bytes

Row = dict[str, str]

DTYPES = {
    "sessiondb": {
        "int64": ("uSessionID", "sessionID"),
        "Int64": ("experimentID", "vrEnvironments", "numPlanes", "vrBehaviorVersion"),
        "bool": (
            *("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration", "suite2p"),
            *("suite2pQC", "redCellQC", "sessionQC", "vrRegistrationError", "dontTrack"),
        ),
        "float64": (
            *("headPlateRotation", "planeSeparation", "pockelsPercentage", "objectiveRotation"),
        ),
        "datetime64[us]": (
            *("sessionDate", "logtime", "suite2pDate", "vrRegistrationDate", "redCellQCDate"),
        ),
        "str": (
            *("mouseName", "experimentType", "scratchJustification", "sessionNotes"),
            "vrRegistrationException",
        ),
    },
    "mousedb": {
        "int64": ("uMouseID",),
        "Int64": ("experimentID",),
        "bool": ("tracked", "trackerExists", "KO", "Blinded"),
        "str": ("mouseName", "environmentOrder"),
    },
}
READERS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "Int64": int,
    "bool": lambda text: text == "1",
    "float64": float,
    "datetime64[us]": lambda text: dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S"),  # noqa: DTZ007
    "str": str,
}
KINDS = {
    table: {name: kind for kind, names in kinds.items() for name in names}
    for table, kinds in DTYPES.items()
}
OLD_SIGNATURES = {
    "process_unique_fields": ["fields"],
    "get_dbfile": [],
    "save_backup": ["return_out=False"],
    "connect": [],
    "open_cursor": ["commit_changes=False"],
    "show_metadata": [],
    "table_column_info": [],
    "table_data": [],
    "get_table": ["use_default=True", "**kw_conditions"],
    "process_filter_value": ["val"],
    "construct_filter_string": ["key", "val_op_tuple"],
    "create_update_statement": ["field", "uid"],
    "create_update_many_statement": ["field"],
    "update_database_field": ["field", "val", "**kw_conditions"],
    "add_record": ["insert_statement", "columns", "values"],
    "get_record": ["*unique_values", "verbose=True"],
    "iter_sessions": ["session_params=None", "**kw_conditions"],
    "gen_sessions": ["session_params=None", "**kw_conditions"],
    "session_name": ["row"],
    "make_b2session": ["row"],
    "make_b2registration": ["row", "opts"],
    "needs_registration": ["skip_errors=True", "return_df=True", "**kw_conditions"],
    "update_s2p_date_time": [],
    "needs_s2p": ["needs_qc=False", "return_df=True", "print_targets=True", "**kw_conditions"],
    "check_s2p": ["with_database_update=False", "return_check=False"],
    "update_red_cell_qc_date_time": [],
    "needs_red_cell_qc": ["return_df=True", "**kw_conditions"],
    "iter_sessions_need_red_cell_qc": ["**kw_conditions"],
    "set_red_cell_qc": ["mouse_name", "date_string", "session_id", "state=True"],
    "register_record": ["record", "raise_exception=False", "imaging=None"],
    "register_single_session": [
        *("mouse_name", "session_date", "session_id", "raise_exception=False", "imaging=None"),
    ],
    "register_sessions": [
        *("max_data=30000000000.0", "skip_errors=True", "raise_exception=False", "imaging=None"),
    ],
    "print_registration_errors": ["**kw_conditions"],
}
RED_CELLS = "Database indicates that redCellQC has not been performed for session"


def is_set(row: Row, *names: str) -> bool:
    return all(row[name] == "1" for name in names)


def can_register(row: Row) -> bool:
    has_inputs = is_set(row, "suite2p") or not is_set(row, "imaging")
    return is_set(row, "sessionQC") and not is_set(row, "vrRegistration") and has_inputs


SESSION_CALLS: dict[str, tuple[dict[str, Any], Callable[[Row], bool]]] = {
    "imaging": ({"imaging": True}, lambda row: is_set(row, "sessionQC", "imaging")),
    "kind of experiment": (
        {"imaging": True, "experimentType": "Blender VR"},
        lambda row: is_set(row, "sessionQC", "imaging") and row["experimentType"] == "Blender VR",
    ),
    "registered": (
        {"imaging": True, "vrRegistration": True},
        lambda row: is_set(row, "sessionQC", "imaging", "vrRegistration"),
    ),
    "registered of one experiment": (
        {"imaging": True, "vrRegistration": True, "experimentID": 1},
        lambda row: (
            is_set(row, "sessionQC", "imaging", "vrRegistration") and row["experimentID"] == "1"
        ),
    ),
    "one mouse": (
        {"mouseName": "ATL021"},
        lambda row: is_set(row, "sessionQC") and row["mouseName"] == "ATL021",
    ),
    "tracked": (
        {"mouseName": "ATL021", "dontTrack": False},
        lambda row: (
            is_set(row, "sessionQC")
            and not is_set(row, "dontTrack")
            and row["mouseName"] == "ATL021"
        ),
    ),
    "operators": (
        {"mouseName": ("ATL015", "!="), "experimentID": (0, ">")},
        lambda row: (
            is_set(row, "sessionQC")
            and row["mouseName"] != "ATL015"
            and row["experimentID"] != ""
            and int(row["experimentID"]) > 0
        ),
    ),
    "everything": ({"use_default": False}, lambda _: True),
    "scratched": (
        {"use_default": False, "sessionQC": False},
        lambda row: not is_set(row, "sessionQC"),
    ),
    "nothing": ({"mouseName": "nobody"}, lambda _: False),
}
NEEDS: dict[str, tuple[str, dict[str, Any], Callable[[Row], bool]]] = {
    "suite2p": (
        "needs_s2p",
        {},
        lambda row: is_set(row, "sessionQC", "imaging") and not is_set(row, "suite2p"),
    ),
    "suite2p QC": (
        "needs_s2p",
        {"needs_qc": True},
        lambda row: is_set(row, "sessionQC", "imaging", "suite2p") and not is_set(row, "suite2pQC"),
    ),
    "red cells": (
        "needs_red_cell_qc",
        {},
        lambda row: (
            is_set(row, "sessionQC", "imaging", "suite2p", "vrRegistration")
            and not is_set(row, "redCellQC")
        ),
    ),
    "red cells of a mouse": (
        "needs_red_cell_qc",
        {"mouseName": "ATL015"},
        lambda row: (
            is_set(row, "sessionQC", "imaging", "suite2p", "vrRegistration")
            and not is_set(row, "redCellQC")
            and row["mouseName"] == "ATL015"
        ),
    ),
    "registration": (
        "needs_registration",
        {},
        lambda row: can_register(row) and not is_set(row, "vrRegistrationError"),
    ),
    "registration with errors": (
        "needs_registration",
        {"skip_errors": False},
        can_register,
    ),
}
SCRATCHED_TOO: dict[str, tuple[str, dict[str, Any], Callable[[Row], bool], int]] = {
    "suite2p": (
        "needs_s2p",
        {"use_default": False},
        lambda row: is_set(row, "imaging") and not is_set(row, "suite2p"),
        42,
    ),
    "suite2p of scratched": (
        "needs_s2p",
        {"sessionQC": False},
        lambda row: is_set(row, "imaging") and not is_set(row, "suite2p"),
        3,
    ),
    "suite2p QC": (
        "needs_s2p",
        {"needs_qc": True, "use_default": False},
        lambda row: is_set(row, "imaging", "suite2p") and not is_set(row, "suite2pQC"),
        84,
    ),
    "red cells": (
        "needs_red_cell_qc",
        {"use_default": False},
        lambda row: (
            is_set(row, "imaging", "suite2p", "vrRegistration") and not is_set(row, "redCellQC")
        ),
        53,
    ),
    "registration of scratched": (
        "needs_registration",
        {"sessionQC": False},
        lambda row: row["vrRegistration"] == row["vrRegistrationError"] == "0",
        5,
    ),
}


@pytest.fixture(scope="module")
def rows(shared_file) -> dict[str, list[Row]]:
    """The lab's files, read by nothing of the package."""
    made = {}
    for table in KINDS:
        with shared_file(f"legacy/{table}.csv").open(encoding="utf-8", newline="") as file:
            made[table] = list(csv.DictReader(file))
    return made


def typed(table: str, rows: list[Row]) -> list[tuple[Any, ...]]:
    return [
        tuple(
            None if text == "" and kind != "bool" else READERS[kind](text)
            for text, kind in ((row[name], KINDS[table][name]) for name in row)
        )
        for row in rows
    ]


def values(frame: pd.DataFrame, names: list[str]) -> list[tuple[Any, ...]]:
    columns = [[None if pd.isna(v) else v for v in frame[name]] for name in names]
    return list(zip(*columns, strict=True))


def check_frame(frame: pd.DataFrame, table: str, wanted: list[Row], names: list[str]) -> None:
    """Compare every value, every dtype and the order with the lab's file."""
    assert list(frame.columns)[: len(names)] == names
    assert {name: str(frame[name].dtype) for name in names} == KINDS[table]
    assert values(frame, names) == typed(table, wanted)
    assert frame.index.equals(pd.RangeIndex(len(wanted)))


# -- selecting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SESSION_CALLS)
def test_table_and_sessions_are_those_of_the_labs_file(legacy, rows, name):
    conditions, passes = SESSION_CALLS[name]
    wanted = [row for row in rows["sessiondb"] if passes(row)]

    frame = legacy.sessions.get_table(**conditions)
    sessions = legacy.sessions.iter_sessions(**conditions)

    check_frame(frame, "sessiondb", wanted, list(rows["sessiondb"][0]))
    keys = [
        (row["mouseName"], row["sessionDate"].partition(" ")[0], row["sessionID"]) for row in wanted
    ]
    assert [session.session_name for session in sessions] == keys
    assert list(legacy.sessions.gen_sessions(**conditions)) == sessions


@pytest.mark.parametrize("name", NEEDS)
def test_work_lists_are_those_of_the_labs_file(legacy, rows, name):
    method, arguments, passes = NEEDS[name]
    wanted = [row for row in rows["sessiondb"] if passes(row)]
    assert wanted

    frame = getattr(legacy.sessions, method)(**arguments)

    check_frame(frame, "sessiondb", wanted, list(rows["sessiondb"][0]))


@pytest.mark.parametrize("name", SCRATCHED_TOO)
def test_work_lists_hold_the_scratched_sessions_that_are_asked_for(legacy, rows, name):
    method, arguments, passes, count = SCRATCHED_TOO[name]
    wanted = [
        row
        for row in rows["sessiondb"]
        if passes(row) and ("sessionQC" not in arguments or not is_set(row, "sessionQC"))
    ]
    assert len(wanted) == count

    frame = getattr(legacy.sessions, method)(**arguments)

    check_frame(frame, "sessiondb", wanted, list(rows["sessiondb"][0]))


def test_sessions_of_red_cells_hold_the_scratched_ones_that_are_asked_for(legacy):
    found = legacy.sessions.iter_sessions_need_red_cell_qc(use_default=False)

    assert len(found) == 53


def test_positional_indexing_and_choice_serve_notebooks(legacy, rows):
    imaging = [row for row in rows["sessiondb"] if is_set(row, "sessionQC", "imaging")]

    sessions = legacy.sessions.iter_sessions(
        imaging=True, session_params={"spks_type": "significant"}
    )

    assert len(sessions) == len(imaging)
    for position in (40, 41, 14, 10, 0, -1):
        uid = sessions[position].session_uid
        row = imaging[position]
        assert uid == f"{row['mouseName']}.{row['sessionDate'][:10]}.{row['sessionID']}"
    assert random.Random(1).choice(sessions) in sessions
    assert all(some in sessions for some in np.random.default_rng(1).choice(sessions, 3))
    assert [sessions.index(session) for session in sessions] == list(range(len(sessions)))


def test_progress_bar_goes_over_the_sessions_and_knows_how_many(legacy):
    listed = legacy.sessions.iter_sessions(imaging=True)
    shown = io.StringIO()

    gone_over = list(tqdm(listed, desc="Checking sessions", file=shown))

    assert gone_over == listed
    assert f"{len(listed)}/{len(listed)}" in shown.getvalue()
    assert list(tqdm(legacy.sessions.gen_sessions(imaging=True), file=shown)) == listed


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ({}, lambda _: True),
        ({"tracked": True}, lambda row: is_set(row, "tracked")),
        ({"trackerExists": True}, lambda row: is_set(row, "trackerExists")),
        ({"experimentID": 1}, lambda row: row["experimentID"] == "1"),
    ],
    ids=["all", "tracked", "tracker exists", "experiment"],
)
def test_table_of_mice_is_that_of_the_labs_file(legacy, rows, conditions, passes):
    wanted = [row for row in rows["mousedb"] if passes(row)]

    check_frame(legacy.mice.get_table(**conditions), "mousedb", wanted, list(rows["mousedb"][0]))


def test_columns_of_mice_are_zipped_into_dictionaries(legacy, rows):
    mice = legacy.mice

    for column in ("KO", "Blinded"):
        found = dict(zip(mice.get_table()["mouseName"], mice.get_table()[column], strict=True))
        assert found == {row["mouseName"]: row[column] == "1" for row in rows["mousedb"]}
    assert list(mice.get_table(tracked=True)["mouseName"].unique()) == [
        row["mouseName"] for row in rows["mousedb"] if row["tracked"] == "1"
    ]


@pytest.mark.parametrize("table", KINDS)
def test_raw_rows_are_plain_values_in_the_order_of_the_columns(legacy, rows, table):
    database = legacy.sessions if table == "sessiondb" else legacy.mice

    names, data = database.table_data()

    count = len(rows[table][0])
    assert names[:count] == list(rows[table][0])
    assert [row[:count] for row in data] == typed(table, rows[table])


def test_column_info_gives_names_types_and_nullability(legacy):
    names, types, nullable = legacy.sessions.table_column_info()

    info = dict(zip(names, zip(types, nullable, strict=True), strict=True))
    assert info["uSessionID"] == (int, False)
    assert info["sessionDate"] == (dt.datetime, False)
    assert info["imaging"] == (bool, False)
    assert info["headPlateRotation"] == (float, True)
    assert info["sessionNotes"] == (str, True)


def test_record_is_the_row_of_the_table(legacy):
    table = legacy.sessions.get_table(use_default=False)
    for position in (0, 100, 243):
        row = table.iloc[position]
        record = legacy.sessions.get_record(*legacy.sessions.session_name(row))
        pd.testing.assert_series_equal(record, row, check_names=False)
    assert legacy.mice.get_record("ATL018")["KO"]


def test_missing_record_is_none_and_printed(legacy, capsys):
    assert legacy.sessions.get_record("ATL015", "1999-01-01", 1) is None
    said = "No session found under: mouseName=ATL015, sessionDate=1999-01-01, sessionID=1\n"
    assert capsys.readouterr().out == said
    assert legacy.sessions.get_record("ATL015", "1999-01-01", 1, verbose=False) is None
    assert capsys.readouterr().out == ""
    with pytest.raises(InvalidValueError, match="mouseName, sessionDate, sessionID"):
        legacy.sessions.get_record("ATL015", "1999-01-01")


@pytest.mark.own_rule
@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
def test_time_zone_changes_nothing(legacy, rows, monkeypatch, zone):
    day = rows["sessiondb"][40]["sessionDate"]
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        frame = legacy.sessions.get_table(use_default=False)
        on_day = legacy.sessions.get_table(use_default=False, sessionDate=day[:10])
        dates = [session.date for session in legacy.sessions.gen_sessions(use_default=False)]
        needed = legacy.sessions.needs_red_cell_qc()
        data = legacy.sessions.table_data()[1]
    finally:
        monkeypatch.undo()
        time.tzset()

    check_frame(frame, "sessiondb", rows["sessiondb"], list(rows["sessiondb"][0]))
    assert data == typed("sessiondb", rows["sessiondb"])
    assert dates == [row["sessionDate"][:10] for row in rows["sessiondb"]]
    assert set(on_day["sessionDate"]) == {pd.Timestamp(day)}
    passes = NEEDS["red cells"][2]
    assert len(needed) == sum(map(passes, rows["sessiondb"]))


# -- a day's work ----------------------------------------------------------------------------------


def test_day_from_suite2p_to_red_cells(desk, fake_vranalysis, capsys):
    made, broken, plain_ = desk.add(701, imaging=True), desk.add(702, imaging=True), desk.add(703)
    db = desk.sessions
    assert [row.sessionID for _, row in db.needs_s2p().iterrows()] == [701, 702]

    for key in (made, broken):
        os.utime(desk.suite2p(key) / "F.npy", (1_700_000_000, 1_700_000_000))
    assert db.check_s2p(with_database_update=True, return_check=True) is True
    db.update_s2p_date_time()
    assert db.needs_s2p().empty
    assert desk.row(made).suite2pDate is not None

    desk.fault(broken, "first flips in trial are not all down!!")
    assert len(db.needs_registration(skip_errors=False)) == 3
    db.register_sessions(max_data=50e9, skip_errors=False)
    capsys.readouterr()
    db.print_registration_errors()
    said = "ATL012/2023-01-20/702 had error: first flips in trial are not all down!!\n"
    assert capsys.readouterr().out == said

    (desk.folder(broken) / "fault").unlink()
    assert db.needs_registration().empty
    db.register_sessions(max_data=50e9, skip_errors=False)
    assert db.needs_registration(skip_errors=False).empty
    assert desk.row(plain_).vrRegistration

    waiting = db.iter_sessions_need_red_cell_qc(mouseName="ATL012")
    assert [session.session_id for session in waiting] == ["701", "702"]
    for session in waiting:
        assert db.set_red_cell_qc(session.mouse_name, session.date, session.session_id)
    assert db.needs_red_cell_qc().empty
    db.update_red_cell_qc_date_time()
    assert db.needs_s2p(needs_qc=True)["sessionID"].tolist() == [701, 702]


def test_printed_work_lists_name_the_sessions(desk, capsys):
    desk.add(701, imaging=True, suite2p=True)
    desk.add(702, imaging=True, suite2p=True, vrRegistration=True)

    desk.sessions.needs_s2p(needs_qc=True, return_df=False, sessionID=701)
    desk.sessions.needs_registration(return_df=False)
    desk.sessions.needs_red_cell_qc(return_df=False)

    assert capsys.readouterr().out.splitlines() == [
        "Database indicates that suite2p has been run but not QC'd: ATL012/2023-01-20/701",
        "Session needs registration: ATL012/2023-01-20/701",
        f"{RED_CELLS}: ATL012/2023-01-20/702",
    ]


def test_red_cell_qc_of_what_is_not_there_is_false_and_printed(desk, capsys):
    desk.add(imaging=True)

    assert desk.sessions.set_red_cell_qc("ATL012", "2023-01-20", 999) is False
    assert "Could not find session ATL012/2023-01-20/999" in capsys.readouterr().out
    assert desk.sessions.set_red_cell_qc("ATL012", "2023-01-20", 701) is False
    assert "registration is not done" in capsys.readouterr().out


def test_dates_can_be_previewed(desk, capsys):
    key = desk.add(imaging=True, suite2p=True)
    desk.suite2p(key)

    desk.sessions.update_s2p_date_time(dry_run=True)

    assert "suite2pDate of ATL012/2023-01-20/701" in capsys.readouterr().out
    assert desk.row(key).suite2pDate is None


def test_scratching_by_its_justification_keeps_both_columns_in_step(desk):
    key = desk.add()

    desk.sessions.update_database_field("scratchJustification", "no laser", sessionID=701)
    assert (desk.row(key).sessionQC, desk.row(key).scratchJustification) == (False, "no laser")
    with pytest.raises(InvalidValueError, match="scratch"):
        desk.sessions.update_database_field("sessionQC", val=False, sessionID=701)
    desk.sessions.update_database_field("scratchJustification", None, sessionID=701)
    assert (desk.row(key).sessionQC, desk.row(key).scratchJustification) == (True, None)


def test_connection_of_the_driver_belongs_to_the_caller(desk):
    key = desk.add()
    statement = desk.sessions.create_update_statement("numPlanes", desk.row(key).uSessionID)

    for planes, ends in ((3, "rollback"), (5, "commit")):
        connection = desk.sessions.connect()
        try:
            connection.cursor().execute(statement, [planes])
            getattr(connection, ends)()
        finally:
            connection.close()

    assert desk.row(key).numPlanes == 5


def test_error_without_a_message_is_printed_as_such(desk, capsys):
    desk.add(vrRegistrationError=True)

    desk.sessions.print_registration_errors()

    assert capsys.readouterr().out == "ATL012/2023-01-20/701 had error: (no message)\n"


@pytest.mark.parametrize("uid", [None, float("nan"), pd.NA, ""], ids=str)
def test_statement_for_no_row_is_refused(desk, uid):
    with pytest.raises(InvalidValueError, match="uSessionID is missing"):
        desk.sessions.create_update_statement("imaging", uid)


def test_field_that_is_no_name_is_refused(desk, capsys):
    desk.add()

    for change in (desk.sessions.create_update_statement, desk.sessions.update_database_field):
        with pytest.raises(UnknownNameError, match="no column None"):
            change(None, 1)
    assert capsys.readouterr().out == ""


def test_record_needs_a_value_for_each_column(desk):
    with pytest.raises(InvalidValueError, match="2 columns and 1 values"):
        desk.sessions.add_record("", ["mouseName", "sessionDate"], ["ATL012"])
    assert desk.sessions.get_table(use_default=False).empty


# -- names and settings --------------------------------------------------------------------------


@pytest.mark.parametrize("name", OLD_SIGNATURES)
def test_method_takes_what_the_old_one_took(name):
    parameters = list(inspect.signature(getattr(SessionDatabase, name)).parameters.values())[1:]
    spelled = [str(p).partition(":")[0] if p.kind != p.KEYWORD_ONLY else p.name for p in parameters]
    plain_ = [
        text.lstrip("*") if p.default is p.empty else f"{p.name}={p.default}"
        for p, text in zip(parameters, spelled, strict=True)
    ]
    old = [text.lstrip("*") for text in OLD_SIGNATURES[name]]

    kept = [text for text in plain_ if text in old]
    assert kept == old
    added = [p for p, text in zip(parameters, plain_, strict=True) if text not in old]
    assert all(p.kind in {p.KEYWORD_ONLY, p.VAR_KEYWORD} for p in added)


def test_metadata_comes_from_the_environment(desk):
    metadata = get_database_metadata("vrSessions")

    assert list(metadata) == [
        *("db_path", "db_name", "db_ext", "table_name", "uid", "backup_path"),
        *("unique_fields", "default_conditions", "constructor"),
    ]
    assert (metadata["table_name"], metadata["uid"]) == ("sessiondb", "uSessionID")
    assert metadata["unique_fields"] == [
        ("mouseName", str),
        ("sessionDate", dt.datetime),
        ("sessionID", int),
    ]
    assert metadata["default_conditions"] == {"sessionQC": True}
    assert metadata["constructor"] is SessionDatabase
    if desk.sessions.host_type == "postgresql":
        with pytest.raises(ConfigurationError, match="server"):
            desk.sessions.get_dbfile()
    else:
        assert desk.sessions.get_dbfile().is_file()
    assert type(desk.mice) is BaseDatabase
    assert desk.mice.unique_fields == [("mouseName", str)]


def test_metadata_is_shown(desk, capsys):
    desk.sessions.show_metadata()

    said = capsys.readouterr().out
    assert said.startswith(f"{desk.sessions.host_type} database located at {desk.sessions.db_path}")
    assert "table name: sessiondb, with uid: uSessionID" in said
    assert "No backup path specified..." in said
    assert "`sessionQC`==True" in said


def test_unknown_name_is_refused_with_the_known_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("VRTRACKER_URL", str(tmp_path / "lab.db"))

    with pytest.raises(UnknownNameError, match="vrSessions"):
        get_database("vrSession")


def test_no_database_at_all_is_told(monkeypatch):
    monkeypatch.delenv("VRTRACKER_URL", raising=False)

    with pytest.raises(ConfigurationError, match="VRTRACKER_URL"):
        get_database("vrSessions")


CONFIG = """
default_profile = "lab"

[profiles.lab]
url = "{lab}"
backups = "/data/backups"

[profiles.lab.databases.imaging]
table = "sessiondb"
profile = "paper"
default_conditions = {{ sessionQC = true, imaging = true }}

[profiles.lab.databases.broken]
table = "mousedb"
constructor = "pathlib:Path"

[profiles.paper]
url = "{paper}"
"""


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_further_databases_are_declared(backend, tmp_path, monkeypatch):
    lab, paper = (backend.migrated_url().removeprefix("sqlite:///") for _ in range(2))
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(lab=lab, paper=paper), encoding="utf-8")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(path))
    monkeypatch.delenv("VRTRACKER_URL", raising=False)

    assert str(get_database("vrMice").get_dbfile()) == lab
    database = get_database("imaging")
    assert str(database.get_dbfile()) == paper
    database.tracker.mice.add("M1")
    for number, imaging in ((1, True), (2, False)):
        database.tracker.sessions.add(("M1", "2023-01-20", number), imaging=imaging)
    assert database.get_table()["sessionID"].tolist() == [1]
    database.tracker.close()
    assert get_database_metadata("vrSessions")["backup_path"] == "/data/backups"
    with pytest.raises(ConfigurationError, match="subclass of BaseDatabase"):
        get_database("broken")


def test_object_stays_with_the_database_that_it_names(backend, tmp_path, monkeypatch):
    urls = [backend.migrated_url() for _ in range(2)]
    monkeypatch.setenv("VRTRACKER_URL", urls[0])
    first = get_database("vrMice")
    monkeypatch.setenv("VRTRACKER_URL", urls[1])
    second = get_database("vrMice")
    monkeypatch.delenv("VRTRACKER_URL")

    first.add_record(None, ["mouseName"], ["M1"])
    again = pickle.loads(pickle.dumps(second))

    assert first.host_type == second.host_type == backend.name.rstrip("0123456789")
    assert first.get_table()["mouseName"].tolist() == ["M1"]
    assert second.get_table().empty
    assert again.get_table().empty
    for database in (first, second, again):
        database.tracker.close()


def test_pickled_object_holds_no_password(monkeypatch):
    monkeypatch.setenv("VRTRACKER_URL", "postgresql://reader:secret@db.lab/paper")

    sent = pickle.dumps(get_database("vrSessions"))

    assert b"secret" not in sent
    assert pickle.loads(sent).db_name == "paper"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_relative_paths_are_of_the_folder_in_which_the_object_was_made(
    backend, tmp_path, monkeypatch
):
    file = Path(backend.migrated_url().removeprefix("sqlite:///"))
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("VRTRACKER_ROOT", "root")
    monkeypatch.setenv("VRTRACKER_BACKUPS", "backups")
    made = []
    for target in (file.name, f"sqlite:///{file.name}"):
        monkeypatch.setenv("VRTRACKER_URL", target)
        made.append(get_database("vrSessions"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    monkeypatch.chdir(elsewhere)

    for database in made:
        assert database.get_table().empty
        assert database.get_dbfile() == file
        assert database.tracker.root == file.parent / "root"
        assert database.backup_path == str(file.parent / "backups")
        database.tracker.close()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_profile_may_be_named_like_a_file(backend, tmp_path, monkeypatch):
    lab, paper = (backend.migrated_url().removeprefix("sqlite:///") for _ in range(2))
    path = tmp_path / "config.toml"
    config = CONFIG.format(lab=lab, paper=paper).replace(
        'profile = "paper"', 'profile = "paper.v2"'
    )
    path.write_text(config.replace("[profiles.paper]", '[profiles."paper.v2"]'), encoding="utf-8")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(path))
    monkeypatch.delenv("VRTRACKER_URL", raising=False)

    database = get_database("imaging")

    assert str(database.get_dbfile()) == paper
    assert database.get_table().empty
    database.tracker.close()


@pytest.mark.parametrize("fields", [[("a", 1)], [("a", str, int)], [3]], ids=str)
def test_unique_field_must_be_a_name_or_a_name_and_a_type(monkeypatch, tmp_path, fields):
    monkeypatch.setenv("VRTRACKER_URL", str(tmp_path / "lab.db"))
    database = BaseDatabase("vrMice")

    assert database.process_unique_fields(["a", ("b", int)]) == [("a", str), ("b", int)]
    with pytest.raises(InvalidValueError):
        database.process_unique_fields(fields)


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.50 KB"), (30e9, "27.94 GB")]
)
def test_bytes_are_readable(size, said):
    assert readable_bytes(size) == said

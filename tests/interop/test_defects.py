"""What was wrong with the old module is right here: one test a defect, by its number.

The numbers are those of ``docs/vranalysis.md``. Defects 32 (in part) and 33 are of other modules.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.postgres import put_programs_on_path
from support.sample_lab import run_sql, table_counts
from vrtracker import clock
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    DatabaseUnavailableError,
    DuplicateError,
    InvalidValueError,
    RootUnavailableError,
    UnknownNameError,
)
from vrtracker.interop.vranalysis import SessionDatabase
from vrtracker.services.workflow.claims import Claims

OLD = dt.datetime(2023, 2, 1, 12, 0)
LATER = dt.datetime(2030, 1, 1)
STAMP = 1_700_000_000
NEW_OUTPUT = 305
SCRATCHED = {"sessionQC": False, "scratchJustification": "no laser"}
ANALYSED = {"imaging": True, "suite2p": True, "vrRegistration": True}
NAMES = ("ATL012", "2023-01-20", 701)


def local(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds)  # noqa: DTZ006 - the lab's columns hold local times


def numbers(frame) -> list[int]:
    return frame["sessionID"].tolist()


# -- A. lost data, wrong states ----------------------------------------------------------------


def test_defect_01_backup_is_another_whole_file(desk, backend, tmp_path, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    desk.add()
    desk.sessions.backup_path = str(tmp_path / "backups")

    backup = desk.sessions.save_backup(return_out=True)

    assert backup.path.parent == tmp_path / "backups"
    assert backup.bytes > 0
    assert f"{clock.now():%Y%m%d}T" in backup.path.name
    if desk.sessions.host_type != "postgresql":
        assert table_counts(str(backup.path)) == table_counts(desk.url)


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_defect_01_backup_onto_the_database_itself_is_refused(desk):
    desk.sessions.backup_path = desk.sessions.db_path

    with pytest.raises(ConfigurationError, match="another disk"):
        desk.sessions.save_backup()


def test_defect_01_backup_without_a_folder_says_so(desk):
    assert desk.sessions.backup_path is None

    with pytest.raises(ConfigurationError, match="VRTRACKER_BACKUPS"):
        desk.sessions.save_backup()


def test_defect_02_failed_re_registration_keeps_output_and_says_so(desk, fake_vranalysis):
    key = desk.add(vrRegistration=True, vrRegistrationDate=OLD)
    folder = desk.one(key, mpci__times=b"good")
    desk.fault(key, "first flips in trial are not all down!!")

    assert desk.sessions.register_record(desk.sessions.get_record(key)) == (False, 0)

    assert [path.read_bytes() for path in folder.iterdir()] == [b"good"]
    row = desk.row(key)
    assert (row.vrRegistration, row.vrRegistrationDate) == (True, OLD)
    assert row.vrRegistrationError
    assert row.vrRegistrationException == "first flips in trial are not all down!!"


def test_defect_03_re_registration_keeps_curated_cells_and_marks_their_qc_stale(
    desk, fake_vranalysis
):
    key = desk.add(**ANALYSED, redCellQC=True)
    folder = desk.one(
        key,
        mpciROIs__redCellManualAssignments=b"by hand",
        parametersRedS2P__minMaxCutoff=b"by hand",
        mpci__roiSignificantFluorescence=b"made since",
    )

    assert desk.sessions.register_single_session(*NAMES) is True

    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert kept["mpciROIs.redCellManualAssignments.npy"] == b"by hand"
    assert kept["parametersRedS2P.minMaxCutoff.npy"] == b"by hand"
    assert kept["mpci.roiSignificantFluorescence.npy"] == b"made since"
    assert desk.tracker.workflow.states(key)["red_cell_qc"] is State.STALE


def test_defect_04_interrupted_registration_leaves_no_half_and_is_on_record(desk, fake_vranalysis):
    key = desk.add()
    folder = desk.one(key, mpci__times=b"good")
    desk.fault(key, "interrupt")

    with pytest.raises(KeyboardInterrupt):
        desk.sessions.register_single_session(*NAMES)

    assert [path.read_bytes() for path in folder.iterdir()] == [b"good"]
    assert desk.tracker.workflow.attempts(key)["outcome"].tolist() == ["cancelled"]
    assert desk.tracker.workflow.states(key)["registration"] is State.READY


def test_defect_05_raised_failure_leaves_no_half_output(desk, fake_vranalysis):
    key = desk.add()
    desk.fault(key, "boom")

    with pytest.raises(ValueError, match="boom") as raised:
        desk.sessions.register_single_session(*NAMES, raise_exception=True)

    assert raised.traceback[-1].name == "register"
    assert not (desk.folder(key) / "oneData").exists()
    assert desk.row(key).vrRegistrationError


def test_defect_06_missing_folder_is_a_failure_of_one_session(desk, fake_vranalysis):
    lost = desk.add(701, folder=False)
    found = desk.add(702)

    report = desk.sessions.register_sessions()

    assert (report.failed, report.succeeded) == (1, 1)
    assert "no folder" in desk.row(lost).vrRegistrationException
    assert desk.row(found).vrRegistration


def test_defect_07_message_that_no_database_keeps_hides_nothing(desk, fake_vranalysis):
    key, other = desk.add(701), desk.add(702)
    desk.fault(key, "half \x00 " + "x" * 70_000)

    report = desk.sessions.register_sessions()

    assert (report.failed, report.succeeded) == (1, 1)
    assert len(desk.row(key).vrRegistrationException) > 60_000
    assert desk.row(other).vrRegistration


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_defect_08_unmounted_drive_flips_no_flag(desk, state):
    keys = [desk.add(701 + n, imaging=True, suite2p=True) for n in range(4)]
    desk.root.rename(desk.root.with_name("elsewhere"))
    if state == "empty":
        desk.root.mkdir()

    with pytest.raises(RootUnavailableError, match="nothing was changed"):
        desk.sessions.check_s2p(with_database_update=True)

    assert all(desk.row(key).suite2p for key in keys)


def test_defect_08_half_of_a_drive_flips_no_flag(desk):
    keys = [desk.add(701 + n, imaging=True, suite2p=True) for n in range(5)]
    desk.suite2p(keys[0])

    with pytest.raises(RootUnavailableError, match="4 of 5"):
        desk.sessions.check_s2p(with_database_update=True)

    assert all(desk.row(key).suite2p for key in keys)


def test_defect_08_session_without_its_folder_keeps_its_flag(desk):
    key = desk.add(imaging=True, suite2p=True, folder=False)

    assert desk.sessions.check_s2p(with_database_update=True, return_check=True) is False
    assert desk.row(key).suite2p


def test_defect_08_plane_without_its_files_is_not_done(desk, capsys):
    key = desk.add(imaging=True)
    desk.suite2p(key, lacking=("stat",))

    assert desk.sessions.check_s2p(with_database_update=True, return_check=True) is False
    assert not desk.row(key).suite2p

    desk.tracker.sessions.update({"suite2p": True}, key)
    assert desk.sessions.check_s2p(with_database_update=False, return_check=True) is True
    assert "stat.npy" in capsys.readouterr().out
    assert desk.row(key).suite2p


def test_defect_08_correction_takes_the_dates_and_what_follows_along(desk):
    made, lost = desk.add(701, imaging=True), desk.add(702, **ANALYSED, suite2pDate=OLD)
    for file in desk.suite2p(made).iterdir():
        os.utime(file, (STAMP, STAMP))

    desk.sessions.check_s2p(with_database_update=True)

    assert (desk.row(made).suite2p, desk.row(made).suite2pDate) == (True, local(STAMP))
    assert (desk.row(lost).suite2p, desk.row(lost).suite2pDate) == (False, None)
    assert desk.tracker.workflow.states(lost)["registration"] is State.STALE
    assert desk.tracker.history(made)["verb"].tolist()[-1] == "reconciled"


def excluded_with_suite2p(desk, number: int, **columns) -> SessionKey:
    key = desk.add(number, imaging=True, **columns)
    desk.tracker.workflow.exclude(key, "suite2p", "no imaging")
    desk.suite2p(key)
    return key


def test_defect_08_check_alone_reports_what_an_update_would_take_back(desk, capsys):
    key = excluded_with_suite2p(desk, 701)

    assert desk.sessions.check_s2p(return_check=True) is True
    assert "didn't run, but it already did: ATL012/2023-01-20/701" in capsys.readouterr().out
    assert desk.tracker.workflow.states(key)["suite2p"] is State.NOT_APPLICABLE

    assert desk.sessions.check_s2p(with_database_update=True, return_check=True) is True
    assert desk.row(key).suite2p
    assert desk.sessions.check_s2p(return_check=True) is False


def test_defect_08_exclusion_stands_while_planes_are_missing(desk):
    key = excluded_with_suite2p(desk, 701, numPlanes=2)

    assert desk.sessions.check_s2p(with_database_update=True, return_check=True) is False

    assert desk.tracker.workflow.states(key)["suite2p"] is State.NOT_APPLICABLE


def test_defect_08_refused_update_takes_no_exclusion_back(desk):
    key = excluded_with_suite2p(desk, 701)
    for number in range(702, 706):
        desk.add(number, imaging=True, suite2p=True)

    with pytest.raises(RootUnavailableError, match=r"tracker\.reconcile\("):
        desk.sessions.check_s2p(with_database_update=True)

    assert desk.tracker.workflow.states(key)["suite2p"] is State.NOT_APPLICABLE


def test_defect_09_no_file_gives_no_date(desk):
    key = desk.add(**ANALYSED, redCellQC=True)
    (desk.folder(key) / "suite2p").mkdir()

    desk.sessions.update_s2p_date_time()
    desk.sessions.update_red_cell_qc_date_time()

    assert (desk.row(key).suite2pDate, desk.row(key).redCellQCDate) == (None, None)


def test_defect_09_later_stamp_is_kept(desk):
    key = desk.add(**ANALYSED, suite2pDate=LATER, redCellQC=True, redCellQCDate=LATER)
    desk.suite2p(key)
    desk.one(key, mpciROIs__redCellIdx=b"x")

    desk.sessions.update_s2p_date_time()
    desk.sessions.update_red_cell_qc_date_time()

    assert (desk.row(key).suite2pDate, desk.row(key).redCellQCDate) == (LATER, LATER)


def test_defect_09_loop_of_links_gives_no_date(desk):
    first, second = (desk.add(701 + n, **ANALYSED) for n in range(2))
    desk.suite2p(first)
    (desk.folder(second) / "suite2p").symlink_to("suite2p")

    desk.sessions.update_s2p_date_time()

    assert desk.row(first).suite2pDate is not None
    assert desk.row(second).suite2pDate is None


def test_defect_10_curated_files_by_their_right_names_give_the_date(desk):
    key = desk.add(**ANALYSED, redCellQC=True)
    folder = desk.one(
        key,
        mpciROIs__redCellManualAssignments=b"x",
        parametersRedS2P__keyValuePairs=b"written by registration",
    )
    os.utime(folder / "mpciROIs.redCellManualAssignments.npy", (STAMP, STAMP))

    desk.sessions.update_red_cell_qc_date_time()

    assert desk.row(key).redCellQCDate == local(STAMP)


def test_defect_11_red_cell_qc_can_be_taken_back(desk):
    key = desk.add(**ANALYSED)

    assert desk.sessions.set_red_cell_qc(*NAMES) is True
    assert desk.row(key).redCellQC
    assert desk.row(key).redCellQCDate is not None

    assert desk.sessions.set_red_cell_qc(*NAMES, state=False) is True
    assert (desk.row(key).redCellQC, desk.row(key).redCellQCDate) == (False, None)


def test_defect_12_registration_without_imaging_is_on_record(desk, fake_vranalysis):
    key = desk.add(imaging=True)

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is True

    attempt = desk.tracker.workflow.attempts(key).iloc[-1]
    assert "imaging" in attempt["options"]
    assert "false" in attempt["options"]
    assert desk.row(key).imaging
    assert desk.sessions.needs_red_cell_qc().empty
    assert desk.sessions.needs_s2p().empty
    assert desk.tracker.history(key)["verb"].tolist().count("excluded") == 2


def test_defect_13_session_that_waits_for_suite2p_is_no_error(desk, fake_vranalysis, capsys):
    key = desk.add(imaging=True)
    folder = desk.one(key, mpci__times=b"good")

    assert desk.sessions.needs_registration().empty
    assert desk.sessions.register_single_session(*NAMES) is False

    assert "suite2p is not done" in capsys.readouterr().out
    assert not desk.row(key).vrRegistrationError
    assert [path.read_bytes() for path in folder.iterdir()] == [b"good"]


def test_defect_13_error_of_before_suite2p_goes_when_suite2p_is_found(desk):
    key = desk.add(
        imaging=True,
        vrRegistrationError=True,
        vrRegistrationException="Cannot fix mismatches when suite2p data is missing!",
    )
    desk.suite2p(key)

    desk.sessions.check_s2p(with_database_update=True)

    assert not desk.row(key).vrRegistrationError
    assert numbers(desk.sessions.needs_registration()) == [701]


def test_defect_14_session_without_red_cells_leaves_the_list(desk):
    key = desk.add(**ANALYSED)
    assert numbers(desk.sessions.needs_red_cell_qc()) == [701]

    desk.tracker.workflow.exclude(key, "red_cell_qc", "no red channel")

    assert desk.sessions.needs_red_cell_qc().empty
    desk.tracker.workflow.include(key, "red_cell_qc")
    assert numbers(desk.sessions.needs_red_cell_qc()) == [701]


# -- B. identity, duplicates, filters ----------------------------------------------------------


def test_defect_15_scratched_session_is_found_and_not_added_twice(desk):
    desk.add(**SCRATCHED)

    assert desk.sessions.get_record(*NAMES)["scratchJustification"] == "no laser"
    with pytest.raises(DuplicateError, match="no laser"):
        desk.sessions.add_record(None, ["mouseName", "sessionDate", "sessionID"], list(NAMES))

    assert desk.sessions.get_table().empty
    assert len(desk.sessions.get_table(use_default=False)) == 1


def test_defect_16_of_two_that_add_at_once_one_is_told(desk):
    outcomes: list[object] = []
    barrier = threading.Barrier(2)

    def add(database) -> None:
        barrier.wait()
        try:
            database.add_record(None, ["mouseName", "sessionDate", "sessionID"], list(NAMES))
            outcomes.append("added")
        except DuplicateError as error:
            outcomes.append(type(error))

    databases = [desk.database("vrSessions") for _ in range(2)]
    for database in databases:
        database.get_table()
    threads = [threading.Thread(target=add, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, outcomes)) == sorted(map(str, ["added", DuplicateError]))


def test_defect_17_rejected_record_raises_and_added_one_has_its_event(desk):
    columns, values = ["mouseName", "sessionDate", "sessionID"], list(NAMES)

    assert desk.sessions.add_record("INSERT …", columns, values).startswith("Successfully added")
    assert desk.tracker.history(NAMES)["verb"].tolist() == ["added"]
    with pytest.raises(DuplicateError):
        desk.sessions.add_record("INSERT …", columns, values)
    with pytest.raises(InvalidValueError, match="sessionID"):
        desk.sessions.add_record("INSERT …", columns[:2], values[:2])


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "date",
    [
        "2023-01-20",
        "2023/1/20",
        dt.date(2023, 1, 20),
        dt.datetime(2023, 1, 20, 23, 59),
        pd.Timestamp("2023-01-20"),
        np.datetime64("2023-01-20"),
    ],
    ids=repr,
)
def test_defect_18_date_is_found_in_every_form(desk, date):
    desk.add()

    assert desk.sessions.get_record("ATL012", date, "701")["sessionID"] == 701


def test_defect_19_folder_of_padded_number_is_the_sessions_own(desk, fake_vranalysis):
    key = desk.add(1, folder=False)
    padded = desk.root / "ATL012" / "2023-01-20" / "001"
    padded.mkdir(parents=True)

    assert desk.sessions.iter_sessions()[0].data_path == padded
    assert desk.sessions.register_single_session("ATL012", "2023-01-20", "001") is True
    assert (padded / "oneData").is_dir()
    assert desk.sessions.make_b2session(desk.sessions.get_record(key)).opened.session_id == "001"


def test_defect_19_listed_session_spells_its_number_as_its_folder(desk, capsys, monkeypatch):
    key, _ = desk.add(1, folder=False, imaging=True), desk.add(2, folder=False)
    (desk.root / "ATL012" / "2023-01-20" / "001").mkdir(parents=True)
    monkeypatch.setenv("VRTRACKER_CONFIG", str(desk.root.parent / "config.toml"))
    config = 'default_profile = "lab"\n[profiles.lab]\nraw_data = "//server/Subjects/"\n'
    (desk.root.parent / "config.toml").write_text(config, encoding="utf-8")
    sessions = desk.database("vrSessions")

    padded, without_folder = sessions.iter_sessions()
    sessions.needs_s2p(return_df=False)

    assert (padded.session_id, padded.session_uid) == ("001", "ATL012.2023-01-20.001")
    assert without_folder.session_print() == "ATL012/2023-01-20/2"
    assert sessions.session_name(sessions.get_record(key)) == ("ATL012", "2023-01-20", "001")
    assert sessions.get_record(padded.session_uid)["sessionID"] == 1
    said = capsys.readouterr().out
    assert "suite2p has not been run: ATL012/2023-01-20/001" in said
    assert "source: //server/Subjects/ATL012/2023-01-20/001\n" in said
    assert f"target: {desk.root / 'ATL012' / '2023-01-20' / '001'}\n" in said


@pytest.mark.parametrize("root", ["missing", None])
def test_defect_19_sessions_are_listed_without_the_drive(desk, monkeypatch, root):
    desk.add(1)
    if root is None:
        monkeypatch.delenv("VRTRACKER_ROOT")
    else:
        monkeypatch.setenv("VRTRACKER_ROOT", str(desk.root / root))

    (listed,) = desk.database("vrSessions").iter_sessions()

    assert listed.session_print() == "ATL012/2023-01-20/1"


@pytest.mark.own_rule
@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
def test_defect_20_session_has_its_date_in_every_time_zone(desk, monkeypatch, zone):
    desk.add()
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        (listed,) = desk.sessions.iter_sessions()
        (generated,) = desk.sessions.gen_sessions()
        made = desk.sessions.make_b2session(desk.sessions.get_record(*NAMES))
        days = {listed.date, generated.date, made.date, made.session_name[1]}
    finally:
        monkeypatch.undo()
        time.tzset()

    assert days == {"2023-01-20"}


@pytest.mark.own_rule
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_defect_20_files_are_dated_by_the_labs_clock(desk, monkeypatch, zone):
    key = desk.add(**ANALYSED, redCellQC=True)
    curated = desk.one(key, mpciROIs__redCellManualAssignments=b"x")
    for file in (*desk.suite2p(key).iterdir(), *curated.iterdir()):
        os.utime(file, (STAMP, STAMP))
    monkeypatch.setenv("VRTRACKER_TIMEZONE", "UTC")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        sessions = desk.database("vrSessions")
        sessions.update_s2p_date_time()
        sessions.update_red_cell_qc_date_time()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()

    wanted = dt.datetime.fromtimestamp(STAMP, dt.UTC).replace(tzinfo=None)
    assert (desk.row(key).suite2pDate, desk.row(key).redCellQCDate) == (wanted, wanted)


def test_defect_21_filters_are_typed_and_never_evaluated(desk):
    desk.add(701, imaging=True, numPlanes=5)
    desk.add(702, **SCRATCHED)
    table = desk.sessions.get_table

    assert numbers(table(sessionDate=dt.datetime(2023, 1, 20))) == [701]
    assert numbers(table(sessionDate=(pd.Timestamp("2023-01-21"), "<"))) == [701]
    assert numbers(table(sessionID=np.int64(701))) == [701]
    assert numbers(table(numPlanes=None, use_default=False)) == [702]
    assert numbers(table(sessionID=[701, 702, 703])) == [701]
    assert numbers(table(sessionID=((700, 702), "between"), use_default=False)) == [701, 702]
    with pytest.raises(UnknownNameError):
        table(sessionQC=(True, "==sessionQC or "))
    with pytest.raises(InvalidValueError):
        table(sessionID=(1, 2, 3))
    with pytest.raises(UnknownNameError, match="imaging"):
        table(imagin=True)


def test_defect_22_default_conditions_restrict_no_update(desk):
    key = desk.add(**SCRATCHED)

    desk.sessions.update_database_field("dontTrack", val=True, mouseName="ATL012")
    assert desk.row(key).dontTrack
    desk.sessions.update_database_field("sessionQC", val=True, sessionID=701)

    assert (desk.row(key).sessionQC, desk.row(key).scratchJustification) == (True, None)


def test_defect_22_default_conditions_can_be_left_out_of_every_listing(desk, capsys):
    desk.add(**SCRATCHED, vrRegistrationError=True, vrRegistrationException="flips")

    desk.sessions.print_registration_errors(use_default=False)

    assert capsys.readouterr().out == "ATL012/2023-01-20/701 had error: flips\n"


def test_defect_22_run_understands_use_default(desk, fake_vranalysis):
    desk.add(701)
    desk.sessions.default_conditions = {"sessionQC": True, "sessionID": 700}

    assert desk.sessions.register_sessions().results == ()
    assert desk.sessions.register_sessions(use_default=False).succeeded == 1


def test_defect_22_default_conditions_hold_for_the_disk(desk):
    analysed = desk.add(701, **ANALYSED, redCellQC=True)
    desk.suite2p(analysed)
    desk.one(analysed, mpciROIs__redCellIdx=b"x")
    for key in (desk.add(702, imaging=True), excluded_with_suite2p(desk, 703)):
        desk.suite2p(key)
    desk.sessions.default_conditions = {"sessionQC": True, "sessionID": 700}

    assert desk.sessions.check_s2p(with_database_update=True, return_check=True) is False
    desk.sessions.update_s2p_date_time()
    desk.sessions.update_red_cell_qc_date_time()
    assert (desk.row(analysed).suite2pDate, desk.row(analysed).redCellQCDate) == (None, None)

    desk.sessions.default_conditions = {"sessionQC": True}
    assert desk.sessions.check_s2p(return_check=True) is True
    desk.sessions.update_s2p_date_time()
    desk.sessions.update_red_cell_qc_date_time()
    assert None not in (desk.row(analysed).suite2pDate, desk.row(analysed).redCellQCDate)


def test_defect_23_failed_sessions_are_listed_when_asked_for(desk):
    desk.add(701, vrRegistrationError=True, vrRegistrationException="flips")
    desk.add(702)

    assert numbers(desk.sessions.needs_registration()) == [702]
    assert numbers(desk.sessions.needs_registration(vrRegistrationError=True)) == [701]
    assert numbers(desk.sessions.needs_registration(skip_errors=False)) == [701, 702]


def test_defect_23_failed_sessions_are_registered_when_asked_for(desk, fake_vranalysis):
    failed = desk.add(701, vrRegistrationError=True, vrRegistrationException="flips")
    desk.add(702)

    report = desk.sessions.register_sessions(vrRegistrationError=True)

    assert [result.key for result in report.results] == [failed]
    assert report.succeeded == 1


def test_defect_24_update_counts_checks_previews_and_is_in_the_history(desk):
    desk.add(701)
    desk.add(702, dontTrack=True)

    preview = desk.sessions.update_database_field("dontTrack", val=True, dry_run=True)
    assert (preview.matched, preview.rows) == (2, 1)
    assert len(desk.sessions.get_table(dontTrack=True)) == 1
    with pytest.raises(InvalidValueError):
        desk.sessions.update_database_field("numPlanes", "many")
    with pytest.raises(UnknownNameError):
        desk.sessions.update_database_field("dontTrak", val=True)

    done = desk.sessions.update_database_field("dontTrack", val=True, where={"mouseName": "ATL012"})
    assert done.rows == 1
    assert desk.tracker.history(("ATL012", "2023-01-20", 701))["verb"].tolist() == [
        "added",
        "edited",
    ]


def test_defect_25_rows_and_sessions_are_in_order_of_uid(desk):
    for number in (703, 701, 702):
        desk.add(number)
    run_sql(desk.url, 'UPDATE "sessiondb" SET "numPlanes" = 5 WHERE "sessionID" = 703')

    frame = desk.sessions.get_table()

    assert numbers(frame) == [703, 701, 702]
    assert frame.index.tolist() == [0, 1, 2]
    assert [s.key.number for s in desk.sessions.iter_sessions()] == [703, 701, 702]
    assert [row[3] for row in desk.sessions.table_data()[1]] == [703, 701, 702]


def test_defect_26_names_and_rows_come_from_one_place(desk):
    desk.add()

    names, rows = desk.sessions.table_data()

    assert names == desk.sessions.table_column_info()[0] == list(desk.sessions.get_table().columns)
    assert dict(zip(names, rows[0], strict=True))["sessionDate"] == dt.datetime(2023, 1, 20)
    assert desk.mice.table_data()[0][:2] == ["uMouseID", "mouseName"]


# -- C. broken paths ---------------------------------------------------------------------------


def test_defect_27_cursor_raises_the_drivers_own_error_and_rolls_back(desk, capsys):
    key = desk.add()
    statement = desk.sessions.create_update_statement("dontTrack", desk.row(key).uSessionID)
    errors = desk.tracker.database.read_engine.dialect.loaded_dbapi.Error

    def change_and_fail() -> None:
        with desk.sessions.open_cursor(commit_changes=True) as cursor:
            cursor.execute(statement, [True])
            cursor.execute("SELECT nowhere FROM sessiondb")

    with pytest.raises(errors):
        change_and_fail()

    assert not desk.row(key).dontTrack
    assert "nowhere" in capsys.readouterr().out.lower()


def test_defect_27_failure_to_connect_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_URL", str(tmp_path / "missing.db"))
    database = SessionDatabase()

    with pytest.raises(DatabaseUnavailableError, match=r"missing\.db"), database.open_cursor():
        pass


def test_defect_27_cursor_commits_when_asked_and_else_only_reads(desk):
    key = desk.add()
    statement = desk.sessions.create_update_many_statement("numPlanes")
    number = desk.row(key).uSessionID

    with desk.sessions.open_cursor(commit_changes=True) as cursor:
        cursor.executemany(statement, [(5, number)])
    assert desk.row(key).numPlanes == 5

    with (
        pytest.raises((BackendError, desk.tracker.database.read_engine.dialect.loaded_dbapi.Error)),
        desk.sessions.open_cursor() as cursor,
    ):
        cursor.executemany(statement, [(6, number)])
    assert desk.row(key).numPlanes == 5


def test_defect_28_targets_of_suite2p_are_printed(desk, capsys):
    desk.add(imaging=True)

    assert desk.sessions.needs_s2p(return_df=False) is None

    said = capsys.readouterr().out
    assert "suite2p has not been run: ATL012/2023-01-20/701" in said
    assert str(desk.root / "ATL012" / "2023-01-20" / "701") in said


def test_defect_29_session_that_was_never_registered_is_listed_like_any(
    desk, fake_vranalysis, capsys
):
    desk.add(701, imaging=True)
    desk.add(702)

    first, second = desk.sessions.iter_sessions()
    desk.sessions.needs_registration(return_df=False)
    desk.sessions.needs_s2p(return_df=False)
    desk.sessions.check_s2p()

    assert (first.session_id, second.session_print()) == ("701", "ATL012/2023-01-20/702")
    assert "needs registration: ATL012/2023-01-20/702" in capsys.readouterr().out
    with pytest.raises(ValueError, match="json files were not found"):
        _ = first.params


def test_defect_30_options_are_plain_python_values(desk, fake_vranalysis):
    key = desk.add(vrBehaviorVersion=2)
    record = desk.sessions.get_record(*NAMES)

    options = desk.sessions.backend.options(record, {})
    assert type(options.vrBehaviorVersion) is int
    assert type(options.imaging) is bool
    assert desk.sessions.register_record(record) == (True, NEW_OUTPUT)
    assert '"vrBehaviorVersion": 2' in (desk.folder(key) / "vrExperimentOptions.json").read_text()
    assert desk.sessions.register_single_session("ATL012", "2023-01-20", 999) is None


def test_defect_31_check_of_a_healthy_lab_is_false(desk):
    assert desk.sessions.check_s2p(return_check=True) is False
    key = desk.add(imaging=True)
    assert desk.sessions.check_s2p(return_check=True) is False
    desk.suite2p(key)
    assert desk.sessions.check_s2p(return_check=True) is True
    assert desk.sessions.check_s2p() is None


def test_defect_32_session_database_needs_no_name(desk):
    desk.add()
    database = SessionDatabase()

    assert len(database.get_table()) == 1
    database.tracker.close()


def test_defect_34_run_takes_filters_keeps_order_and_limit_and_reports(
    desk, fake_vranalysis, capsys
):
    for number in (703, 701, 702):
        desk.add(number, experimentID=number % 2)

    report = desk.sessions.register_sessions(experimentID=1)
    assert [result.key.number for result in report.results] == [703, 701]
    assert "2 succeeded" in capsys.readouterr().out

    report = desk.sessions.register_sessions(max_data=NEW_OUTPUT - 1)
    assert report.succeeded == 0
    assert "limit reached" in capsys.readouterr().out
    assert not (desk.root / "ATL012" / "2023-01-20" / "702" / "oneData").exists()

    options = {"oasis": False}
    report = desk.sessions.register_sessions(options=options)
    assert report.succeeded == 1
    attempts = desk.tracker.workflow.attempts(("ATL012", "2023-01-20", 702))
    assert attempts["outcome"].value_counts().to_dict() == {"cancelled": 1, "succeeded": 1}
    (kept,) = attempts[attempts["outcome"] == "succeeded"]["options"]
    assert "oasis" in kept


def test_defect_34_session_that_another_worker_has_is_left_alone(desk, fake_vranalysis):
    key = desk.add()
    workflow = desk.tracker.workflow
    lab = desk.tracker._lab
    Claims(lab, {}).start(key, workflow.stages["registration"], desk.sessions.backend.registrar({}))

    assert desk.sessions.register_sessions().results == ()
    assert desk.sessions.register_single_session(*NAMES) is False
    assert not (desk.folder(key) / "oneData").exists()


def test_defect_35_names_and_uid_are_checked_before_they_are_sql(desk):
    with pytest.raises(UnknownNameError):
        desk.sessions.create_update_statement("suite2p = 1; DROP TABLE sessiondb; --", 1)
    with pytest.raises(InvalidValueError):
        desk.sessions.create_update_statement("suite2p", "1 OR 1=1")
    assert desk.sessions.create_update_statement("suite2p", "12").endswith("= 12")


def test_defect_35_parameters_of_one_session_are_not_anothers(desk, fake_vranalysis):
    for number in (701, 702):
        (desk.folder(desk.add(number)) / "vrExperimentOptions.json").write_text("{}")

    first, second = desk.sessions.iter_sessions(session_params={"spks_type": "oasis"})
    first.params["spks_type"] = "other"

    assert second.params == {"spks_type": "oasis"}
    assert desk.sessions.iter_sessions()[0].params == {}


def test_defect_36_attempts_say_when_in_utc_who_where_and_with_what(desk, fake_vranalysis):
    key = desk.add()
    desk.fault(key, "flips")
    desk.sessions.register_single_session(*NAMES)

    attempt = desk.tracker.workflow.attempts(key).iloc[-1]

    assert str(attempt["started_at"].tz) == "UTC"
    assert attempt["actor"]
    assert attempt["host_name"]
    assert "vrtracker" in attempt["versions"]
    assert attempt["error_type"] == "ValueError"
    assert "in register" in attempt["error_traceback"]


def test_defect_37_message_of_a_success_is_empty_as_of_one_never_tried(desk, fake_vranalysis):
    key = desk.add(vrRegistrationError=True, vrRegistrationException="flips")
    assert len(desk.sessions.get_table(vrRegistrationException=(None, "!="))) == 1

    desk.sessions.register_sessions(skip_errors=False)

    assert desk.row(key).vrRegistration
    assert desk.sessions.get_table(vrRegistrationException=(None, "!=")).empty


def test_defect_38_values_keep_their_precision_and_writers_wait_for_each_other(desk):
    key = desk.add(headPlateRotation=12.8, suite2pDate=dt.datetime(2023, 1, 22, 10, 0, 59))
    threads = [
        threading.Thread(
            target=desk.sessions.update_database_field,
            args=(name, value),
            kwargs={"mouseName": "ATL012"},
        )
        for name, value in (("numPlanes", 5), ("experimentID", 2), ("dontTrack", True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    row = desk.row(key)
    assert (row.headPlateRotation, row.suite2pDate.second) == (12.8, 59)
    assert (row.numPlanes, row.experimentID, row.dontTrack) == (5, 2, True)


def test_defect_39_what_was_dropped_is_back(desk, capsys):
    desk.add(701)
    (session,) = desk.sessions.iter_sessions()

    desk.sessions.print_sessions(mouseName="ATL012")
    desk.sessions.print_mice_in_sessions([session, session])

    assert capsys.readouterr().out == "ATL012/2023-01-20/701\nATL012\n"
    assert desk.sessions.get_record(session)["sessionID"] == 701
    assert desk.sessions.get_record("ATL012.2023-01-20.701")["sessionID"] == 701


def test_every_defect_has_its_row_in_the_docs_and_its_test():
    page = (Path(__file__).parents[2] / "docs" / "vranalysis.md").read_text(encoding="utf-8")
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    tests = {int(name[12:14]) for name in globals() if name.startswith("test_defect_")}

    assert rows == list(range(1, 40))
    assert set(rows) - tests == {33}

"""The doctor finds each problem that it knows, and none in a healthy lab."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import shutil
import sqlite3
import types
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import sqlalchemy as sa

from support.sample_lab import raw_engine, run_sql
from support.workflow_lab import wait_for
from vrtracker import clock
from vrtracker.backends.access.holders import lock_file
from vrtracker.database import Database, migration
from vrtracker.database.versions import REVISIONS
from vrtracker.services.doctor import database as contents
from vrtracker.services.doctor import examine
from vrtracker.services.doctor.diagnosis import Status
from vrtracker.services.doctor.examining import CHECKS

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-21.2"
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def seen(lab, monkeypatch, tmp_path):
    """Return what the doctor finds in the test's `lab`, by the name of the check."""
    monkeypatch.setenv("VRTRACKER_BACKUPS", str(tmp_path / "backups"))
    lab.add(ONE)

    def look(**options):
        found = examine(lab.url, **{"root": lab.root, **options})
        assert [check.name for check in found.checks] == list(CHECKS)
        return {check.name: check for check in found.checks}

    look.lab = lab
    return look


def problems(checks):
    """Return the checks that found something; each says what to do."""
    wrong = [c for c in checks.values() if c.status in {Status.WARNING, Status.ERROR}]
    assert all(check.remedy for check in wrong)
    return {check.name: str(check.status) for check in wrong}


def test_healthy_lab_has_no_problem(seen, tmp_path):
    seen.lab.clock.time = clock.now()
    seen.lab.tracker.back_up(tmp_path / "backups")

    checks = seen()

    assert problems(checks) == {}
    skipped = {check.name for check in checks.values() if check.status is Status.SKIPPED}
    assert skipped <= {"place"}
    assert "1 of 1 session have" in checks["root"].message
    assert "0 days old" in checks["backups"].message


def test_missing_backup_is_made_when_asked_for_but_not_its_folder(seen, tmp_path):
    assert problems(seen()) == {"backups": "warning"}
    assert examine(seen.lab.url, root=seen.lab.root, fix=True).fixed == ()
    assert not (tmp_path / "backups").exists()
    (tmp_path / "backups").mkdir()

    found = examine(seen.lab.url, root=seen.lab.root, fix=True)

    assert found.is_well
    assert len(found.fixed) == 1
    assert problems(seen()) == {}


def test_row_that_refers_to_no_mouse_is_an_error(seen, backend):
    seen.lab.close()
    name_no_mouse(seen.lab.url, backend.name)

    checks = seen()

    assert checks["references"].status is Status.ERROR
    assert "sessiondb.mouseName = 'm1'" in checks["references"].message


def name_no_mouse(url: str, kind: str) -> None:
    """Write a name that no mouse has into the session, past the foreign key."""
    if kind == "access":
        from vrtracker.backends.access.jackcess_ops import opened

        # Microsoft's engine takes this one: its foreign keys do not tell letters apart.
        with opened(Database(url).backend.file(Database(url).url)) as file:
            table = file.getTable("sessiondb")
            row = table.getNextRow()
            row.put("mouseName", "m1")
            table.updateRow(row)
        return
    away = ["SET session_replication_role = replica"] if kind.startswith("postgresql") else []
    run_sql(url, *away, """UPDATE sessiondb SET "mouseName" = 'm1'""")


def test_stage_whose_attempt_is_missing_is_an_error(seen):
    seen.lab.mark(ONE, "registration", "done", "f" * 32)

    found = seen()

    assert found["references"].status is Status.ERROR
    assert "vrt_stage_state.attempt_id" in found["references"].message


def test_claim_whose_lease_has_ended_is_freed_when_asked_for(seen):
    lab = seen.lab
    lab.insert("attempts", [lab.attempt_row(lab.number(ONE), "registration", "a" * 32)])
    lab.mark(ONE, "registration", None, "a" * 32)
    checks = seen()
    assert checks["claims"].status is Status.WARNING
    assert ONE in checks["claims"].message

    fixed = examine(lab.url, root=lab.root, fix=True)

    assert any("lease ended" in sentence for sentence in fixed.fixed)
    assert seen()["claims"].status is Status.OK


@SQLITE
def test_old_or_damaged_backup_is_found(seen, tmp_path):
    made = seen.lab.tracker.back_up(tmp_path / "backups").path
    late = functools.partial(_later, dt.timedelta(days=12))
    assert "12 days old" in seen(host=late)["backups"].message

    made.write_bytes(b"SQLite format 3\0" + bytes(made.stat().st_size))

    assert problems(seen()) == {"backups": "error"}


def _later(by: dt.timedelta) -> dt.datetime:
    # The clock of `lab` stands in March; the backup is of that day.
    return dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC) + by


@SQLITE
@pytest.mark.parametrize("ahead", [1, -1])
def test_wrong_clock_is_found(seen, ahead):
    host = functools.partial(_wrong, dt.timedelta(hours=ahead))

    found = seen(host=host)["clock"]

    assert found.status is Status.WARNING
    assert "3600 s" in found.message


def _wrong(by: dt.timedelta) -> dt.datetime:
    return clock.precise() + by


@SQLITE
def test_missing_root_is_an_error_and_lacking_folders_are_counted(seen, tmp_path):
    assert problems(seen(root=tmp_path / "away"))["root"] == "error"

    seen.lab.add(TWO, folder=False)
    checks = seen()
    assert (checks["root"].status, "1 of 2" in checks["root"].message) == (Status.WARNING, True)

    shutil.rmtree(seen.lab.folder(ONE))
    assert problems(seen())["root"] == "error"


@SQLITE
def test_file_that_is_damaged_is_an_error(seen):
    seen.lab.close()
    path = seen.lab.url.removeprefix("sqlite:///")
    with open(path, "r+b") as file:  # noqa: PTH123
        file.seek(4096)
        file.write(os.urandom(4096 * 3))

    checks = seen()

    assert checks["database"].status is Status.ERROR
    assert "restore" in checks["database"].remedy


def test_missing_database_is_an_error(tmp_path):
    found = examine(tmp_path / "nowhere.db", root=tmp_path / "no root")

    assert not found.is_well
    wrong = problems({check.name: check for check in found.checks})
    assert wrong == {"database": "error", "root": "error"}


@SQLITE
def test_schema_that_is_older_or_was_changed_is_an_error(seen):
    run_sql(seen.lab.url, "DROP INDEX ix_vrt_deleted_subject")
    assert "ix_vrt_deleted_subject" in seen()["schema"].message

    seen.lab.close()
    run_sql(seen.lab.url, "CREATE INDEX ix_vrt_deleted_subject ON vrt_deleted (subject_key)")
    migration.downgrade(seen.lab.url, REVISIONS[-2])
    checks = seen()

    assert "db upgrade" in checks["schema"].remedy
    assert checks["references"].status is Status.SKIPPED


@SQLITE
def test_names_that_differ_in_case_are_an_error(seen):
    seen.lab.tracker.mice.add("MÜ1")
    run_sql(seen.lab.url, """UPDATE mousedb SET "mouseName" = 'mü1' WHERE "mouseName" = 'M2'""")

    found = seen()["names"]

    assert found.status is Status.ERROR
    assert "mü1" in found.message


@SQLITE
def test_writer_that_holds_the_file_is_named(seen):
    path = seen.lab.url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        found = seen()["locks"]
    assert found.status is Status.WARNING
    assert seen()["locks"].status is Status.OK


@SQLITE
def test_large_log_is_shortened_when_asked_for(seen, monkeypatch):
    monkeypatch.setattr(contents, "_LARGE_LOG", 0)
    path = seen.lab.url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM mousedb").fetchall()
        with contextlib.closing(sqlite3.connect(path)) as writer:
            for size in (400_000, 1_400_000):
                writer.execute("CREATE TABLE IF NOT EXISTS lab_own (content BLOB)")
                writer.execute("INSERT INTO lab_own VALUES (zeroblob(?))", [size])
                writer.commit()
        assert seen()["log"].status is Status.WARNING

    assert "log was brought" in " ".join(examine(seen.lab.url, fix=True).fixed)
    assert seen()["log"].status is Status.OK


def test_cloud_and_network_folders_are_told(tmp_path, monkeypatch):
    def place(folder: str) -> str:
        found = {check.name: check for check in examine(tmp_path / folder / "lab.db").checks}
        return str(found["place"].status)

    assert place("Dropbox (Lab)") == "warning"
    assert place("data") == "ok"
    drive = types.SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4", opts="rw")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_options: [drive])
    assert place("data") == "warning"


@SQLITE
def test_drive_that_is_full_is_told(seen, monkeypatch):
    usage = types.SimpleNamespace(free=50 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert seen()["space"].status is Status.ERROR

    usage.free = 500 * 1024**2
    assert seen()["space"].status is Status.WARNING


@SQLITE
def test_registrar_that_cannot_be_loaded_and_wrong_profiles_are_told(lab, monkeypatch, tmp_path):
    config = tmp_path / "config.toml"
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    config.write_text(
        f'[profiles.lab]\nurl = "{lab.url}"\nregistrars = {{ suite2p = "no_such:thing" }}\n'
    )
    wrong = {check.name: check for check in examine("lab").checks}
    assert wrong["registrars"].status is Status.ERROR
    assert "no_such" in wrong["registrars"].message

    config.write_text("[profiles.lab]\nlevel = 3\n")
    found = examine("lab")
    assert found.checks[0].name == "profile"
    assert found.checks[0].status is Status.ERROR
    assert {check.status for check in found.checks[1:]} == {Status.SKIPPED}


@pytest.mark.parametrize("backend", ["access"], indirect=True)
def test_who_has_an_access_file_open_is_named(seen, backend):
    path = next(seen.lab.root.parent.glob("*.accdb"))
    record = b"RIG-PC".ljust(32, b"\0") + b"Admin".ljust(32, b"\0")
    lock_file(path).write_bytes(record)
    try:
        found = seen()["locks"]
    finally:
        lock_file(path).unlink()

    assert found.status is Status.WARNING
    assert "Admin on RIG-PC" in found.message


@pytest.mark.parametrize("backend", ["access"], indirect=True)
def test_libraries_that_were_changed_are_named(seen, monkeypatch, tmp_path):
    monkeypatch.setenv("VRTRACKER_ACCESS_JARS", str(tmp_path))

    found = seen()["drivers"]

    assert found.status is Status.ERROR
    assert "ucanaccess" in found.message


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_session_of_a_server_that_others_wait_for_is_named(seen, backend):
    lock = sa.text("LOCK TABLE mousedb IN SHARE ROW EXCLUSIVE MODE")
    engine = raw_engine(seen.lab.url)
    with engine.connect() as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(lock)
        waiting = pool.submit(run_sql, seen.lab.url, str(lock))
        wait_for(lambda: seen()["locks"].status is Status.WARNING)
        holder.rollback()
        waiting.result()

    assert seen()["locks"].status is Status.OK

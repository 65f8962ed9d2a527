"""What is asked of an Access file before anything is written to it."""

from __future__ import annotations

import datetime as dt
import errno
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import vrtracker
from support.access_files import take_lock
from support.processes import spawned_at_once
from support.sample_lab import open_lab
from vrtracker import clock
from vrtracker.backends import parse_url
from vrtracker.backends.access import writing
from vrtracker.backends.access.backend import AccessBackend
from vrtracker.backends.access.file_lock import FileLock
from vrtracker.database.migration import upgrade
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    DatabaseUnavailableError,
    ReadOnlyError,
)
from vrtracker.services.administration.adoption import adopt

TODAY = dt.date(2026, 3, 2)


@pytest.fixture
def file(tmp_path, put_migrated) -> Path:
    return put_migrated(tmp_path / "lab.accdb")


@pytest.fixture
def today(monkeypatch):
    def set_to(day: dt.date) -> None:
        monkeypatch.setattr(clock, "lab_today", lambda: day)

    set_to(TODAY)
    return set_to


def add(url: object, *names: str) -> None:
    with open_lab(str(url)) as tracker:
        tracker.mice.add_many([{"mouseName": name} for name in names])


def mice(url: object) -> list[str]:
    with open_lab(str(url), readonly=True) as tracker:
        return sorted(tracker.mice.frame()["mouseName"])


def backups(file: Path) -> list[str]:
    return sorted(one.name for one in file.parent.glob("lab.backups/*"))


def test_first_write_of_a_day_keeps_the_file_from_before(file, today):
    add(file, "M1")
    assert backups(file) == []

    add(file, "M2")

    add(file, "M3")
    assert backups(file) == ["lab.2026-03-02.accdb"]
    assert mice(file.parent / "lab.backups" / "lab.2026-03-02.accdb") == ["M1"]
    assert mice(file) == ["M1", "M2", "M3"]


def test_each_day_has_its_backup_and_the_newest_fourteen_stay(file, today):
    for day in range(17):
        today(TODAY + dt.timedelta(days=day))
        add(file, f"M{day}")

    assert backups(file) == [f"lab.2026-03-{day:02}.accdb" for day in range(5, 19)]


def test_commit_without_room_for_its_copy_writes_nothing_and_leaves_no_half(file, monkeypatch):
    def full(_source: object, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(BackendError, match=r"No space left.*nothing was written.*Make room"):
            add(file, "M1")

    assert list(file.parent.glob("*undo*")) == []
    add(file, "M2")
    assert mice(file) == ["M2"]


def make_by_upgrade(path: Path, _legacy: Path, _source: Path) -> None:
    upgrade(path)


def make_by_adoption(path: Path, legacy: Path, _source: Path) -> None:
    shutil.copy(legacy, path)
    adopt(path)


def make_by_clone(path: Path, _legacy: Path, source: Path) -> None:
    vrtracker.clone(source, path)


MAKERS = [make_by_upgrade, make_by_adoption, make_by_clone]


@pytest.mark.parametrize("make", MAKERS)
def test_commit_that_fails_is_told_with_its_own_reason_and_the_file(
    legacy_file, tmp_path, put_migrated, monkeypatch, make
):
    source, path = put_migrated(tmp_path / "source.accdb"), tmp_path / "made.accdb"
    add(source, "M1")
    full_copy = shutil.copyfile

    def full(source: object, target: Path, **options: bool) -> object:
        if str(target).endswith(".part") and "undo" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return full_copy(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", full)

    with pytest.raises(BackendError, match=r"No space left.*nothing was written") as refused:
        make(path, legacy_file, source)

    assert str(path) in str(refused.value)
    assert "vrtracker-new" not in str(refused.value)


@pytest.mark.parametrize("pages", [1, 3], ids=["header alone", "three pages"])
def test_damaged_file_names_the_remedy(file, pages):
    file.write_bytes(file.read_bytes()[: 4096 * pages])

    with pytest.raises(BackendError, match=r"lab\.accdb seems damaged.*Compact and repair"):
        mice(file)


def test_pages_of_nonsense_are_damage(file):
    whole = file.read_bytes()
    nonsense = bytes(range(256)) * 16
    file.write_bytes(whole[: 4096 * 3] + nonsense * (len(whole) // 4096 - 3))

    with pytest.raises(BackendError, match=r"lab\.accdb seems damaged.*Compact and repair"):
        mice(file)


def test_file_with_a_password_names_the_remedy(file):
    content = bytearray(file.read_bytes())
    # Where Access keeps the password, in a disguise that any change makes another one's.
    content[0x42:0x4A] = bytes(byte ^ 0x41 for byte in content[0x42:0x4A])
    file.write_bytes(content)

    with pytest.raises(DatabaseUnavailableError, match="Take the password off in Access"):
        mice(file)


@pytest.fixture
def no_room(monkeypatch):
    def full(_source: object, target: object, **_options: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    return lambda: monkeypatch.setattr(shutil, "copy2", full)


def test_disk_without_room_for_the_changed_copy_leaves_the_file(legacy_file, no_room):
    before = legacy_file.read_bytes()
    no_room()

    with pytest.raises(BackendError, match=r"lab\.accdb stays as it was.*No space left.*make room"):
        adopt(legacy_file)

    assert legacy_file.read_bytes() == before


def test_disk_without_room_for_a_clone_or_a_restored_backup_is_told(
    file, tmp_path, put_migrated, no_room
):
    add(file, "M1")
    empty = put_migrated(tmp_path / "empty.accdb")
    backup = shutil.copy(file, tmp_path / "backup.accdb")
    no_room()

    with pytest.raises(BackendError, match=r"empty\.accdb stays as it was.*No space left"):
        vrtracker.clone(file, empty)
    with pytest.raises(BackendError, match=r"empty\.accdb stays as it was.*No space left"):
        AccessBackend().restore(parse_url(empty), Path(backup))

    assert mice(empty) == []


@pytest.fixture
def empty_and_locked(tmp_path, put_migrated, monkeypatch):
    """An empty database whose lock of writers another process holds; nobody waits for it."""
    path = put_migrated(tmp_path / "empty.accdb")
    acquire = FileLock.acquire
    monkeypatch.setattr(FileLock, "acquire", lambda lock, **_: acquire(lock, timeout_s=0))
    hold = "import sys; from support.access_files import take_lock; take_lock(sys.argv[1]); "
    command = [sys.executable, "-c", f"{hold} print('held', flush=True); sys.stdin.read()", path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as holder:
        assert holder.stdout.readline().strip() == b"held"
        yield path
        holder.kill()


def test_clone_and_restore_tell_of_a_lock_that_another_process_holds(file, empty_and_locked):
    add(file, "M1")

    with pytest.raises(BackendError, match="Another process is writing"):
        vrtracker.clone(file, empty_and_locked)
    with pytest.raises(BackendError, match="Another process is writing"):
        AccessBackend().restore(parse_url(empty_and_locked), file)


def test_url_turns_the_daily_backup_off(file, today):
    url = f"access:///{file}?daily_backup=no"
    add(url, "M1")
    add(url, "M2")

    assert backups(file) == []


def test_copy_that_cannot_be_made_stops_the_write(file, today):
    add(file, "M1")
    (file.parent / "lab.backups").write_text("in the way")

    with pytest.raises(BackendError, match=r"lab\.backups"):
        add(file, "M2")

    assert mice(file) == ["M1"]


def test_copy_with_other_rows_than_the_file_is_thrown_away(file):
    add(file, "M1")

    with pytest.raises(BackendError, match="daily_backup=no"):
        writing.back_up_once_a_day(file, lambda: {"mousedb": 2})

    assert backups(file) == []


def test_option_with_a_wrong_value_is_refused(file):
    with pytest.raises(ConfigurationError, match="write yes or no"):
        add(f"access:///{file}?daily_backup=weekly", "M1")


def test_synchronised_folder_is_read_but_not_written(file, tmp_path):
    add(file, "M1")
    synced = tmp_path / "OneDrive - UCL" / "lab"
    synced.mkdir(parents=True)
    file = file.rename(synced / "lab.accdb")

    with pytest.raises(BackendError, match="synced_folder=allow"):
        add(file, "M2")

    assert mice(file) == ["M1"]
    assert [one.name for one in synced.iterdir()] == ["lab.accdb"]


@pytest.mark.parametrize(
    "folder", ["OneDrive - UCL", "Dropbox (Lab)", "Google Drive", "CloudStorage", "Nextcloud"]
)
def test_folder_of_every_such_service_is_known(tmp_path, folder):
    options = writing.WriteOptions(daily_backup=True, synced_folder=False)

    with pytest.raises(BackendError, match="synced_folder=allow"):
        writing.check_folder(tmp_path / folder / "lab" / "lab.accdb", options)


def test_no_file_is_made_in_a_synchronised_folder(tmp_path):
    synced = tmp_path / "OneDrive"
    synced.mkdir()

    with pytest.raises(BackendError, match="OneDrive"):
        upgrade(synced / "lab.accdb")

    assert list(synced.iterdir()) == []


def test_synchronised_folder_is_written_to_when_the_url_allows_it(tmp_path):
    synced = tmp_path / "OneDrive"
    synced.mkdir()
    url = f"access:///{synced}/lab.accdb?synced_folder=allow"

    upgrade(url)
    add(url, "M1")

    assert mice(url) == ["M1"]


def test_file_that_access_has_open_is_not_written_to(file):
    add(file, "M1")
    with open_lab(str(file)) as tracker:
        file.with_suffix(".laccdb").write_bytes(b"RIG-3".ljust(32, b"\0") + b"Ann".ljust(32, b"\0"))
        with pytest.raises(BackendError, match="Ann on RIG-3"):
            tracker.mice.add("M2")

    assert mice(file) == ["M1"]


# -- what Microsoft's driver gets, on an engine that can run here ------------------------------


@pytest.fixture
def other_engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'lab.db'}", poolclass=sa.QueuePool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mousedb (name TEXT)")
    yield engine
    engine.dispose()


def test_one_process_at_a_time_writes_through_odbc(other_engine, tmp_path):
    path = tmp_path / "lab.db"
    writing.guard_odbc(
        other_engine, path, writing.WriteOptions(daily_backup=False, synced_folder=False)
    )
    work = functools.partial(take_lock, str(path))

    with other_engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO mousedb VALUES ('M1')")
        while_writing = spawned_at_once(work)
        connection.commit()
    afterwards = spawned_at_once(work)

    assert [code != 0 for code in while_writing + afterwards] == [True, False]


def test_first_write_of_a_day_through_odbc_keeps_the_file(other_engine, tmp_path, today):
    path = tmp_path / "lab.db"
    writing.guard_odbc(
        other_engine, path, writing.WriteOptions(daily_backup=True, synced_folder=False)
    )

    with other_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO mousedb VALUES ('M1')")

    assert [one.name for one in (tmp_path / "lab.backups").iterdir()] == ["lab.2026-03-02.db"]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM mousedb", "SELECT name INTO copy FROM mousedb", "DROP TABLE mousedb"],
)
def test_read_only_engine_of_odbc_runs_select_alone(other_engine, statement):
    writing.refuse_changes(other_engine)

    with other_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM mousedb").all() == []
        with pytest.raises(ReadOnlyError, match="without readonly=True"):
            connection.exec_driver_sql(statement)


def test_odbc_takes_two_thousand_changed_rows_at_once(file):
    backend = AccessBackend()

    assert backend.rows_in_transaction(sa.make_url(f"access+pyodbc:///{file}")) == 2000
    assert backend.rows_in_transaction(sa.make_url(f"access+ucanaccess:///{file}")) is None


def test_more_rows_than_a_transaction_takes_are_refused_whole(file, monkeypatch):
    monkeypatch.setattr(AccessBackend, "rows_in_transaction", lambda *_: 30)
    add(file, *[f"M{number}" for number in range(15)])

    with pytest.raises(BackendError, match="at most 30 changed rows"):
        add(file, *[f"N{number}" for number in range(16)])

    assert len(mice(file)) == 15


def test_many_small_transactions_are_no_large_one(file, monkeypatch):
    monkeypatch.setattr(AccessBackend, "rows_in_transaction", lambda *_: 30)
    names = [f"M{number}" for number in range(20)]
    with open_lab(str(file)) as tracker:
        for name in names:
            tracker.mice.add(name)

    assert mice(file) == sorted(names)

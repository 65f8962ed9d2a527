"""Backups: whole, dated, in another place, and fewer than asked for only when asked."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import vrtracker
from support.postgres import put_programs_on_path
from support.workflow_lab import WorkflowLab
from vrtracker.database import Database
from vrtracker.errors import BackendError, ConfigurationError, InvalidValueError


@pytest.fixture
def lab(backend, tmp_path, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.add("M1.2023-01-20.1", sessionNotes="naïve 小鼠", headPlateRotation=12.8)
        made.add("M2.2023-01-20.2", sessionQC=False, scratchJustification="no laser")
        yield made


def restored(path: Path, backend) -> str:
    """Return the URL of a database that holds what a backup holds."""
    if path.suffix != ".dump":
        return str(path)
    url = backend.new_url()
    plain = url.replace("postgresql+psycopg", "postgresql")
    subprocess.run(["pg_restore", "--no-owner", f"--dbname={plain}", str(path)], check=True)
    return url


def test_backup_holds_every_row_and_column(lab, backend, tmp_path):
    lab.tracker.workflow.complete("M1.2023-01-20.1", "registration")

    backup = lab.tracker.back_up(tmp_path / "safe" / "deep")
    lab.tracker.sessions.update({"sessionNotes": "later"}, all_rows=True)

    assert backup.bytes == backup.path.stat().st_size > 0
    assert sorted(path.name for path in backup.path.parent.iterdir()) == [backup.path.name]
    with vrtracker.open(restored(backup.path, backend)) as copy:
        table = copy.sessions.frame(include_scratched=True)
        assert table["sessionNotes"].fillna("").tolist() == ["naïve 小鼠", ""]
        assert table["headPlateRotation"].tolist()[0] == 12.8
        pd.testing.assert_frame_equal(copy.mice.frame(), lab.tracker.mice.frame())
        events = len(copy.events(1000))
        assert events + 2 == len(lab.tracker.events(1000))


def test_backups_are_named_for_their_time_and_the_newest_are_kept(lab, tmp_path):
    made = []
    for _ in range(3):
        lab.clock.advance(seconds=1)
        made.append(lab.tracker.back_up(tmp_path / "safe"))
    (tmp_path / "safe" / "other.db").write_bytes(b"not ours")
    assert len(list((tmp_path / "safe").iterdir())) == 4

    lab.clock.advance(seconds=1)
    last = lab.tracker.back_up(tmp_path / "safe", keep=2)

    assert last.removed == (made[0].path, made[1].path)
    assert sorted(p.name for p in (tmp_path / "safe").iterdir()) == sorted(
        ["other.db", made[2].path.name, last.path.name]
    )
    assert f"{lab.clock():%Y%m%dT%H%M%SZ}" in last.path.name


def test_second_backup_of_one_second_takes_nobodys_place(lab, tmp_path):
    first = lab.tracker.back_up(tmp_path / "safe")
    content = first.path.read_bytes()

    with pytest.raises(BackendError, match="already"):
        lab.tracker.back_up(tmp_path / "safe")

    assert first.path.read_bytes() == content


def test_folder_comes_from_the_environment(lab, tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="VRTRACKER_BACKUPS"):
        lab.tracker.back_up()
    monkeypatch.setenv("VRTRACKER_BACKUPS", str(tmp_path / "safe"))

    with vrtracker.open(lab.url) as tracker:
        assert tracker.back_up().path.parent == tmp_path / "safe"


def test_folder_that_cannot_be_made_and_senseless_number_are_refused(lab, tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(BackendError, match="cannot be made"):
        lab.tracker.back_up(tmp_path / "file")
    with pytest.raises(InvalidValueError):
        lab.tracker.back_up(tmp_path / "safe", keep=0)
    assert not (tmp_path / "safe").exists()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_backup_is_made_while_another_writes(lab, tmp_path):
    with lab.another()._lab.unit() as unit:
        unit.deletions.purge([999])

        backup = lab.tracker.back_up(tmp_path / "safe")

    with vrtracker.open(str(backup.path), readonly=True) as copy:
        assert copy.mice.count() == 2


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_program_that_is_too_old_for_the_server_is_done_without(
    lab, backend, tmp_path, monkeypatch
):
    put_programs_on_path(backend.source, monkeypatch, version=16)

    backup = lab.tracker.back_up(tmp_path / "safe")

    assert backup.path.name.endswith(".copy.zip")
    assert list((tmp_path / "safe").iterdir()) == [backup.path]
    vrtracker.restore(lab.tracker.url, backup.path, save=False)


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_dump_that_is_refused_leaves_nothing_and_tells_no_password(lab, backend, tmp_path):
    database = Database(backend.source.server.password_url(lab.tracker.database.url.database))

    with pytest.raises(BackendError, match="permission denied") as refused:
        database.backend.back_up(database.url, tmp_path, "lab")

    assert database.url.password not in str(refused.value)
    assert list(tmp_path.glob("lab*")) == []


def test_time_in_the_name_is_utc(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")

    stamp = backup.path.stem.rpartition(".")[2]
    assert dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC) == lab.clock()


def test_new_backup_stays_where_the_clock_was_ahead_once(lab, tmp_path):
    lab.clock.advance(days=300_000)
    ahead = lab.tracker.back_up(tmp_path / "safe")
    lab.clock.advance(days=-300_000)

    made = lab.tracker.back_up(tmp_path / "safe", keep=1)

    assert made.removed == (ahead.path,)
    assert list((tmp_path / "safe").iterdir()) == [made.path]
    assert made.bytes == made.path.stat().st_size


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("place", ["other/{0.name}", "{0.stem}.sqlite"])
def test_backup_of_another_file_of_the_same_name_stays(lab, tmp_path, place):
    file = Path(lab.tracker.database.url.database)
    twin = file.parent / place.format(file)
    twin.parent.mkdir(exist_ok=True)
    first = lab.tracker.back_up(tmp_path / "safe")
    lab.tracker.close()
    shutil.copy(file, twin)
    lab.clock.advance(seconds=1)

    second = lab.another(database=Database(twin)).back_up(tmp_path / "safe", keep=1)

    assert second.removed == ()
    assert first.path.exists()


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://ann@two/lab",
        "postgresql://ann@one:5433/lab",
        "postgresql://ann@one/lab2",
        "postgresql://ann@/lab?host=/run/two",
    ],
)
def test_servers_and_their_databases_are_told_apart(other):
    one = Database("postgresql://ann@one/lab")

    assert one.backend.place(Database(other).url) != one.backend.place(one.url)


@pytest.mark.parametrize(
    "same", ["postgresql://ann:secret@one:5432/lab", "postgresql://bob@/lab?host=one"]
)
def test_one_database_of_a_server_is_one_however_its_address_is_typed(same):
    one = Database("postgresql://ann@one/lab")

    assert one.backend.place(Database(same).url) == one.backend.place(one.url)


def test_old_backup_that_cannot_be_removed_now_is_left(lab, tmp_path):
    first = lab.tracker.back_up(tmp_path / "safe")
    lab.clock.advance(seconds=1)
    first.path.unlink()
    first.path.mkdir()

    made = lab.tracker.back_up(tmp_path / "safe", keep=1)

    assert made.removed == ()
    assert made.path.exists()

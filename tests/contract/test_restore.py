"""A lost database comes back from its backup, every cell of it, on every kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import vrtracker
from support.postgres import put_programs_on_path
from support.registrars import good
from support.sample_lab import open_lab, run_sql, table_counts
from support.workflow_lab import WorkflowLab
from vrtracker.backends import parse_url
from vrtracker.database import Database
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    ClaimHeldError,
    ConfigurationError,
    InvalidValueError,
    VrtrackerError,
)
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow.claims import Claims
from vrtracker.services.workflow.outcomes import Finished

KEY = "M1.2023-01-20.1"


@pytest.fixture
def lab(backend, tmp_path, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.add(KEY, uSessionID=7, sessionNotes="naïve 小鼠", headPlateRotation=12.8, suite2p=True)
        made.add("M2.2023-01-20.2", sessionQC=False, scratchJustification="no laser")
        made.tracker.workflow.complete(KEY, "registration")
        yield made


def whole(tracker: Any) -> dict[str, pd.DataFrame]:
    """Return all that the tracker shows of a database."""
    frames = {
        "sessions": tracker.sessions.frame(include_scratched=True),
        "mice": tracker.mice.frame(),
        "events": tracker.events(1000),
        "states": tracker.workflow.table(include_scratched=True),
    }
    return frames | {f"decisions of {KEY}": tracker.decisions(KEY)}


def cells(url: str) -> dict[str, list[Any]]:
    """Return every row of every table, read past the tracker."""
    return {
        name: sorted(run_sql(url, f'SELECT * FROM "{name}"'), key=repr)
        for name in table_counts(url)
    }


def lose(url: str) -> None:
    """Lose the database: the file, or on a server all its rows."""
    path = Database(url).backend.file(parse_url(url))
    if path is not None:
        for one in path.parent.glob(f"{path.name}*"):
            one.unlink()
        return
    counts = table_counts(url)
    run_sql(url, f"TRUNCATE {', '.join(counts)} CASCADE")


def test_lost_database_comes_back_with_every_cell(lab, tmp_path):
    url = lab.tracker.url
    key = lab.add("M1.2023-01-20.3")
    lab.tracker.workflow.run("registration", key, registrar=good)
    before = whole(lab.tracker)
    backup = lab.tracker.back_up(tmp_path / "safe")
    lab.tracker.close()
    kept = cells(url)
    assert all(kept[f"vrt_{name}"] for name in ("attempt", "dataset", "event", "stage_state"))
    lose(url)

    restored = vrtracker.restore(url, backup.path, save=False)

    assert restored.saved is None
    assert cells(url) == kept
    with open_lab(url) as tracker:
        for name, frame in whole(tracker).items():
            pd.testing.assert_frame_equal(frame, before[name], obj=name)
        assert tracker.sessions.add("M1.2024-01-01.1").uSessionID == 1 + max(
            before["sessions"]["uSessionID"]
        )


def test_what_was_there_is_saved_first(lab, tmp_path):
    url = lab.tracker.url
    backup = lab.tracker.back_up(tmp_path / "safe")
    lab.clock.advance(seconds=2)
    lab.tracker.sessions.update({"sessionNotes": "later"}, KEY)
    lab.tracker.close()

    restored = vrtracker.restore(url, backup.path)

    with open_lab(url) as tracker:
        assert tracker.sessions.get(KEY).sessionNotes == "naïve 小鼠"
    assert restored.saved is not None
    vrtracker.restore(url, restored.saved.path, save=False)
    with open_lab(url) as tracker:
        assert tracker.sessions.get(KEY).sessionNotes == "later"


def test_backup_does_not_take_the_place_of_a_database_that_is_worked_on(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    key, url = SessionKey.parse(lab.add("M1.2023-01-20.3")), lab.tracker.url
    with open_lab(url) as tracker:
        claims = Claims(tracker._lab, {})
        claim = claims.start(key, lab.stages["registration"], FunctionRegistrar(good))
        before = cells(url)

        with pytest.raises(ClaimHeldError, match=f"registration of {key} is worked on .*--force"):
            vrtracker.restore(url, backup.path, save=False)

        assert cells(url) == before
        claims.cancel(claim, "told to", Finished())
    vrtracker.restore(url, backup.path, save=False)
    assert lab.tracker.sessions.count() == 1


def test_open_tracker_sees_what_was_restored(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    lab.tracker.sessions.update({"sessionNotes": "later"}, KEY)

    vrtracker.restore(lab.tracker.url, backup.path, save=False)

    assert lab.tracker.sessions.get(KEY).sessionNotes == "naïve 小鼠"
    lab.tracker.sessions.update({"sessionNotes": "and on"}, KEY)
    assert lab.tracker.sessions.get(KEY).sessionNotes == "and on"


def test_damaged_backup_changes_nothing(lab, tmp_path):
    backup = lab.tracker.back_up(tmp_path / "safe")
    content = bytearray(backup.path.read_bytes())
    middle = len(content) // 2
    content[64:-64] = b"\xee" * len(content[64:-64])
    backup.path.write_bytes(content[:middle])
    before = whole(lab.tracker)

    with pytest.raises(VrtrackerError):
        vrtracker.restore(lab.tracker.url, backup.path, save=False)

    for name, frame in whole(lab.tracker).items():
        pd.testing.assert_frame_equal(frame, before[name], obj=name)


def test_missing_backup_is_told(lab, tmp_path):
    with pytest.raises(InvalidValueError, match="There is no backup"):
        vrtracker.restore(lab.tracker.url, tmp_path / "none.db")


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_backup_beside_the_database_is_restored_without_saving_alone(lab, tmp_path):
    made = lab.tracker.back_up(tmp_path / "safe").path
    backup = made.rename(Path(parse_url(lab.tracker.url).database or "").with_name(made.name))
    lab.tracker.sessions.update({"sessionNotes": "later"}, KEY)

    with pytest.raises(ConfigurationError, match="--no-save"):
        vrtracker.restore(lab.tracker.url, backup)

    assert lab.tracker.sessions.get(KEY).sessionNotes == "later"
    vrtracker.restore(lab.tracker.url, backup, save=False)
    assert lab.tracker.sessions.get(KEY).sessionNotes == "naïve 小鼠"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_backup_of_another_lab_is_refused_unless_that_is_said(lab, backend, tmp_path, monkeypatch):
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    monkeypatch.setenv("VRTRACKER_BACKUPS", str(own))
    with WorkflowLab.on(backend, tmp_path / "other") as other:
        other.tracker.mice.add("M9")
        backup = other.tracker.back_up(theirs).path

    with pytest.raises(InvalidValueError, match="by its name: it is another lab's"):
        vrtracker.restore(lab.tracker.url, backup)
    assert lab.tracker.sessions.get(KEY).uSessionID == 7
    assert list(theirs.iterdir()) == [backup]
    assert not own.exists()

    restored = vrtracker.restore(lab.tracker.url, backup, other=True)
    assert lab.tracker.mice.get("M9").mouseName == "M9"
    assert restored.saved.path.parent == own
    assert list(theirs.iterdir()) == [backup]


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_database_of_no_tracker_is_not_restored(lab, tmp_path):
    path = Path(parse_url(lab.tracker.url).database or "")
    other = tmp_path / f"other{path.suffix}"
    run = Database(other, create=True)
    with run.changing_schema() as connection:
        connection.exec_driver_sql("CREATE TABLE things (name TEXT(20))")
    run.dispose()

    with pytest.raises(VrtrackerError, match="no backup of a database of vrtracker"):
        vrtracker.restore(lab.tracker.url, other)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_backup_of_another_kind_names_the_clone(lab, tmp_path):
    other = tmp_path / "lab.accdb"
    other.write_bytes(b"x")

    with pytest.raises(InvalidValueError, match="vrtracker clone"):
        vrtracker.restore(lab.tracker.url, other)

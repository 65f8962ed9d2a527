"""A migration of an Access file runs on a copy, which takes the file's place at its end."""

from __future__ import annotations

import functools
import random
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.access_files import mdb_rows, upgrade_when_told
from support.legacy import insert_rows
from support.processes import KILLS_OF_A_SHARE, each_share, killed_when_ready
from support.sample_lab import open_lab, run_sql
from vrtracker.backends.access import replacement
from vrtracker.database import Database
from vrtracker.database.migration import check, upgrade
from vrtracker.database.versions import HEAD, current_revision
from vrtracker.errors import BackendError

FLAGS = dict.fromkeys(("tracked", "trackerExists", "KO", "Blinded"), False)
MICE = [
    {"uMouseID": 3, "mouseName": "ATL012", **FLAGS},
    {"uMouseID": 9, "mouseName": "atl-ü", **FLAGS},
]


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """A file at the first revision, with two mice."""
    path = tmp_path_factory.mktemp("older") / "lab.accdb"
    upgrade(path, "0001")
    insert_rows(str(path), "mousedb", MICE)
    return path


@pytest.fixture
def file(older, tmp_path) -> Path:
    return Path(shutil.copy(older, tmp_path / "lab.accdb"))


def revision_of(path: Path) -> str | None:
    database = Database(path, readonly=True)
    try:
        return current_revision(database)
    finally:
        database.dispose()


def names(path: Path) -> dict[str, str]:
    return {row["uMouseID"]: row["mouseName"] for row in mdb_rows(path, "mousedb")}


def test_old_file_is_kept_as_it_was(file):
    old = file.read_bytes()

    upgrade(file)

    [kept] = file.parent.glob("lab.before-*.accdb")
    assert kept.read_bytes() == old
    assert names(file) == names(kept) == {"3": "ATL012", "9": "atl-ü"}
    assert sorted(one.name for one in file.parent.iterdir()) == sorted(
        [file.name, kept.name, "lab.accdb.vrtracker-lock"]
    )


def test_file_that_access_has_open_is_refused_with_its_holder(file):
    old = file.read_bytes()
    file.with_suffix(".laccdb").write_bytes(b"RIG-3".ljust(32, b"\0") + b"Ann".ljust(32, b"\0"))

    with pytest.raises(BackendError, match=r"Ann on RIG-3.*lab\.laccdb"):
        upgrade(file)

    assert file.read_bytes() == old


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM mousedb WHERE uMouseID = 9",
        "UPDATE mousedb SET mouseName = 'C' WHERE uMouseID = 9",
    ],
    ids=["lost row", "changed value"],
)
def test_copy_that_lost_something_does_not_take_the_place(file, harm):
    old = file.read_bytes()

    def migrate() -> None:
        with (
            replacement.replaced(file, through_java=True) as copy,
            open_lab_below(copy) as connection,
        ):
            connection.cursor().execute(harm)

    with pytest.raises(BackendError, match="mousedb"):
        migrate()

    assert file.read_bytes() == old


def test_rows_in_another_order_are_no_loss(file):
    with (
        replacement.replaced(file, through_java=True) as copy,
        open_lab_below(copy) as connection,
    ):
        cursor = connection.cursor()
        cursor.execute("DELETE FROM mousedb WHERE uMouseID = 3")
        connection.commit()
        connection.number_rows(on=False)
        cursor.execute(
            "INSERT INTO mousedb (uMouseID, mouseName, tracked, trackerExists, KO, Blinded)"
            " VALUES (3, 'ATL012', false, false, false, false)"
        )
        connection.commit()
        connection.number_rows(on=True)
        connection.commit()

    assert names(file) == {"3": "ATL012", "9": "atl-ü"}


def open_lab_below(path: Path):
    from vrtracker.backends.access import ucanaccess

    return ucanaccess.connect(path)


def mouse(name: str) -> str:
    """Return the SQL that adds a mouse past the tracker."""
    columns = ", ".join(f'"{column}"' for column in ("mouseName", *FLAGS))
    return f"INSERT INTO mousedb ({columns}) VALUES ('{name}'{', False' * len(FLAGS)})"


def test_names_that_differ_by_case_are_refused_by_the_file_and_the_tracker_goes_on(file):
    upgrade(file)
    with open_lab(str(file)) as tracker:
        with pytest.raises(sa.exc.IntegrityError, match="ignores the case"):
            run_sql(str(file), mouse("ATL-Ü"))
        tracker.mice.add("B1")

        assert set(tracker.mice.frame()["mouseName"]) == {"ATL012", "B1", "atl-ü"}
    assert set(names(file).values()) == {"ATL012", "B1", "atl-ü"}


def test_many_names_of_which_two_differ_by_case_are_refused_in_our_words(file):
    upgrade(file)
    with open_lab(str(file)) as tracker:
        with pytest.raises(sa.exc.DBAPIError, match="case of letters"):
            run_sql(str(file), mouse("B1"), mouse("B2"), mouse("b1"))
        tracker.mice.add("B1")

    assert set(names(file).values()) == {"ATL012", "B1", "atl-ü"}


@pytest.mark.slow
@pytest.mark.kills
@each_share
def test_killed_migration_leaves_the_old_file_or_the_new_one(older, tmp_path, share):
    draw = random.Random(7 + share)
    outcomes = []
    duration = 60.0
    for number in range(KILLS_OF_A_SHARE + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        path, ready = folder / "lab.accdb", folder / "ready"
        shutil.copy(older, path)
        work = functools.partial(upgrade_when_told, str(path), str(ready))
        if number == 0:
            # The first one is let through, to learn how long it takes.
            assert killed_when_ready(ready, duration, work)
            duration = path.stat().st_mtime - ready.stat().st_mtime
            continue
        killed_when_ready(ready, draw.uniform(0.1, 1.0) * duration, work)

        found = revision_of(path)
        assert found in ("0001", HEAD)
        assert names(path) == {"3": "ATL012", "9": "atl-ü"}
        assert path.read_bytes() == older.read_bytes() or found == HEAD
        outcomes.append(found)
        assert upgrade(path) == HEAD
        assert check(path) == []
        assert not list(folder.glob("*vrtracker-new*"))
    assert "0001" in outcomes

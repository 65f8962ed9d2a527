"""An upgrade that is killed leaves the old schema or the new one, never a part."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from support import processes
from support.processes import in_child, killed_after
from vrtracker.database.migration import check, upgrade
from vrtracker.database.versions import HEAD

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
# Where .ci/run asks for many, it is as many as it was always.
KILLS = max(7, processes.KILLS * 2 // 5)


def prepared(path: Path, revision: str | None) -> None:
    if revision is None:
        return
    upgrade(path, revision)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            'INSERT INTO mousedb ("mouseName", tracked, "trackerExists", "KO", "Blinded") '
            "VALUES ('ATL012', 1, 0, 1, 0)"
        )
    connection.close()


def state_of(path: Path) -> tuple[str | None, list[str], list[tuple[object, ...]]]:
    """Return revision, columns of mousedb and mice, as SQLite reads them after the kill."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        revisions = (
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
            if "alembic_version" in tables
            else []
        )
        columns = [row[1] for row in connection.execute("PRAGMA table_info(mousedb)")]
        mice = connection.execute("SELECT * FROM mousedb").fetchall() if columns else []
        return (revisions[0][0] if revisions else None), columns, mice
    finally:
        connection.close()


@pytest.mark.kills
@pytest.mark.parametrize("start", [None, "0001"], ids=["from nothing", "from 0001"])
def test_killed_upgrade_leaves_the_old_schema_or_the_new_one(tmp_path, start):
    draw = random.Random(7)
    template, reference = tmp_path / "template.db", tmp_path / "reference.db"
    prepared(template, start)
    old = state_of(template)
    shutil.copy(template, reference)
    begun = time.perf_counter()
    assert in_child(lambda: upgrade(reference)) == 0
    moment = (time.perf_counter() - begun) / 2
    new = state_of(reference)
    outcomes = []

    for number in range(KILLS):
        path = tmp_path / f"{number}.db"
        if start is not None:
            shutil.copy(template, path)

        code = killed_after(moment * draw.uniform(0.5, 1.5), lambda: upgrade(path))  # noqa: B023

        found = state_of(path)
        assert found in (old, new), (code, found)
        outcomes.append(found == new)
        # The next kill comes nearer to the moment at which the new schema is there.
        moment *= 0.6 if found == new else 1.7
        assert upgrade(path) == HEAD
        assert state_of(path) == new
        assert check(path) == []

    # Had every kill come too early or too late, nothing would have been tried.
    assert 0 < sum(outcomes) < KILLS

"""Labs to copy, and copying as a program of its own does it."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

import vrtracker
from support.registrars import bad, good
from support.rigs import a_rig
from support.sample_lab import SAMPLE_MICE, SAMPLE_SESSIONS, change_schema, open_lab, raw_engine
from support.templates import on_newest
from support.workflow_lab import TABLES, WorkflowLab
from vrtracker.database import Database
from vrtracker.services.administration import syncing

LONG_NOTE = "Nagetier ✓ 小鼠 🐁 " * 1000
BORN = dt.datetime(2023, 1, 20, 4, 5, 6)
LITTERS = [
    {"litter": 4, "mother": "ATL012", "born": BORN, "weight": 12.25, "weaned": True, "note": None},
    {"litter": 9, "mother": "ATL028", "born": None, "weight": None, "weaned": False, "note": "鼠"},
]
LAST_MOUSE = 40


def _litters() -> list[Any]:
    return [
        sa.Column("litter", sa.Integer),
        sa.Column("mother", sa.String(255)),
        sa.Column("born", sa.DateTime),
        sa.Column("weight", sa.Double),
        sa.Column("weaned", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("litter", name="pk_litters"),
        sa.UniqueConstraint("mother", "weight", name="uq_litters"),
        sa.ForeignKeyConstraint(["mother"], ["mousedb.mouseName"], name="fk_litters"),
    ]


LITTERS_TABLE = sa.Table("litters", sa.MetaData(), *_litters())
"""A table of the lab's own."""


def add_own(url: str) -> None:
    """Add columns and a table as a lab does; the table refers to the mice."""
    change_schema(
        url,
        lambda op: op.add_column("sessiondb", sa.Column("arena", sa.String(20))),
        lambda op: op.add_column("sessiondb", sa.Column("water", sa.Double)),
        lambda op: op.create_table("litters", *_litters()),
    )


@on_newest
def filled(url: str) -> None:
    """Make a database with some of all that a lab's has: also what is the lab's own."""
    add_own(url)
    with TemporaryDirectory() as root, WorkflowLab(url, Path(root)) as lab:
        lab.add("M1.2023-01-20.1")
        lab.tracker.workflow.run(registrar=good)
        lab.add("M1.2023-01-20.2")
        lab.tracker.workflow.run(registrar=bad)
    with open_lab(url) as tracker:
        tracker.mice.add_many(SAMPLE_MICE)
        tracker.sessions.add_many(SAMPLE_SESSIONS)
        tracker.sessions.update({"experimentID": -(2**31)}, sessionID=701)
        key = next(tracker.sessions.iter(mouseName="ATL012")).key
        values = {"sessionNotes": LONG_NOTE, "arena": "naïve ✓", "water": 0.1 + 0.2}
        tracker.sessions.update(values, sessionID=key.number)
        with tracker._lab.unit() as unit:
            number = tracker.sessions.get(key).uSessionID
            names = {"one_id": None, "lab": "cortexlab", "projects": "naïve,pilot"}
            unit.one.add([{"uSessionID": number, **names}])
            file = {"name": "labels.npy", "sha256": "0" * 64}
            run = {"run_hash": "1" * 64, "place": 0, "folder": "naïve", "files": {"labels": file}}
            times = dict.fromkeys(("labelled_at", "recorded_at"), tracker._lab.now())
            unit.tracking.add([{"uSessionID": number, **run, **times}])
            unit.commit()
        tracker.rigs.add(a_rig())
        tracker.rigs.set(key, "b2")
        tracker.workflow.set_qc(key, "session", "warning", reason="looked at it")
        experiment = tracker.experiments.setup("naïve ✓", session=key, message={"a": [None, 0.1]})
        tracker.experiments.record(experiment, [{"parameters": {"x": "ü"}, "outcomes": 1}])
        tracker.experiments.record_config(experiment, b"\x00\xff")
        tracker.freeze("fig3", columns=["arena", "water", "mouse__KO"])
        # Numbers that were given once are not given again, gaps or not.
        tracker.mice.add_many([{"mouseName": "stays", "uMouseID": LAST_MOUSE - 10}])
        tracker.mice.add_many([{"mouseName": "gone", "uMouseID": LAST_MOUSE}])
        tracker.mice.delete("gone", force=True, reason="a mistake")
    with raw_engine(url).begin() as connection:
        for row in LITTERS:
            connection.execute(LITTERS_TABLE.insert(), row)


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, read with the tracker's own types."""
    database = Database(url, readonly=True)
    found = {}
    try:
        tables = [getattr(database.tables, name) for name in TABLES]
        with database.connect(readonly=True) as connection:
            for table in tables:
                found[table.name] = rows_of(connection, table)
            if "litters" in sa.inspect(connection).get_table_names():
                found["litters"] = rows_of(connection, LITTERS_TABLE)
    finally:
        database.dispose()
    return found


def rows_of(connection: sa.Connection, table: sa.Table) -> list[tuple[Any, ...]]:
    """Return the rows of a table in the order of its key."""
    statement = sa.select(table).order_by(*table.primary_key.columns)
    return [tuple(row) for row in connection.execute(statement)]


def clone_when_told(source: str, destination: str, folder: str) -> None:
    """Start Java, make a file `ready` in the folder, wait for `go`, clone; this gets killed."""
    from vrtracker.backends.access import jvm

    jvm.start()
    (Path(folder) / "ready").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.005)
    vrtracker.clone(source, destination)


PORTION = 500
"""How many rows of a table are kept at a time where a copy dies inside one: a tenth of 5,000."""


def die_inside_a_table(source: str, destination: str) -> None:
    """Clone, and be killed once a portion of the table cages is there, and the rest is not."""
    syncing._PORTION = PORTION
    told = []

    def tell(table: str, done: int, total: int) -> None:
        # First of what is compared, then of what is written.
        told.append((table, done))
        if table == "cages" and 0 < done < total and told.count((table, done)) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    vrtracker.clone(source, destination, resume=True, progress=tell)

"""Copies of every size, brought up to date, interrupted, of less than all: always what is asked."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

import vrtracker
from support.backends import each_kind, each_source
from support.clones import contents, filled, rows_of
from support.processes import KILLS, OFTEN
from support.sample_lab import (
    change_schema,
    new_lab,
    open_lab,
    raw_engine,
    run_sql,
    session_rows,
    table_counts,
)
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    InvalidValueError,
    NotEmptyError,
    SchemaError,
    UnknownNameError,
)
from vrtracker.repositories import copying

# A copy takes a thousand rows at once; a hundred show the same edges in a tenth of the time.
CHUNK = 100
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK)
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(copying, "_CHUNK", CHUNK)


def columns() -> list[sa.Column[Any]]:
    """Return the columns of a table that a lab may have."""
    return [
        sa.Column("cage", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rack", sa.String(20)),
        sa.Column("weight", sa.Double),
        sa.Column("price", sa.Numeric(8, 2)),
        sa.Column("cleaned", sa.DateTime),
        sa.Column("full", sa.Boolean, nullable=False),
        sa.Column("picture", sa.LargeBinary),
        sa.Column("note", sa.Text),
    ]


def table_of(rows: int) -> sa.Table:
    """Return the table of the lab's that has so many rows."""
    return sa.Table(f"cages{rows}", sa.MetaData(), *columns())


def cages(rows: int) -> list[dict[str, Any]]:
    """Return rows with gaps, odd letters and the numbers' own ends."""
    return [
        {
            "cage": number + 1,
            "rack": f"ü {number % 7}" if number % 3 else None,
            "weight": number / 7,
            "price": Decimal(number) / 4 if number % 5 else None,
            "cleaned": dt.datetime(2023, 1, 1) + dt.timedelta(seconds=number),
            "full": number % 2 == 0,
            "picture": bytes([number % 256, 0]) if number % 4 else None,
            "note": "小鼠\n" * (number % 5) or None,
        }
        for number in range(rows)
    ]


def lab_of(sizes: tuple[int, ...], keeper: Any) -> Any:
    """Return a tracker on a new lab with tables of these sizes; for reading alone."""
    tracker = new_lab(keeper)
    change_schema(
        tracker.url,
        lambda op: [op.create_table(f"cages{size}", *columns()) for size in sizes],
    )
    with raw_engine(tracker.url).begin() as connection:
        for size in filter(None, sizes):
            connection.execute(table_of(size).insert(), cages(size))
    return open_lab(tracker.url, readonly=True)


@pytest.fixture
def sized(backend, shared_labs) -> str:
    """The URL of a lab with tables of each size."""
    return shared_labs.get(backend, "sized", partial(lab_of, SIZES)).url


@pytest.fixture
def longer(backend, shared_labs) -> str:
    """The URL of a lab with a table that is longer than what is copied at once, and others."""
    return shared_labs.get(backend, "longer", partial(lab_of, (0, 1, CHUNK + 1))).url


@(each_kind if KILLS >= OFTEN else each_source)
def test_tables_of_every_size_are_equal_cell_by_cell(sized, other):
    url = other.new_url()

    made = vrtracker.clone(sized, url)

    assert {f"cages{size}": size for size in SIZES}.items() <= table_counts(url).items()
    assert contents(url) == contents(sized)
    assert {table.name: table.rows for table in made.tables}[f"cages{SIZES[-1]}"] == SIZES[-1]
    with raw_engine(url).begin() as connection:
        for size in SIZES[1:]:
            table = table_of(size)
            connection.execute(table.insert(), {"full": True})
            numbers = [row[0] for row in rows_of(connection, table)]
            assert max(numbers) == size + 1


# -- brought up to date ------------------------------------------------------------------------


def edit(url: str, draw: random.Random) -> None:
    """Change a lab as people do, in its rows and past the tracker."""
    with open_lab(url) as tracker:
        keys = [session.key for session in tracker.sessions.iter()]
        tracker.mice.add(f"new{draw.random()}")
        tracker.sessions.add_many(session_rows(3, start=draw.randrange(2000, 10**6)))
        for key in draw.sample(keys, 3):
            tracker.sessions.update({"sessionNotes": f"edited {draw.random()}"}, key)
        # Another key: what refers to it is to follow.
        tracker.sessions.update({"sessionID": draw.randrange(10**6, 10**7)}, draw.choice(keys))
        tracker.sessions.delete(draw.choice(keys[:-1]), force=True, reason="drawn")
    numbers = [row[0] for row in run_sql(url, 'SELECT "uSessionID" FROM sessiondb')]
    one, two = draw.sample(numbers, 2)
    swap = 'UPDATE sessiondb SET "sessionID" = {} WHERE "uSessionID" = {}'
    [[first]] = run_sql(url, f'SELECT "sessionID" FROM sessiondb WHERE "uSessionID" = {one}')
    [[second]] = run_sql(url, f'SELECT "sessionID" FROM sessiondb WHERE "uSessionID" = {two}')
    run_sql(url, swap.format(-1, one), swap.format(first, two), swap.format(second, one))
    run_sql(url, "DELETE FROM litters WHERE litter = 9")


@each_source
def test_copy_that_is_brought_up_to_date_is_a_full_copy(backend, other):
    source, url = backend.copied_url(filled), other.new_url()
    vrtracker.clone(source, url)
    draw = random.Random(14)
    for _ in range(2):
        edit(source, draw)
        before = contents(url)
        planned = vrtracker.clone(source, url, update=True, dry_run=True)
        assert contents(url) == before

        made = vrtracker.clone(source, url, update=True)

        assert contents(url) == contents(source)
        assert made.tables == planned.tables
        by_name = {table.name: table for table in made.tables}
        assert by_name["mousedb"].added == 1
        assert by_name["sessiondb"].removed == 1
    again = vrtracker.clone(source, url, update=True)
    assert not any(table.added or table.changed or table.removed for table in again.tables)
    with open_lab(url) as tracker:
        assert tracker.sessions.add("ATL012.2023-01-21.1").record.uSessionID > max(
            row[0] for row in contents(source)["sessiondb"]
        )


@SQLITE
def test_copy_that_somebody_works_with_is_not_brought_up_to_date(backend, tmp_path):
    with new_lab(backend, sessions=2) as tracker:
        source, url = tracker.url, tmp_path / "copy.db"
        with pytest.raises(InvalidValueError, match="clone first"):
            vrtracker.clone(source, url, update=True)
        vrtracker.clone(source, url)
        with open_lab(str(url)) as copy:
            copy.mice.add("own")
        before = contents(str(url))

        with pytest.raises(InvalidValueError, match="history of its own"):
            vrtracker.clone(source, url, update=True)

        assert contents(str(url)) == before


@SQLITE
def test_part_is_brought_up_to_date_by_the_same_filters(backend, tmp_path):
    url = tmp_path / "part.db"
    with new_lab(backend, mice=2, sessions=3) as tracker:
        vrtracker.clone(tracker.url, url, imaging=False)
        tracker.sessions.update({"imaging": True}, "ATL012.2023-01-20.702")
        tracker.sessions.add("ATL013.2023-01-20.5")

        vrtracker.clone(tracker.url, url, imaging=False, update=True)

    with open_lab(str(url)) as part:
        keys = part.query().keys()
        assert [str(key) for key in keys] == [
            "ATL012.2023-01-20.701",
            "ATL012.2023-01-20.703",
            "ATL013.2023-01-20.5",
        ]


# -- interrupted ---------------------------------------------------------------------------------


@each_source
def test_copy_that_is_interrupted_goes_on(longer, other):
    url, draw = other.new_url(), random.Random(5)
    ends = sorted(draw.sample(range(1, 12), 3))
    for end in ends:
        steps = vrtracker.iter_copy_tables(longer, url, resume=True)
        for _ in range(end):
            next(steps)
        steps.close()
        with pytest.raises(SchemaError, match="--resume"):
            open_lab(url)

    made = vrtracker.clone(longer, url, resume=True)

    assert contents(url) == contents(longer)
    assert sum(table.added for table in made.tables) < sum(table.rows for table in made.tables)
    with open_lab(url) as tracker:
        assert tracker.mice.add("next").uMouseID == 2
    with pytest.raises(InvalidValueError, match="update"):
        vrtracker.clone(longer, url, resume=True)


@SQLITE
def test_copy_that_is_interrupted_follows_what_changed_meanwhile(backend, tmp_path):
    url = str(tmp_path / "copy.db")
    with new_lab(backend, sessions=5) as tracker:
        steps = vrtracker.iter_copy_tables(tracker.url, url, resume=True)
        while next(steps).table != "sessiondb":
            pass
        steps.close()
        tracker.sessions.update({"numPlanes": 3}, "ATL012.2023-01-20.701")
        tracker.sessions.delete("ATL012.2023-01-20.702")

        vrtracker.clone(tracker.url, url, resume=True)

        assert contents(url) == contents(tracker.url)


# -- less than all -------------------------------------------------------------------------------


@SQLITE
def test_tables_come_one_after_the_other_and_nothing_stays_of_half_a_copy(backend, tmp_path):
    with new_lab(backend, sessions=2) as tracker:
        steps = vrtracker.iter_copy_tables(tracker.url, tmp_path / "copy.db")
        seen = [next(steps) for _ in range(3)]
        steps.close()
        assert not list(tmp_path.glob("copy.db*"))

        whole = list(vrtracker.iter_copy_tables(tracker.url, tmp_path / "copy.db"))

        assert [each.table for each in whole[:3]] == [each.table for each in seen]
        assert {each.table: each.rows for each in whole}["sessiondb"] == 2
        assert all(each.seconds >= 0 for each in whole)
        assert contents(str(tmp_path / "copy.db")) == contents(tracker.url)


@each_source
def test_what_is_skipped_stays_behind(backend, other):
    source, url = backend.copied_url(filled), other.new_url()
    skipped = {
        "skip_tables": ["litters", "vrt_event"],
        "skip_columns": ["sessiondb.sessionNotes", "arena"],
    }

    planned = vrtracker.clone(source, url, dry_run=True, **skipped)
    with pytest.raises((SchemaError, DatabaseUnavailableError)):
        open_lab(url)
    made = vrtracker.clone(source, url, **skipped)

    assert {t.name: t.rows for t in planned.tables} == {t.name: t.rows for t in made.tables}
    with open_lab(source, readonly=True) as old, open_lab(url) as copy:
        assert len(copy.sessions.frame()) == len(old.sessions.frame())
        assert copy.sessions.frame()["sessionNotes"].isna().all()
        assert "arena" not in copy.sessions.columns
        assert "litters" not in copy.database.table_names()
        assert len(copy.events()) == 0
        assert copy.sessions.count(water=0.1 + 0.2) == 1


@SQLITE
@pytest.mark.parametrize(
    ("skipped", "error", "words"),
    [
        ({"skip_tables": ["mousedb"]}, BackendError, "refers to mousedb"),
        ({"skip_columns": ["imaging"]}, BackendError, "may not be empty"),
        ({"skip_tables": ["mice"]}, UnknownNameError, "mousedb"),
        ({"skip_columns": ["sessionNote"]}, UnknownNameError, "sessionNotes"),
        ({"skip_columns": "arena"}, InvalidValueError, "list"),
        ({"update": True, "resume": True}, InvalidValueError, "both"),
        ({"since": "2023-01-20"}, InvalidValueError, "update=True"),
    ],
)
def test_what_cannot_be_skipped_is_told_before_anything_is_written(
    small, tmp_path, skipped, error, words
):
    with pytest.raises(error, match=words):
        vrtracker.clone(small.url, tmp_path / "copy.db", **skipped)
    assert not list(tmp_path.glob("copy*"))


@SQLITE
def test_whole_copy_is_not_taken_for_an_interrupted_one(small, tmp_path):
    vrtracker.clone(small.url, tmp_path / "copy.db")
    with pytest.raises(NotEmptyError):
        vrtracker.clone(small.url, tmp_path / "copy.db")

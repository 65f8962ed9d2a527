"""A clone that is killed is complete or not there, and nothing of it stands in the way."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import vrtracker
from support.backends import SOURCES, Backend, marker
from support.clones import PORTION, clone_when_told, contents, die_inside_a_table
from support.processes import KILLS, OFTEN, in_child, killed_after, quick_processes
from support.sample_lab import change_schema, new_lab, open_lab, raw_engine, table_counts
from vrtracker.backends import parse_url
from vrtracker.database.migration import check
from vrtracker.errors import SchemaError
from vrtracker.services.administration import syncing

KINDS = {marker(name): name for name in reversed(SOURCES)}
# What a kill leaves is a matter of the destination. Each kind is one, and a source, wherever the
# tests run; where they kill often, as in .ci/run, all pairs are tried.
FORKED = [("sqlite", "postgresql"), ("postgresql", "sqlite")]
SPAWNED = [("access", "sqlite"), ("access", "postgresql"), ("sqlite", "access")]
if KILLS >= OFTEN:
    FORKED += [("sqlite", "sqlite"), ("postgresql", "postgresql")]
    SPAWNED += [("postgresql", "access"), ("access", "access")]
# A process that needs Java takes a second to start.
FORKED_KILLS, SPAWNED_KILLS = max(7, KILLS // 5), max(2, KILLS // 5)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Pair:
    """A small lab to copy, and places to copy it to."""

    def __init__(self, source: Backend, destination: Backend) -> None:
        self._destination = destination
        with new_lab(source, sessions=3) as tracker:
            self.source = tracker.url
        self.expected = contents(self.source)

    def new(self) -> str:
        return self._destination.new_url()

    def is_complete(self, url: str) -> bool:
        """Tell whether all is there; whatever is not must not be there at all."""
        path = path_of(url)
        if not path.exists() if path else not table_counts(url):
            return False
        assert contents(url) == self.expected
        assert check(url) == []
        return True

    def can_be_tried_again(self, url: str) -> None:
        """Clone where a kill left nothing, and look for what it did leave."""
        vrtracker.clone(self.source, url)
        assert self.is_complete(url)
        path = path_of(url)
        assert path is None or not list(path.parent.glob(f"{path.stem}*vrtracker-new*"))


def path_of(url: str) -> Path | None:
    """Return the file of a database, None on a server."""
    made = parse_url(url)
    return None if made.host or "host" in made.query else Path(made.database or "")


@pytest.fixture
def pair(request, database_sources, tmp_path) -> Iterator[Pair]:
    made = []
    for kind, name in zip(request.param, ("source", "destination"), strict=True):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Backend(KINDS[kind], database_sources.get(KINDS[kind]), folder))
    yield Pair(*made)
    for backend in made:
        backend.close()


def marked(pairs: list[tuple[str, str]]) -> list[Any]:
    return [
        pytest.param(
            pair, id=" to ".join(pair), marks=[getattr(pytest.mark, one) for one in {*pair}]
        )
        for pair in pairs
    ]


@pytest.mark.kills
@pytest.mark.parametrize("pair", marked(FORKED), indirect=True)
def test_killed_clone_is_complete_or_not_there(pair):
    draw = random.Random(7)
    begun = time.perf_counter()
    assert in_child(lambda: vrtracker.clone(pair.source, pair.new())) == 0
    moment = (time.perf_counter() - begun) / 2
    outcomes = []

    for _ in range(FORKED_KILLS):
        url = pair.new()

        killed_after(
            moment * draw.uniform(0.5, 1.5),
            lambda: vrtracker.clone(pair.source, url),  # noqa: B023
        )

        outcomes.append(pair.is_complete(url))
        # The next kill comes nearer to the moment at which the clone is there.
        moment *= 0.75 if outcomes[-1] else 1.3
        if not outcomes[-1]:
            pair.can_be_tried_again(url)

    # Had every kill come too early or too late, nothing would have been tried.
    assert 0 < sum(outcomes) < FORKED_KILLS


class Child:
    """A process that has Java running and waits to be told to clone."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.url = pair.new()
        self._folder = folder
        folder.mkdir()
        self.process: Any = quick_processes().Process(
            target=clone_when_told, args=(pair.source, self.url, str(folder))
        )
        self.process.start()

    def go(self) -> None:
        """Let it begin, once it is ready."""
        while not (self._folder / "ready").exists():
            assert self.process.is_alive()
            time.sleep(0.005)
        (self._folder / "go").touch()


@pytest.mark.slow
@pytest.mark.kills
@pytest.mark.parametrize("pair", marked(SPAWNED), indirect=True)
def test_killed_clone_through_java_is_complete_or_not_there(pair, tmp_path):
    draw = random.Random(7)
    first = Child(pair, tmp_path / "first")
    child = Child(pair, tmp_path / "0")
    first.go()
    begun = time.perf_counter()
    first.process.join()
    duration = time.perf_counter() - begun
    assert pair.is_complete(first.url)
    outcomes = []

    for number in range(SPAWNED_KILLS):
        # Each starts Java while the one before it is at work.
        current, last = child, number == SPAWNED_KILLS - 1
        current.go()
        child = current if last else Child(pair, tmp_path / str(number + 1))
        # All over the time that it takes; the first one early, whatever else the machine does.
        latest = 0.3 if number == 0 else 1.0
        time.sleep(duration * draw.uniform(0.02, latest))
        current.process.kill()
        current.process.join()

        outcomes.append(pair.is_complete(current.url))
        if not outcomes[-1]:
            pair.can_be_tried_again(current.url)

    assert not all(outcomes)


# -- kept a portion at a time ------------------------------------------------------------------

CAGES = [
    {"cage": number + 1, "rack": f"ü {number % 7}", "weight": number / 7}
    for number in range(2 * PORTION + 200)
]


def _cages() -> list[Any]:
    return [
        sa.Column("cage", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rack", sa.String(20)),
        sa.Column("weight", sa.Double),
    ]


@pytest.mark.parametrize(
    "pair",
    [
        *marked([("sqlite", "postgresql"), ("postgresql", "sqlite")]),
        *(
            pytest.param(*each.values, id=each.id, marks=[*each.marks, pytest.mark.slow])
            for each in marked([("sqlite", "access")])
        ),
    ],
    indirect=True,
)
def test_clone_that_is_killed_inside_a_table_goes_on_there(pair, monkeypatch):
    monkeypatch.setattr(syncing, "_PORTION", PORTION)
    cages = sa.Table("cages", sa.MetaData(), *_cages())
    change_schema(pair.source, lambda op: op.create_table("cages", *_cages()))
    with raw_engine(pair.source).begin() as connection:
        connection.execute(cages.insert(), CAGES)
    url = pair.new()

    for portion in (PORTION, 2 * PORTION):
        child = quick_processes().Process(target=die_inside_a_table, args=(pair.source, url))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert table_counts(url)["cages"] == portion
        with pytest.raises(SchemaError, match="--resume"):
            open_lab(url)
    made = vrtracker.clone(pair.source, url, resume=True)

    assert contents(url) == contents(pair.source)
    assert {table.name: table.added for table in made.tables}["cages"] == 200
    with raw_engine(url).begin() as connection:
        assert [row._asdict() for row in connection.execute(sa.select(cages))] == CAGES
        connection.execute(cages.insert(), {"rack": "next"})
        assert connection.scalar(sa.select(sa.func.max(cages.c.cage))) == len(CAGES) + 1
    assert check(url) == []

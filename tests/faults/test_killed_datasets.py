"""Scans, imports and prunings that are killed: run again, all is as if they never had been."""

from __future__ import annotations

import functools
import hashlib
import os
import random
from pathlib import Path

import pytest

from support.processes import KILLS, killed_when_ready
from support.workflow_lab import WorkflowLab
from vrtracker import clock
from vrtracker.errors import NotFoundError
from vrtracker.interop.one import make_parquet_db

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")

KEYS = [f"M1.2023-01-{day}.{number}" for day in (20, 21, 22) for number in range(1, 5)]
NAMES = [f"alf/p{number}/object{number}.times.npy" for number in range(8)]
# A server shows little that a file does not, and Java takes seconds to start.
COUNTS = {"sqlite": KILLS, "postgresql": 1, "access": 1}
LONGEST_S = 0.3


def work(what: str, url: str, root: str, ready: str, cache: str) -> None:
    """Do one kind of work in small steps, once the file `ready` is made."""
    from vrtracker.database import Database
    from vrtracker.domain.stages import StageGraph
    from vrtracker.services.context import LabContext
    from vrtracker.services.disk import looking
    from vrtracker.tracker import Tracker

    looking._AT_ONCE = 2
    lab = LabContext(database=Database(url), stages=StageGraph(), actor="worker", root=Path(root))
    with Tracker(lab) as tracker:
        tracker.sessions.count()
        Path(ready).touch()
        match what:
            case "scan":
                tracker.datasets.scan()
            case "import":
                tracker.import_one(cache).apply()
            case "prune":
                tracker.datasets.prune().apply()
            case "restore":
                tracker.datasets.restore()


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.real = made.another(now=clock.now)
        made.kills = COUNTS[backend.marker]
        made.draw = random.Random(15)
        for key in KEYS:
            made.add(key)
        change(made)
        made.real.datasets.scan()
        yield made


def change(lab) -> None:
    """Write some files anew, and take some away."""
    for key in KEYS:
        for name in NAMES:
            file = lab.folder(key) / name
            if lab.draw.random() < 0.3:
                file.unlink(missing_ok=True)
            elif lab.draw.random() < 0.6:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(lab.draw.randbytes(lab.draw.randrange(200_000)))


def kill(lab, tmp_path, what: str, number: int, cache: Path | None = None) -> None:
    ready = tmp_path / f"ready-{what}-{number}"
    arguments = (what, lab.url, str(lab.root), str(ready), str(cache))
    killed_when_ready(ready, lab.draw.uniform(0, LONGEST_S), functools.partial(work, *arguments))


def on_disk(lab) -> dict[tuple[str, str], tuple[int, str]]:
    found = {}
    for key in KEYS:
        for file in lab.folder(key).rglob("*.npy"):
            content = file.read_bytes()
            path = file.relative_to(lab.folder(key)).as_posix()
            found[key, path] = (len(content), hashlib.sha256(content).hexdigest())
    return found


def recorded(lab, keys=KEYS) -> dict[tuple[str, str], object]:
    return {(key, each.path): each for key in keys for each in lab.real.datasets.list(key)}


def test_scan_that_is_killed_is_finished_by_the_next(lab, tmp_path):
    for number in range(lab.kills):
        change(lab)
        kill(lab, tmp_path, "scan", number)

        lab.real.datasets.scan()

        there = {place: (r.size, r.sha256) for place, r in recorded(lab).items() if r.exists}
        assert there == on_disk(lab)
        again = lab.real.datasets.scan()
        assert (again.added, again.updated, again.problems) == (0, 0, ())
        assert lab.real.verify().differences == ()


def test_import_that_is_killed_was_done_in_full_or_not_at_all(lab, tmp_path):
    for number in range(lab.kills):
        keys = [f"M{number + 3}.2024-01-01.{session}" for session in range(1, 30)]
        tree = tmp_path / f"tree-{number}"
        for key in keys:
            file = tree / key.replace(".", "/") / "alf" / "trials.times.npy"
            file.parent.mkdir(parents=True)
            file.write_bytes(key.encode())
        make_parquet_db(tree, tmp_path / f"cache-{number}", hash_files=True)
        before = lab.real.sessions.count()

        kill(lab, tmp_path, "import", number, tmp_path / f"cache-{number}")

        assert lab.real.sessions.count() in {before, before + len(keys)}
        plan = lab.real.import_one(tmp_path / f"cache-{number}")
        assert (plan.added, plan.unchanged) in {(0, 2 * len(keys)), (2 * len(keys), 0)}
        plan.apply()
        assert {key for key, _ in recorded(lab, keys)} == set(keys)
        for (key, _), each in recorded(lab, keys).items():
            assert each.md5 == hashlib.md5(key.encode()).hexdigest()
        assert lab.real.verify().differences == ()


@pytest.mark.parametrize("what", ["prune", "restore"])
def test_pruning_that_is_killed_takes_all_away_in_the_end_and_brings_all_back(lab, tmp_path, what):
    for number in range(lab.kills):
        for key in KEYS:
            (lab.folder(key) / NAMES[0]).unlink(missing_ok=True)
            for stray in range(20):
                (lab.folder(key) / f"stray{stray}.times.npy").write_bytes(f"{key}{stray}".encode())
        for (key, path), each in recorded(lab).items():
            assert each.exists or not (lab.folder(key) / path).exists()
        records, files = recorded(lab), on_disk(lab)

        if what == "prune":
            kill(lab, tmp_path, what, number)
        lab.real.datasets.prune().apply()

        assert on_disk(lab).keys() == recorded(lab).keys() == records.keys() & files.keys()
        if what == "restore":
            kill(lab, tmp_path, what, number)
        restore_all(lab)
        assert (recorded(lab), on_disk(lab)) == (records, files)
        assert lab.real.verify().differences == ()


def restore_all(lab) -> None:
    while True:
        try:
            assert lab.real.datasets.restore().left == ()
        except NotFoundError:
            return

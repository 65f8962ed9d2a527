"""Whatever a killed process was doing, the file opens, and what was promised is in it."""

from __future__ import annotations

import functools
import random

import pytest

from support.access_files import add_mice_when_told, mdb_rows
from support.processes import KILLS_OF_A_SHARE, each_share, killed_when_ready
from support.sample_lab import open_lab
from vrtracker.database.migration import check


@pytest.mark.slow
@pytest.mark.kills
@each_share
def test_killed_commit_is_whole_or_not_there(tmp_path, put_migrated, share):
    draw = random.Random(7 + share)
    path = put_migrated(tmp_path / "lab.accdb")
    known: set[str] = set()
    for number in range(KILLS_OF_A_SHARE):
        ready = tmp_path / f"told-{number}"
        work = functools.partial(add_mice_when_told, str(path), str(ready), f"M{number}")

        ended = killed_when_ready(ready, draw.uniform(0.0, 0.4), work)

        assert not ended
        told = set(ready.read_text().splitlines())
        with open_lab(str(path)) as tracker:
            found = set(tracker.mice.frame()["mouseName"])
            events = tracker.events(100_000)
        under_way = f"M{number}-{len(told)}"
        assert found - {under_way} == known | told
        assert set(events["subject_key"]) == found
        assert {row["mouseName"] for row in mdb_rows(path, "mousedb")} == found
        known = found
    assert len(known) > KILLS_OF_A_SHARE
    assert check(path) == []
    # A half-made copy may lie beside the file until somebody writes next.
    with open_lab(str(path)) as tracker:
        tracker.mice.add("after-all")
    assert sorted(one.name for one in tmp_path.glob("*undo*")) == []

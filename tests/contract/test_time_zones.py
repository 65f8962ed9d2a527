"""Where the computer stands changes nothing: the lab's dates are the lab's, by its own zone."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
import zoneinfo

import pandas as pd
import pytest

from support.command_line import environment
from support.workflow_lab import WorkflowLab
from vrtracker.domain.registrars import RegistrarResult

LAB = "Europe/London"
KEY, NEXT = "M1.2023-01-20.1", "M1.2023-07-01.2"
FILES = ("stat", "ops", "F", "Fneu", "iscell", "spks")
# On the lab's clock the second is of the day after, an hour ahead of UTC.
WINTER = dt.datetime(2023, 1, 21, 9, 30, tzinfo=dt.UTC)
SUMMER = dt.datetime(2023, 7, 1, 23, 30, tzinfo=dt.UTC)
LOCAL = ["2023-01-21 09:30:00", "2023-07-02 00:30:00"]

pytestmark = pytest.mark.skipif(
    not hasattr(time, "tzset"), reason="this system cannot change its zone"
)
in_each_zone = pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])


@pytest.fixture
def lab(backend, tmp_path, zone, monkeypatch):
    """Two imaged sessions with suite2p on disk, on a computer in another zone than the lab."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        for key, at in ((KEY, WINTER), (NEXT, SUMMER)):
            made.add(key, imaging=True)
            plane = made.folder(key) / "suite2p" / "plane0"
            plane.mkdir(parents=True)
            for name in FILES:
                (plane / f"{name}.npy").write_bytes(b"x")
                os.utime(plane / f"{name}.npy", (at.timestamp(), at.timestamp()))
        yield made
    monkeypatch.undo()
    time.tzset()


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    return frame[column].astype(str).tolist()


@in_each_zone
def test_dates_are_those_of_the_lab(lab):
    lab.clock.time = SUMMER.replace(year=2025)
    tracker = lab.another(zone=zoneinfo.ZoneInfo(LAB))

    tracker.reconcile().apply()
    tracker.workflow.run("registration", KEY, registrar=lambda _: RegistrarResult([]))
    tracker.workflow.set_qc(KEY, "red_cell", "PASS")

    frame = tracker.sessions.frame()
    assert texts(frame, "sessionDate") == ["2023-01-20", "2023-07-01"]
    assert texts(frame, "suite2pDate") == LOCAL
    assert texts(frame, "vrRegistrationDate")[0] == "2025-07-02 00:30:00"
    assert texts(frame, "redCellQCDate")[0] == "2025-07-02 00:30:00"
    assert tracker.sessions.count(sessionDate="2023-07-01") == 1
    assert tracker.sessions.count(suite2pDate=(dt.datetime(2023, 7, 2), ">=")) == 1
    assert set(tracker.history(KEY)["occurred_at"].iloc[1:]) == {pd.Timestamp(lab.clock.time)}
    assert tracker.reconcile(stages=["suite2p"]).found.changes == ()


@in_each_zone
def test_today_is_that_of_the_lab(lab):
    lab.clock.time = SUMMER.replace(year=2025)
    (lab.root / "M1" / "2025-07-02" / "1").mkdir(parents=True)
    (lab.root / "M1" / "2025-07-02" / "1" / "recording.mat").write_bytes(b"x")

    plan = lab.another(zone=zoneinfo.ZoneInfo(LAB)).scan(date="today")

    assert [row["sessionID"] for row in plan.new] == [1]


@pytest.mark.parametrize("zone", ["America/New_York"])
def test_whole_process_in_another_zone_writes_and_reads_the_same(lab, zone):
    """The driver too may have an idea of the time of its own: Java takes its zone at its start."""
    code = (
        "import json, sys, vrtracker\n"
        "with vrtracker.open(sys.argv[1], root=sys.argv[2]) as tracker:\n"
        "    tracker.reconcile().apply()\n"
        "    frame = tracker.sessions.frame()\n"
        "    names = ['sessionDate', 'suite2pDate']\n"
        "    seen = {name: frame[name].astype(str).tolist() for name in names}\n"
        "    seen['added'] = tracker.history('M1.2023-01-20.1')['occurred_at'][0].isoformat()\n"
        "print(json.dumps(seen))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, lab.url, str(lab.root)],
        env=environment(TZ=zone, VRTRACKER_TIMEZONE=LAB),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert json.loads(done.stdout) == {
        "sessionDate": ["2023-01-20", "2023-07-01"],
        "suite2pDate": LOCAL,
        "added": lab.clock().isoformat(),
    }
    assert texts(lab.tracker.sessions.frame(), "suite2pDate") == LOCAL

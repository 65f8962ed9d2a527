"""The old module's calls on the lab's own Access file, adopted, and on copies of other kinds."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import vrtracker
from support.command_line import good
from vrtracker.interop.vranalysis import get_database
from vrtracker.plots import NAMES

pytestmark = pytest.mark.access

ASKED: dict[str, dict[str, Any]] = {
    "all": {},
    "scratched too": {"use_default": False},
    "a flag": {"imaging": True},
    "an operator": {"sessionID": (702, ">=")},
    "a list": {"mouseName": ["ATL012", "ATL022", "ATL027"]},
    "a date": {"sessionDate": ("2023-03-01", ">=")},
}


def answers(url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """Return what the old calls give on a database."""
    monkeypatch.setenv("VRTRACKER_URL", url)
    sessions, mice = get_database("vrSessions"), get_database("vrMice")
    found = {name: sessions.get_table(**asked) for name, asked in ASKED.items()}
    found["mice"] = mice.get_table()
    found["needs registration"] = sessions.needs_registration()
    found["needs suite2p"] = sessions.needs_s2p(print_targets=False)
    found["needs its QC"] = sessions.needs_s2p(needs_qc=True, print_targets=False)
    found["needs red cells"] = sessions.needs_red_cell_qc()
    first = found["all"].iloc[0]
    record = sessions.get_record(first["mouseName"], first["sessionDate"], first["sessionID"])
    found["a record"] = record.to_frame().T
    for database in (sessions, mice):
        database.tracker.close()
    return found


@pytest.fixture(scope="module")
def ours(adopted) -> dict[str, pd.DataFrame]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return answers(str(adopted), monkeypatch)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql16", "postgresql18"], indirect=True)
def test_frames_of_a_copy_are_those_of_the_adopted_file(adopted, ours, backend, monkeypatch):
    copy = backend.new_url()
    vrtracker.clone(adopted, copy)

    theirs = answers(copy, monkeypatch)

    assert len(ours["scratched too"]) == 244
    assert len(ours["mice"]) == 14
    for name, frame in ours.items():
        pd.testing.assert_frame_equal(frame, theirs[name], obj=name)


def test_every_plot_is_drawn_of_the_labs_file(adopted, tmp_path):
    for name in NAMES:
        path = tmp_path / f"{name}.png"
        of_one = ["--mouse", "ATL015"] if name == "timeline" else []

        good("--url", adopted, "plot", name, *of_one, "--out", path)

        assert path.stat().st_size > 2000

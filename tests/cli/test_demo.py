"""The demo: a lab on disk, its database, its sessions registered."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import vrtracker
from support.command_line import good, refused, run, told
from vrtracker.demo import run_demo


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the files of the lab on disk with size and time."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_demo_ends_with_every_kind_of_state(tmp_path: Path):
    state = told("demo", "--dir", tmp_path / "d")

    assert set(state) == {"url", "root", "role", "mice", "sessions", "held_back", "stages"}
    assert state["url"] == str(tmp_path / "d" / "lab.db")
    assert state["root"] == str(tmp_path / "d" / "lab")
    assert (state["mice"], state["sessions"]) == (3, 12)
    registration = state["stages"]["registration"]
    assert (registration["done"], registration["failed"], registration["blocked"]) == (10, 1, 1)
    assert state["stages"]["suite2p"]["not_applicable"] == 1


def test_demo_can_be_run_again(tmp_path: Path):
    first = told("demo", "--dir", tmp_path)
    files = tree(tmp_path / "lab")

    assert told("demo", "--dir", tmp_path) == first
    assert tree(tmp_path / "lab") == files


def test_demo_shows_errors_and_the_next_commands(tmp_path: Path):
    started = time.monotonic()
    shown = good("demo", "--dir", tmp_path / "d")

    assert time.monotonic() - started < 60
    assert "10 succeeded, 1 failed" in shown
    assert "truncated" in shown
    assert f"vrtracker --url {tmp_path / 'd' / 'lab.db'}" in shown
    assert "nothing was left to register" in good("demo", "--dir", tmp_path / "d")


def test_demo_keeps_what_was_done_with_it(demo):
    key = "DEMO001.2023-01-18.701"
    demo.good("scratch", key, "--reason", "laser off")
    demo.good("mice", "edit", "DEMO001", "--set", "notes=mine")

    state = told("demo", "--dir", Path(demo.url).parent)

    assert state["stages"]["registration"]["scratched"] == 1
    assert demo.told("mice", "show", "DEMO001")["notes"] == "mine"


def test_demo_completes_an_interrupted_one(demo):
    Path(demo.url).unlink()
    lost = demo.root / "DEMO003" / "2023-03-16" / "001" / "oneData" / "licks.times.npy"
    lost.unlink()

    state = told("demo", "--dir", Path(demo.url).parent)

    assert lost.is_file()
    assert state["sessions"] == 12


def test_demo_does_not_use_the_labs_own_registrar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "config.toml"
    config.write_text(
        'default_profile = "rig"\n[profiles.rig]\nurl = "elsewhere.db"\n'
        '[profiles.rig.registrars]\nregistration = "missing.module:function"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))

    state = told("demo", "--dir", tmp_path / "d")

    assert state["stages"]["registration"]["done"] == 10


def test_folder_with_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")

    error = refused("demo", "--dir", tmp_path, code=2)

    assert "thesis.txt" in error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_lab_folder_with_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "lab" / "ATL012").mkdir(parents=True)

    refused("demo", "--dir", tmp_path, code=2)

    assert [path.name for path in (tmp_path / "lab").iterdir()] == ["ATL012"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_file_is_no_folder(tmp_path: Path, below: str):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")

    refused("demo", "--dir", file / below, code=2)

    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a place where nobody can write")
def test_place_that_cannot_be_written_is_refused():
    refused("demo", "--dir", "/proc/vrtracker-demo", code=2)


@pytest.mark.parametrize("option", ["--url", "--root"])
def test_demo_takes_no_database_of_the_lab(tmp_path: Path, option: str):
    assert "--dir" in refused(option, tmp_path / "x", "demo", "--dir", tmp_path / "d", code=2)
    assert not list(tmp_path.iterdir())


def test_demo_signs_as_the_actor(tmp_path: Path):
    run("--actor", "Ada", "demo", "--dir", tmp_path)

    with vrtracker.open(tmp_path / "lab.db") as tracker:
        assert set(tracker.events()["actor"]) == {"Ada"}


def test_run_demo_tells_how_far_it_is(tmp_path: Path):
    found: list[int] = []
    worked: list[str] = []

    made = run_demo(
        tmp_path / "d", found=found.append, progress=lambda *at: worked.append(str(at[2]))
    )
    made.tracker.close()

    assert found[-1] == len(made.added) == 12
    assert set(worked) == {str(result.key) for result in made.report.results}

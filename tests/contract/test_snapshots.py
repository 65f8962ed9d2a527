"""A snapshot is published whole, never changes, and is fetched whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pandas as pd
import pytest

from support.command_line import command_line, environment
from support.nwb import KEY as FILLED
from support.nwb import fill as fill_arrays
from support.nwb import fill_beside
from support.processes import quick_processes
from support.registrars import good
from support.sample_lab import numbers, open_lab, run_sql, session_rows
from support.web import served
from support.workflow_lab import wait_for
from vrtracker import clone, snapshots
from vrtracker.database import migration
from vrtracker.database.versions import HEAD, REVISIONS
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    DatabaseUnavailableError,
    DuplicateError,
    ImportFileError,
    InvalidValueError,
    NotFoundError,
    ReadOnlyError,
    SchemaTooNewError,
)
from vrtracker.files.bundles import BundleFile, Manifest, sources, write_index
from vrtracker.services.doctor import examine

HANGING = ("experiments", "messages", "trials", "masks")
HANGING += ("rigs", "rig_features", "session_rigs", "tracking")
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "_FIRST_PAUSE_S", 0.0)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "published"


# -- publishing ---------------------------------------------------------------------------------


def test_snapshot_holds_what_the_database_held_and_can_only_be_read(sample, folder):
    made = sample.publish("all", folder, licence="CC-BY-4.0", citation="Us, 2026")

    found = snapshots.load_version("all", folder)

    assert (made.sessions, made.mice, made.revision) == (96, 4, HEAD)
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert found.manifest == made
    with found.open() as tracker:
        expected = sample.sessions.frame(include_scratched=True)
        pd.testing.assert_frame_equal(tracker.sessions.frame(include_scratched=True), expected)
        read = pd.read_parquet(found.folder / "sessions.parquet")
        assert list(read.columns) == list(expected.columns)
        assert list(read.uSessionID) == list(expected.uSessionID)
        with pytest.raises(ReadOnlyError):
            tracker.mice.add("NEW")


def test_filtered_snapshot_holds_the_sessions_and_all_that_hangs_on_them(lab, folder):
    for key in ("M1.2023-01-20.1", "M1.2023-01-20.2"):
        lab.add(key, behavior=key.endswith("1"))
    lab.add("M2.2023-01-20.3", folder=False)
    lab.tracker.workflow.run(registrar=good)
    lab.tracker.freeze("one", behavior=True)
    lab.tracker.freeze("all")

    made = lab.tracker.publish("part", folder, {"behavior": True})

    found = snapshots.load_version("part", folder)
    assert (made.sessions, made.mice) == (1, 1)
    with found.open() as tracker:
        assert numbers(tracker.sessions.frame(include_scratched=True)) == [1]
        assert list(tracker.mice.frame().mouseName) == ["M1"]
        key = "M1.2023-01-20.1"
        there, here = lab.dump_of(tracker, key, 1), lab.dump(key)
        for name in ("sessions", "stage_states", "attempts", "events", "datasets"):
            assert there[name] == here[name]
        assert len(there["attempts"]) == 1
        assert [each.name for each in tracker.selections()] == ["one"]
        assert tracker.selection("one").verify().is_same
        assert tracker.verify().differences == ()
    checks = {check.name: str(check.status) for check in examine(found.path).checks}
    assert checks["references"] == checks["schema"] == checks["database"] == "ok"


def test_snapshots_and_clones_carry_experiments_rigs_masks_and_tracked_cells(lab, folder, tmp_path):
    np = pytest.importorskip("numpy")
    fill_arrays(lab)
    fill_beside(lab)
    lab.add("M1.2026-03-03.1", folder=False)

    lab.tracker.publish("all", folder)
    lab.tracker.publish("part", folder, {"sessionID": 701})
    clone(lab.url, tmp_path / "clone.db")

    def contents(tracker):
        dump = lab.dump_of(tracker)
        rows = {name: dump[name] for name in HANGING}
        return rows, tracker.experiments.whole(), tracker.rigs.of(FILLED).content

    expected = contents(lab.tracker)
    assert all(expected[0].values())
    with open_lab(tmp_path / "clone.db") as copy:
        assert contents(copy) == expected
    for name in ("all", "part"):
        with snapshots.load_version(name, folder).open() as tracker:
            assert contents(tracker) == expected
            masks = (each.masks.get(FILLED, "licking")[1] for each in (tracker, lab.tracker))
            assert np.array_equal(*masks)
            assert [each.run for each in tracker.tracking.runs("M1")] == [
                each.run for each in lab.tracker.tracking.runs("M1")
            ]


@SQLITE
def test_snapshot_shows_an_earlier_moment(lab, folder):
    lab.add("M1.2023-01-20.1", imaging=True)
    then = lab.clock()
    lab.clock.advance(hours=1)
    lab.tracker.sessions.update({"imaging": False}, "M1.2023-01-20.1")
    lab.add("M1.2023-01-20.2", folder=False)
    lab.tracker.freeze("later")

    made = lab.tracker.publish("then", folder, as_of=then)

    assert (made.sessions, made.as_of) == (1, then.isoformat())
    with snapshots.load_version("then", folder).open() as tracker:
        assert tracker.sessions.get("M1.2023-01-20.1").imaging
        assert tracker.selections() == []


@SQLITE
def test_snapshot_never_changes_and_wrong_names_are_refused(tracker, folder):
    tracker.publish("one", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    with pytest.raises(DuplicateError, match="never changes"):
        tracker.publish("one", folder)
    with pytest.raises(InvalidValueError, match="name"):
        tracker.publish("../one", folder)
    with pytest.raises(InvalidValueError, match="No session"):
        tracker.publish("none", folder, imaging=True)
    with pytest.raises(ConfigurationError, match="VRTRACKER_SNAPSHOTS"):
        snapshots.list_versions()

    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert all(path.stat().st_mode & 0o222 == 0 for path in (folder / "one").iterdir())
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@SQLITE
def test_what_is_no_bundle_is_left_out_of_the_index_and_named(small, folder, caplog):
    for name, content in (("web", "{}"), ("half", "no JSON")):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text(content)

    small.publish("lab", folder)

    assert [row["name"] for row in snapshots.list_versions(folder)] == ["lab"]
    assert str(folder / "web") in caplog.text
    assert str(folder / "half") in caplog.text
    shutil.copytree(folder / "lab", folder / "copy")
    write_index(folder)
    assert [row["name"] for row in snapshots.list_versions(folder)] == ["lab"]


@SQLITE
def test_name_stays_free_where_the_index_cannot_be_written(small, folder):
    (folder / "index.json").mkdir(parents=True)
    with pytest.raises(BackendError, match="nothing of it is there"):
        small.publish("lab", folder)
    (folder / "index.json").rmdir()

    assert small.publish("lab", folder).sessions == 3


@SQLITE
@pytest.mark.parametrize(
    ("column", "value"), [("sessionDate", "gibberish"), ("headPlateRotation", "x")]
)
def test_cell_that_does_not_fit_its_column_is_named(labs, folder, column, value):
    tracker = labs.new()
    tracker.sessions.add_many(session_rows(3))
    run_sql(tracker.url, f"UPDATE sessiondb SET {column} = '{value}' WHERE uSessionID = 2")

    said = f"{column} holds '{value}'.*uSessionID is 2"
    with pytest.raises(BackendError, match=f"sessiondb.*{said}"):
        tracker.publish("lab", folder)
    with pytest.raises(BackendError, match=said):
        tracker.publish("part", folder, "sessionID >= 1")


@SQLITE
def test_index_names_the_newest_of_each_size(tracker, folder, monkeypatch):
    for name, size in (("a", "small"), ("b", None), ("c", "small")):
        tracker.publish(name, folder, size=size)
    monkeypatch.setenv("VRTRACKER_SNAPSHOTS", str(folder))

    assert [row["name"] for row in snapshots.list_versions()] == ["a", "b", "c"]
    assert {row["name"] for row in snapshots.list_current_versions()} <= {"a", "b", "c"}
    assert snapshots.load_current().manifest.name == "b"
    with pytest.raises(NotFoundError, match="large"):
        snapshots.load_current("large")
    with pytest.raises(NotFoundError, match=f"'d' in {folder}"):
        snapshots.load_version("d")


# -- fetching -----------------------------------------------------------------------------------


@pytest.fixture
def web(small, folder):
    """Serve a folder with the snapshot `lab` of the lab `small`."""
    small.publish("lab", folder)
    with served(folder) as made:
        yield made


@pytest.fixture
def size(folder, web):
    return (folder / "lab" / "lab.db").stat().st_size


@SQLITE
def test_download_that_was_killed_goes_on_where_it_broke_off(web, size, tmp_path):
    web.breaks_after, web.stalls = size // 2, True
    words = command_line("snapshot", "load", "lab", "--from", web.url)
    with subprocess.Popen(words, env=environment(), cwd=tmp_path) as process:
        wait_for(lambda: sizes_of_parts(tmp_path) == [size // 2])
        process.kill()
    web.breaks_after, web.stalls = None, False

    found = snapshots.load_version("lab", web.url)

    assert web.sent == [size // 2, size - size // 2]
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256


def sizes_of_parts(tmp_path):
    return [path.stat().st_size for path in (tmp_path / "cache").rglob(".lab.db.part")]


@SQLITE
def test_download_that_breaks_off_again_and_again_is_completed_in_a_few_tries(web, size):
    web.breaks_after = size // 3 + 1

    snapshots.load_version("lab", web.url)

    assert len(web.sent) == 3
    assert sum(web.sent) == size


@SQLITE
def test_server_that_ignores_ranges_is_asked_for_all_of_it(web, size):
    web.breaks_after, web.knows_ranges = size // 2, False
    with pytest.raises(DatabaseUnavailableError, match="5 tries"):
        snapshots.load_version("lab", web.url)
    web.breaks_after = None

    assert snapshots.load_version("lab", web.url).path.stat().st_size == size


@SQLITE
def test_snapshot_in_the_cache_needs_no_network(web, folder):
    found = snapshots.load_version("lab", web.url)
    asked = len(web.asked)

    assert snapshots.load_version("lab", web.url).path == found.path
    assert len(web.asked) == asked
    web.status = 503
    assert snapshots.load_version("lab", web.url).path == found.path


@SQLITE
def test_file_that_was_changed_in_the_cache_is_fetched_anew(web):
    found = snapshots.load_version("lab", web.url)
    _flip(found.path)

    again = snapshots.load_version("lab", web.url)

    assert hashlib.sha256(again.path.read_bytes()).hexdigest() == found.sha256


@SQLITE
def test_snapshot_in_the_cache_is_for_reading_alone_and_no_log_beside_it_is_read(web):
    found = snapshots.load_version("lab", web.url)
    log = found.path.with_name("lab.db-wal")
    log.write_bytes(b"other data")

    again = snapshots.load_version("lab", web.url)

    assert again.path.stat().st_mode & 0o222 == 0
    with again.open() as tracker:
        assert tracker.sessions.count() == 3
    assert not log.exists()


def _flip(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


@SQLITE
def test_one_flipped_byte_is_refused_and_nothing_of_it_stays(web, tmp_path):
    web.flips = 5000

    with pytest.raises(BackendError, match="damaged"):
        snapshots.load_version("lab", web.url)

    assert not list((tmp_path / "cache").rglob("*lab.db*"))
    web.flips = None
    assert snapshots.load_version("lab", web.url).manifest.sessions == 3


@SQLITE
@pytest.mark.parametrize(
    ("does", "error", "said"),
    [
        ({"adds": b"x" * 100}, BackendError, "longer than"),
        ({"status": 404}, DatabaseUnavailableError, "HTTP status 404"),
        ({"status": 302}, DatabaseUnavailableError, "without an end"),
        ({"status": 503}, DatabaseUnavailableError, "HTTP status 503"),
    ],
    ids=["too much", "missing", "redirect loop", "overloaded"],
)
def test_server_that_misbehaves_gets_one_clear_error(web, does, error, said):
    for name, value in does.items():
        setattr(web, name, value)

    with pytest.raises(error, match=said):
        snapshots.load_version("lab", web.url)
    assert len(web.asked) <= 8


def test_server_that_is_away_gets_one_clear_error():
    with pytest.raises(DatabaseUnavailableError, match="could not be fetched in 5 tries"):
        snapshots.list_versions("http://ann:secret@127.0.0.1:1/lab?token=secret")


@SQLITE
def test_damaged_foreign_and_newer_snapshots_are_refused(small, folder):
    small.publish("lab", folder)
    _flip(folder / "lab" / "lab.db")
    with pytest.raises(BackendError, match="damaged"):
        snapshots.load_version("lab", folder)

    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"format": "vrtracker snapshots 2"}))
    with pytest.raises(ImportFileError, match="newer vrtracker"):
        snapshots.list_versions(folder)
    (folder / "index.json").write_text("[]")
    with pytest.raises(ImportFileError, match="is not of"):
        snapshots.list_versions(folder)
    with pytest.raises(DatabaseUnavailableError, match="cannot be read"):
        snapshots.list_versions(folder / "nowhere")


def _rewrite(folder, manifest):
    """Write another manifest into a bundle, as a publisher of another version would."""
    path = folder / manifest.name / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(manifest.written())
    write_index(folder)


@SQLITE
def test_snapshot_with_a_newer_schema_is_refused_and_an_older_one_is_upgraded(small, folder):
    made = small.publish("lab", folder)
    _rewrite(folder, dataclasses.replace(made, revision="9999"))
    assert snapshots.list_versions(folder) == []
    assert len(snapshots.list_versions(folder, only_supported=False)) == 1
    with pytest.raises(SchemaTooNewError, match="9999"):
        snapshots.load_version("lab", folder)

    older = folder / "old" / "lab.db"
    shutil.copytree(folder / "lab", folder / "old")
    older.chmod(0o644)
    migration.downgrade(older, REVISIONS[-2])
    files = [BundleFile.of(older), *(each for each in made.files if each.path != "lab.db")]
    old = dataclasses.replace(made, name="old", revision=REVISIONS[-2], files=tuple(files))
    (folder / "old" / "manifest.json").chmod(0o644)
    _rewrite(folder, old)

    found = snapshots.load_version("old", folder)

    assert found.document()["revision"] == REVISIONS[-2]
    with found.open() as tracker:
        assert tracker.sessions.count() == 3
    assert [path.name for path in found.folder.glob("*.db-*")] == []
    assert found.path.stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("name", ["../lab.db", "/etc/passwd", ".hidden", "a/b"])
def test_manifest_that_names_files_elsewhere_is_refused(name):
    made = Manifest(name="x", created_at="", revision=HEAD, vrtracker="1", sessions=0, mice=0)
    document = json.loads(made.written())
    document["files"] = [{"path": name, "bytes": 1, "sha256": "0" * 64}]

    with pytest.raises(ImportFileError, match="no whole manifest"):
        Manifest.read(json.dumps(document).encode(), "there")


# -- publishers ----------------------------------------------------------------------------------


@SQLITE
def test_what_a_killed_publisher_left_goes_and_what_a_living_one_makes_stays(small, folder):
    host = platform.node().replace("-", "_")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = folder / f".publishing-{host}-{dead.pid}-x"
    mine = folder / f".publishing-{host}-{os.getpid()}-x"
    unnamed = folder / ".publishing-abc"
    for made in (left, mine, unnamed):
        (made / "fig3").mkdir(parents=True)
    os.utime(unnamed, (0, 0))

    small.publish("fig3", folder)

    assert sorted(path.name for path in folder.glob(".publishing-*")) == [mine.name]


def published(tracker, folder, name):
    """Publish in a process of its own; return the name, None if it was taken."""
    with contextlib.suppress(DuplicateError):
        return tracker.publish(name, folder).name


@SQLITE
def test_of_two_publishers_of_one_name_one_is_told_and_two_names_stand_in_the_index(small, folder):
    with ProcessPoolExecutor(4, mp_context=quick_processes()) as pool:
        made = list(pool.map(partial(published, small, folder), ["a", "a", "b", "c"]))

    assert sorted(filter(None, made)) == ["a", "b", "c"]
    listed = json.loads((folder / "index.json").read_text())["snapshots"]
    assert sorted(each["name"] for each in listed) == ["a", "b", "c"]


@SQLITE
def test_snapshot_of_a_time_before_all_is_refused(small, folder):
    with pytest.raises(InvalidValueError, match="neither a mouse"):
        small.publish("fig3", folder, as_of="2001-01-01")
    assert not list(folder.glob("*"))

"""The files of sessions: what a scan records of them, and how they are compared with the disk."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vrtracker
from support.permissions import bound_by_permissions
from support.registrars import good
from vrtracker.database import Database
from vrtracker.domain.qc import QC
from vrtracker.errors import (
    ConditionError,
    InvalidValueError,
    NotFoundError,
    RootUnavailableError,
    UnknownNameError,
)
from vrtracker.services.disk import trash_lock

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
TRIALS = "oneData/trials.startTimes.npy"
LICKS = "alf/#2024-01-01#/licks.times.npy"


def put(lab, path: str, content: bytes = b"x", *, key: str = ONE, at: float = 1.7e9):
    file = lab.folder(key) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (at, at))
    return file


@pytest.fixture
def scanned(lab):
    """A lab with one session, whose two files are recorded."""
    lab.add(ONE)
    put(lab, TRIALS, b"trials")
    put(lab, LICKS, b"licks", at=1.7e9 + 0.123456)
    put(lab, "notes.txt", b"no ALF name")
    lab.found = lab.tracker.datasets.scan(ONE)
    return lab


def listed(lab, key: str = ONE):
    return {each.path: each for each in lab.tracker.datasets.list(key)}


def test_scan_records_files_with_size_hashes_and_revision(scanned):
    found = listed(scanned)

    assert (scanned.found.added, scanned.found.hashed) == (2, 2)
    assert set(found) == {TRIALS, LICKS}
    licks = found[LICKS]
    assert (licks.size, licks.revision, licks.qc, licks.exists) == (
        5,
        "2024-01-01",
        QC.NOT_SET,
        True,
    )
    assert licks.md5 == hashlib.md5(b"licks").hexdigest()
    assert licks.sha256 == hashlib.sha256(b"licks").hexdigest()
    event = scanned.tracker.history(ONE).iloc[-1]
    assert (event["verb"], event["changes"]) == ("scanned", {"datasets:added": 2})


def test_second_scan_reads_and_writes_nothing(scanned):
    before = scanned.dump()

    again = scanned.tracker.datasets.scan(ONE)

    assert (again.unchanged, again.added, again.updated, again.hashed) == (2, 0, 0, 0)
    assert scanned.dump() == before


def test_changed_file_is_read_again_and_keeps_number_and_qc(scanned):
    scanned.tracker.workflow.set_dataset_qc(ONE, TRIALS, "WARNING")
    before = scanned.tracker.datasets(ONE).set_index("rel_path")
    scanned.clock.advance(hours=1)
    put(scanned, TRIALS, b"others", at=1.7e9 + 60)

    again = scanned.tracker.datasets.scan(ONE)

    assert (again.updated, again.unchanged, again.hashed) == (1, 1, 1)
    after = scanned.tracker.datasets(ONE).set_index("rel_path")
    assert after["dataset_id"].equals(before["dataset_id"])
    assert (after["recorded_at"] > before["recorded_at"]).to_dict() == {TRIALS: True, LICKS: False}
    assert listed(scanned)[TRIALS].qc is QC.WARNING
    assert listed(scanned)[TRIALS].sha256 == hashlib.sha256(b"others").hexdigest()


def test_record_of_a_file_that_is_gone_stays_until_it_comes_back(scanned):
    file = scanned.folder(ONE) / TRIALS
    file.rename(away := file.with_name("away"))
    assert scanned.tracker.datasets.scan(ONE).missing == 1
    assert not listed(scanned)[TRIALS].exists
    assert scanned.tracker.datasets.scan(ONE).updated == 0

    away.rename(file)
    assert scanned.tracker.datasets.scan(ONE).updated == 1
    assert listed(scanned)[TRIALS].exists


def test_files_of_a_stage_stay_its_own_and_get_what_they_lack(lab, workflow):
    lab.add(ONE)
    workflow.run(registrar=good)
    before = lab.tracker.datasets(ONE)

    found = lab.tracker.datasets.scan(ONE)

    after = lab.tracker.datasets(ONE)
    assert (found.updated, found.added) == (len(before), 0)
    kept = ["dataset_id", "stage", "attempt_id", "md5", "recorded_at", "written"]
    assert after[kept].equals(before[kept])
    assert after["sha256"].notna().all()
    workflow.run("registration", ONE, registrar=good, force=True)
    assert lab.tracker.datasets(ONE)["dataset_id"].equals(before["dataset_id"])


def test_scan_without_hashes_leaves_them_open_and_the_next_fills_them_in(lab):
    lab.add(ONE)
    put(lab, TRIALS)
    lab.tracker.datasets.scan(ONE, hashes=False)
    assert listed(lab)[TRIALS].sha256 is None
    assert lab.tracker.datasets.scan(ONE, hashes=False).updated == 0
    assert lab.tracker.datasets.verify(ONE).unhashed

    lab.tracker.datasets.scan(ONE)
    assert listed(lab)[TRIALS].sha256 == hashlib.sha256(b"x").hexdigest()


def test_scan_takes_filters_and_leaves_sessions_without_a_folder_alone(scanned):
    scanned.add(TWO)
    put(scanned, TRIALS, key=TWO)
    scanned.tracker.datasets.scan(TWO)
    (scanned.folder(TWO)).rename(scanned.root / "elsewhere")

    found = scanned.tracker.datasets.scan(mouseName="M1")
    assert [str(key) for key in found.without_folder] == [TWO]
    assert listed(scanned, TWO)[TRIALS].exists

    assert scanned.tracker.datasets.scan(sessionID=99).sessions == 0
    assert scanned.tracker.datasets.scan(TWO).missing == 1
    assert not listed(scanned, TWO)[TRIALS].exists


def test_session_that_somebody_works_on_is_left_alone(scanned, workflow):
    put(scanned, "oneData/new.times.npy")
    seen = []

    def looking(job):
        seen.append(scanned.another(actor="bob").datasets.scan(ONE))
        return good(job)

    workflow.run("registration", ONE, registrar=looking)

    (found,) = seen
    assert (found.added, len(found.problems)) == (0, 1)
    assert "registration is working on it" in found.problems[0].message


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("kind", ["out", "circle", "nothing"])
def test_link_that_leads_astray_is_named_and_the_session_left_alone(lab, tmp_path, kind):
    lab.add(ONE)
    lab.add(TWO)
    put(lab, TRIALS, key=TWO)
    link = put(lab, TRIALS).with_name("licks.times.npy")
    outside = tmp_path / "secret.times.npy"
    outside.write_bytes(b"secret")
    link.symlink_to({"out": outside, "circle": link, "nothing": tmp_path / "gone"}[kind])

    found = lab.tracker.datasets.scan()

    assert [str(each.key) for each in found.problems] == [ONE]
    assert str(link) in found.problems[0].message
    assert listed(lab) == {}
    assert set(listed(lab, TWO)) == {TRIALS}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are UTF-8")
def test_name_that_is_not_utf8_is_named_as_such(lab):
    lab.add(ONE)
    put(lab, "alf/\udcfe/a.b.npy")

    (problem,) = lab.tracker.datasets.scan(ONE).problems

    assert "is not in UTF-8; rename" in problem.message


def without_hash(lab) -> None:
    with lab.tracker._lab.unit() as unit:
        rows = unit.datasets.of_sessions([1])[1]
        unit.datasets.update(["sha256"], [{**rows[TRIALS], "sha256": None}])
        unit.commit()


CHANGES = {
    "nothing": lambda _: None,
    "no ALF name": lambda lab: put(lab, "notes.md"),
    "new": lambda lab: put(lab, "alf/new.times.npy"),
    "new in suite2p": lambda lab: put(lab, "suite2p/new.times.npy"),
    "size": lambda lab: put(lab, TRIALS, b"longer than it was"),
    "time": lambda lab: put(lab, TRIALS, b"trials", at=1.8e9),
    "gone": lambda lab: (lab.folder(ONE) / TRIALS).unlink(),
    "recorded in suite2p": lambda lab: put(lab, "suite2p/ops.npy", b"longer", at=1.8e9),
    "link to a file": lambda lab: (lab.folder(ONE) / "alf/x.y.npy").symlink_to(
        lab.folder(ONE) / TRIALS
    ),
    "link to a folder": lambda lab: (lab.folder(ONE) / "away").symlink_to(lab.folder(TWO)),
    "lost its hash": without_hash,
}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.own_rule
@pytest.mark.parametrize("change", CHANGES)
def test_scan_of_the_lab_sees_what_is_not_as_recorded(scanned, change):
    """Of the lab it first looks which sessions are as recorded, and then at the others alone."""
    put(scanned, "suite2p/ops.npy")
    with scanned.tracker._lab.unit() as unit:
        row = unit.datasets.of_sessions([1])[1][TRIALS]
        made = {"rel_path": "suite2p/ops.npy", "size_bytes": 1.0, "stage": "suite2p"}
        unit.datasets.replace(remove=(), insert_rows=[{**row, **made, "dataset_id": None}])
        unit.commit()
    scanned.add(TWO)
    assert scanned.tracker.datasets.scan().unchanged == 3
    CHANGES[change](scanned)

    found = scanned.tracker.datasets.scan(mouseName="M1")

    is_as_before = change in {"nothing", "no ALF name", "new in suite2p", "link to a folder"}
    assert (found.added, found.updated, found.missing, found.unchanged) == {
        "new": (1, 0, 0, 3),
        "link to a file": (1, 0, 0, 3),
        "gone": (0, 1, 1, 2),
    }.get(change, (0, 0, 0, 3) if is_as_before else (0, 1, 0, 2))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes on Windows")
def test_pipe_in_the_place_of_a_file_is_no_file(scanned):
    file = scanned.folder(ONE) / TRIALS
    file.unlink()
    os.mkfifo(file)

    found = scanned.tracker.datasets.scan(ONE)

    assert (found.missing, found.unchanged, found.problems) == (1, 1, ())
    assert scanned.tracker.datasets.prune(ONE).unknown == ()


def test_folder_that_cannot_be_searched_is_named_and_the_others_go_on(lab, monkeypatch):
    for key in ("M1.2023-01-21.1", ONE):
        lab.add(key)
        put(lab, TRIALS, key=key)
    stat = Path.stat

    def refusing(path: Path, **asked: bool) -> os.stat_result:
        if path.parent.name == "2023-01-21":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **asked)

    monkeypatch.setattr(Path, "stat", refusing)
    found = lab.tracker.datasets.scan()

    assert [str(each.key) for each in found.problems] == ["M1.2023-01-21.1"]
    assert "Permission denied" in found.problems[0].message
    assert (found.sessions, found.added) == (2, 1)


def test_names_with_odd_characters_are_recorded_as_they_are(lab):
    lab.add(ONE)
    odd = ["a b/c'd/trials.times.npy", "ü-✓/_ibl_wheel.position.npy", "%s;--/a\nb/\t\a/x.y.npy"]
    for path in odd:
        put(lab, path)

    lab.tracker.datasets.scan(ONE)

    assert set(listed(lab)) == set(odd)


def test_verify_finds_what_size_and_time_hide(scanned):
    assert scanned.tracker.datasets.verify(ONE).good == 2
    put(scanned, TRIALS, b"TRIALS")
    (scanned.folder(ONE) / LICKS).unlink()
    before = scanned.dump()

    found = scanned.tracker.datasets.verify(ONE)

    assert [path for _, path in found.changed] == [TRIALS]
    assert [path for _, path in found.missing] == [LICKS]
    assert not found.is_good
    assert scanned.tracker.datasets.scan(ONE).updated == 1
    assert scanned.dump()["sessions"] == before["sessions"]
    again = scanned.tracker.datasets.scan(ONE, rehash=True)
    assert (again.updated, again.missing, again.hashed) == (1, 1, 1)
    assert scanned.tracker.datasets.verify(ONE).changed == []
    assert scanned.tracker.datasets.scan(rehash=True).updated == 0


def test_content_is_compared_with_its_hash_on_request(scanned):
    file = scanned.folder(ONE) / "oneData" / "licks.times.npy"
    np.save(file, [1.0])
    session = scanned.tracker.sessions.get(ONE)
    with pytest.raises(InvalidValueError, match="in this process"):
        pickle.loads(pickle.dumps(session)).load(TRIALS, check=True)
    with pytest.raises(InvalidValueError, match="no hash on record"):
        session.load("oneData/licks.times.npy", check=True)
    scanned.tracker.datasets.scan(ONE)
    assert session.load("oneData/licks.times.npy", check=True) == [1.0]
    assert session.load_object("oneData/licks", check=True) == {"times": [1.0]}

    np.save(file, [2.0])
    assert session.load("oneData/licks.times.npy") == [2.0]
    for load in (session.load, session.open().load):
        with pytest.raises(InvalidValueError, match="something else than what was recorded"):
            load("oneData/licks.times.npy", check=True)
    with pytest.raises(InvalidValueError, match="something else"):
        session.load_object("oneData/licks", check=True)


def test_recorded_file_that_is_gone_is_told_of_as_such(scanned):
    file = scanned.folder(ONE) / LICKS
    file.unlink()
    session = scanned.tracker.sessions.get(ONE)
    for load, name in ((session.load, "licks.times"), (session.load_object, "licks")):
        with pytest.raises(NotFoundError, match=r"recorded, but gone.*datasets verify") as raised:
            load(name)
        assert str(scanned.folder(ONE)) in str(raised.value)
    with pytest.raises(UnknownNameError, match=r"licks\.rate"):
        session.load("licks.rate")


def test_what_cannot_be_scanned_is_refused(scanned):
    with pytest.raises(NotFoundError, match="session"):
        scanned.tracker.datasets.scan(TWO)
    with pytest.raises(NotFoundError, match="session"):
        scanned.tracker.datasets.list(TWO)
    with pytest.raises(RootUnavailableError):
        scanned.another(root=scanned.root / "none").datasets.scan()
    with pytest.raises(ConditionError):
        scanned.tracker.datasets.scan("nonsense")


def test_deleted_session_comes_back_with_what_is_known_of_its_files(scanned):
    before = listed(scanned)
    scanned.tracker.sessions.delete(ONE)

    scanned.tracker.sessions.restore(ONE)

    assert listed(scanned) == before


# -- prune -----------------------------------------------------------------------------------

STRAY = "alf/probe00/stray.times.npy"


@pytest.fixture
def untidy(scanned):
    """A lab with a file that is not recorded, nested, and a record without a file."""
    put(scanned, STRAY, b"stray")
    (scanned.folder(ONE) / LICKS).unlink()
    return scanned


def files_of(lab) -> dict[str, bytes]:
    folder = lab.folder(ONE)
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_prune_is_dry_and_lists_both_directions(untidy):
    before, files = untidy.dump(), files_of(untidy)

    plan = untidy.tracker.datasets.prune(ONE)

    assert [path for _, path in plan.unknown] == [STRAY]
    assert [path for _, path in plan.missing] == [LICKS]
    assert (untidy.dump(), files_of(untidy)) == (before, files)


def test_what_was_pruned_comes_back_as_it_was(untidy):
    untidy.tracker.workflow.set_dataset_qc(ONE, LICKS, "WARNING")
    before, files = listed(untidy), files_of(untidy)

    name = untidy.tracker.datasets.prune(ONE).apply()
    assert set(files_of(untidy)) == set(files) - {STRAY}
    assert set(listed(untidy)) == {TRIALS}
    assert untidy.tracker.datasets.prune(ONE).apply() is None
    assert untidy.tracker.scan().skipped == ()

    back = untidy.tracker.datasets.restore()
    assert (back.name, back.files, back.records, back.left) == (name, 1, 1, ())
    assert (listed(untidy), files_of(untidy)) == (before, files)
    with pytest.raises(NotFoundError):
        untidy.tracker.datasets.restore()


def test_records_of_stages_and_recorded_files_are_never_taken_away(lab, workflow):
    lab.add(ONE)
    workflow.run("registration", ONE, registrar=good)
    files = files_of(lab)
    path = next(iter(listed(lab)))
    assert lab.tracker.datasets.prune(ONE).apply() is None
    assert files_of(lab) == files
    (lab.folder(ONE) / path).unlink()

    plan = lab.tracker.datasets.prune(ONE)

    assert [path for _, path in plan.kept] == [path]
    assert (plan.missing, plan.apply()) == ((), None)
    assert path in listed(lab)


def test_record_that_was_made_anew_gets_its_qc_back(untidy):
    untidy.tracker.workflow.set_dataset_qc(ONE, LICKS, "FAIL")
    untidy.tracker.datasets.prune(ONE).apply()
    put(untidy, LICKS, b"licks", at=1.7e9 + 0.123456)
    untidy.clock.advance(minutes=1)
    untidy.tracker.datasets.scan(ONE)
    untidy.clock.advance(minutes=1)
    scanned_again, then = listed(untidy)[LICKS], untidy.clock.time

    untidy.clock.advance(minutes=1)
    back = untidy.tracker.datasets.restore()

    assert (back.records, back.left) == (1, ())
    assert listed(untidy)[LICKS] == dataclasses.replace(scanned_again, qc=QC.FAIL)
    with untidy.tracker.as_of(then) as past:
        assert list(past.datasets(ONE).set_index("rel_path").qc_level[[LICKS]]) == [QC.NOT_SET]


def test_records_of_a_session_that_is_gone_stay_in_the_trash(untidy):
    before = listed(untidy)
    untidy.tracker.datasets.prune(ONE).apply()
    untidy.tracker.sessions.delete(ONE)

    assert "not in" in untidy.tracker.datasets.restore().left[0]

    untidy.tracker.sessions.restore(ONE)
    assert untidy.tracker.datasets.restore().left == ()
    assert listed(untidy)[LICKS] == before[LICKS]


def test_pruning_comes_back_to_its_database_and_not_to_another_on_the_same_root(untidy, tmp_path):
    untidy.tracker.workflow.set_dataset_qc(ONE, LICKS, "FAIL")
    before, files = listed(untidy), files_of(untidy)
    vrtracker.clone(untidy.url, tmp_path / "other.db")
    name = untidy.tracker.datasets.prune(ONE).apply()
    vrtracker.clone(untidy.url, tmp_path / "copy.db")
    other, copy = (
        untidy.another(database=Database(f"sqlite:///{tmp_path / each}"))
        for each in ("other.db", "copy.db")
    )

    with pytest.raises(NotFoundError, match=rf"Nothing was pruned .*{name}"):
        other.datasets.restore()
    with pytest.raises(InvalidValueError, match="restore it there"):
        other.datasets.restore(name)
    assert STRAY not in files_of(untidy)

    # A copy made since knows of it; what it takes is not lost for the first.
    assert copy.datasets.restore().records == 1
    assert untidy.tracker.datasets.restore(name).records == 1
    assert (listed(untidy), files_of(untidy)) == (before, files)


def test_file_that_is_there_by_now_stays_and_the_old_one_is_kept(untidy):
    name = untidy.tracker.datasets.prune(ONE).apply()
    put(untidy, STRAY, b"another")

    back = untidy.tracker.datasets.restore(name)

    assert (back.files, len(back.left)) == (0, 1)
    assert files_of(untidy)[STRAY] == b"another"
    (untidy.folder(ONE) / STRAY).unlink()
    assert untidy.tracker.datasets.restore(name).files == 1
    assert files_of(untidy)[STRAY] == b"stray"


def test_pruning_that_was_ended_in_between_is_finished_by_the_next(untidy, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vrtracker.files.trash.move", killed)
    with pytest.raises(KeyboardInterrupt):
        untidy.tracker.datasets.prune(ONE).apply()
    monkeypatch.undo()
    assert set(listed(untidy)) == {TRIALS}
    assert STRAY in files_of(untidy)

    assert untidy.tracker.datasets.prune(ONE).apply()
    assert STRAY not in files_of(untidy)


def test_list_that_was_edited_leads_nowhere_else(untidy, tmp_path):
    name = untidy.tracker.datasets.prune(ONE).apply()
    list_file = untidy.root / ".vrtracker-trash" / name / "list.json"
    list_file.write_text(list_file.read_text().replace(STRAY, "../../../../out.times.npy"))

    back = untidy.tracker.datasets.restore(name)

    assert "leads out" in back.left[0]
    assert not (tmp_path / "out.times.npy").exists()


@pytest.mark.skipif(os.name == "nt", reason="links and permissions are others on Windows")
def test_what_cannot_come_back_stays_in_the_trash_and_the_rest_comes(untidy, tmp_path):
    paths = ("closed/a.times.npy", "file/a.times.npy", "out/a.times.npy", "kept.times.npy")
    files = [put(untidy, path, path.encode()) for path in paths]
    name = untidy.tracker.datasets.prune(ONE).apply()
    closed, no_folder, out = (file.parent for file in files[:3])
    no_folder.rmdir()
    no_folder.write_bytes(b"x")
    out.rmdir()
    (tmp_path / "outside").mkdir()
    out.symlink_to(tmp_path / "outside")
    closed.chmod(0o555)
    with bound_by_permissions():
        back = untidy.tracker.datasets.restore()
    closed.chmod(0o755)

    assert (back.files, back.records) == (2, 1)
    assert [text.partition(": ")[0] for text in back.left] == [f"{ONE} {p}" for p in paths[:3]]
    reasons = ("Permission denied", "File exists", "leads out")
    assert all(why in text for why, text in zip(reasons, back.left, strict=True))
    assert list((tmp_path / "outside").iterdir()) == []
    no_folder.unlink()
    out.unlink()
    again = untidy.tracker.datasets.restore(name)
    assert (again.files, again.left) == (3, ())
    assert [file.read_bytes().decode() for file in files] == list(paths)
    assert list((untidy.root / ".vrtracker-trash").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links and permissions are others on Windows")
def test_links_come_back_as_links_and_what_was_copied_twice_is_kept_once(untidy):
    file, link = put(untidy, "alf/a.x.npy", b"a"), untidy.folder(ONE) / "alf/b.x.npy"
    link.symlink_to("a.x.npy")
    name = untidy.tracker.datasets.prune(ONE).apply()
    assert not os.path.lexists(link)
    # As if the move had been ended with both there, here or in the trash.
    put(untidy, "alf/a.x.npy", b"a")

    back = untidy.tracker.datasets.restore(name)

    assert (back.files, back.left) == (2, ())
    assert (link.readlink(), link.read_bytes()) == (Path("a.x.npy"), b"a")
    assert file.read_bytes() == b"a"


HOLDS_THE_TRASH = """
import sys
from pathlib import Path
from vrtracker.backends.access.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire(timeout_s=5)
print("held", flush=True)
input()
"""


def test_one_process_at_a_time_takes_away_or_brings_back(untidy, monkeypatch):
    first = untidy.tracker.datasets.prune(ONE).apply()
    untidy.tracker.datasets.restore(first)
    plan = untidy.tracker.datasets.prune(ONE)
    before = files_of(untidy)
    monkeypatch.setattr(trash_lock, "_PATIENCE_S", 0.1)
    command = [sys.executable, "-c", HOLDS_THE_TRASH, untidy.root / ".vrtracker-trash" / ".lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(RootUnavailableError, match="Another process prunes or restores"):
            plan.apply()
        assert files_of(untidy) == before
        other.communicate(b"\n")

    assert plan.apply() is not None
    assert files_of(untidy) != before


@pytest.mark.skipif(os.name == "nt", reason="links and permissions are others on Windows")
def test_file_that_cannot_be_moved_is_not_listed_as_pruned(untidy):
    closed = put(untidy, "closed/a.times.npy").parent
    closed.chmod(0o555)
    with bound_by_permissions(), pytest.raises(InvalidValueError, match="cannot be moved"):
        untidy.tracker.datasets.prune(ONE).apply()
    closed.chmod(0o755)
    (closed / "a.times.npy").unlink()

    back = untidy.tracker.datasets.restore()

    assert (back.files, back.records, back.left) == (1, 1, ())


@pytest.mark.parametrize(
    "text",
    ["{}", "x", "[" * 10**5, '{"database": null, "sessions": []}', '[{"key": "M1"}]', "[[]]", "3"],
    ids=["empty", "text", "deep", "of nothing", "without files", "nested", "number"],
)
def test_damaged_list_is_one_error_and_earlier_ones_still_come_back(untidy, text):
    folder = untidy.root / ".vrtracker-trash" / "29990101T000000-damage"
    good = untidy.tracker.datasets.prune(ONE).apply()
    folder.mkdir()
    (folder / "list.json").write_text(text)

    with pytest.raises(InvalidValueError, match=r"damage.list\.json"):
        untidy.tracker.datasets.restore(folder.name)
    back = untidy.tracker.datasets.restore()

    assert (back.name, back.files, back.records, back.left) == (good, 1, 1, ())
    assert len(back.damaged) == 1
    assert str(folder / "list.json") in back.damaged[0]
    with pytest.raises(InvalidValueError, match=r"damage.list\.json"):
        untidy.tracker.datasets.restore()

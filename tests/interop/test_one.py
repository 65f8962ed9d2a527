"""Caches of ONE: the real ONE-api reads what is written, and what it writes is read."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import random
import re
import subprocess
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import old_one
from support.command_line import refused, run, told
from support.examples import examples
from support.sample_lab import open_lab
from support.workflow_lab import WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.errors import (
    ConcurrentUpdateError,
    ImportFileError,
    InvalidValueError,
)
from vrtracker.files.alf import parse_alf_name

pytest.importorskip("one", reason="ONE-api is not installed")

SEED = 20260301
OLD_ONE = os.environ.get("VRTRACKER_TEST_OLD_ONE", "")
"""The Python of an environment with an older ONE-api."""
FILES = (
    "alf/trials.choice.npy",
    "alf/#2024-01-01#/trials.choice.npy",
    "alf/#2025-02-02#/trials.choice.npy",
    "alf/probe00/spikes.times.npy",
    "raw/_ibl_wheel.position.npy",
)
MICE = ("M1", "M2", "M-3", "m_4.x")
PROTOCOLS = ("", "ephysChoiceWorld", "training(1)", "passive")
PROJECTS = ("", "brainwide", "brainwide,pilot")
LABS = ("", "cortexlab", "mainenlab")
LEVELS = [level.name for level in QC]


def real_one(folder: Path, root: Path | None = None) -> Any:
    """Return the real ONE on a cache."""
    from one.api import One

    return One(cache_dir=root or folder, tables_dir=folder, mode="local")


# ONE-api calls pandas in ways that the next pandas will not know.
pytestmark = pytest.mark.filterwarnings("ignore")


class OneLab(WorkflowLab):
    """A lab with many sessions of all kinds, their files recorded."""

    def fill(self, count: int) -> None:
        draw = random.Random(SEED)
        self.tracker.mice.add_many([{"mouseName": name} for name in ("M-3", "m_4.x")])
        rows = [
            {
                "mouseName": MICE[position % 4],
                "sessionDate": dt.date(2024, 1, 1) + dt.timedelta(days=position % 5),
                "sessionID": position,
                "experimentType": draw.choice(PROTOCOLS) or None,
            }
            for position in range(count)
        ]
        keys = self.tracker.sessions.add_many(rows)
        for key in keys:
            for path in draw.sample(FILES, draw.randrange(len(FILES) + 1)):
                file = self.folder(key) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(f"{key} {path}".encode())
        self.tracker.datasets.scan()
        with self.tracker._lab.unit() as unit:
            for number in range(1, count, 2):
                names = {"lab": draw.choice(LABS), "projects": draw.choice(PROJECTS)}
                unit.one.add([{"uSessionID": number, "one_id": None, **names}])
            self.names = unit.one.names()
            unit.commit()
        for key in keys:
            for each in self.tracker.datasets.list(key):
                if draw.random() < 0.5:
                    self.tracker.workflow.set_dataset_qc(key, each.path, draw.choice(LEVELS))


@pytest.fixture(scope="module")
def lab(tmp_path_factory, put_sqlite):
    folder = tmp_path_factory.mktemp("one")
    with OneLab(str(put_sqlite(folder / "lab.db")), folder / "root") as made:
        made.fill(24)
        made.out = folder / "out"
        made.export = made.tracker.export_one(made.out)
        yield made


@pytest.fixture
def empty(backend):
    """A tracker on a new database without rows."""
    with open_lab(backend.migrated_url()) as made:
        yield made


@pytest.fixture
def plain(tmp_path, put_sqlite):
    """The same on SQLite alone."""
    with open_lab(str(put_sqlite(tmp_path / "plain.db"))) as made:
        yield made


def eids(keys: Any) -> set[str]:
    return {str(SessionKey.parse(key).uuid) for key in keys}


# -- what ONE reads --------------------------------------------------------------------------


def test_one_loads_what_was_exported(lab):
    one = real_one(lab.out)

    sessions, datasets = one._cache.sessions, one._cache.datasets
    assert len(sessions) == lab.export.sessions == 24
    assert len(datasets) == lab.export.datasets
    assert sessions.index.is_monotonic_increasing
    assert datasets.index.is_monotonic_increasing
    assert sessions["number"].dtype == "uint16"
    assert datasets["file_size"].dtype == "UInt64"
    assert list(datasets["qc"].cat.categories) == LEVELS
    assert datasets["qc"].cat.ordered
    assert {type(day) for day in sessions["date"]} == {dt.date}


def test_level_of_a_session_is_the_worst_of_its_datasets(lab, tmp_path):
    one = real_one(lab.out)
    one.save_cache(save_dir=tmp_path, clobber=True)

    for sessions in (one._cache.sessions, real_one(tmp_path)._cache.sessions):
        assert list(sessions["qc"].cat.categories) == LEVELS
        assert sessions["qc"].cat.ordered
        for session in lab.tracker.sessions.iter():
            levels = [each.qc for each in lab.tracker.datasets.list(session.key)]
            assert sessions["qc"][session.key.uuid] == max(levels, default=QC.NOT_SET).name
    assert not lab.tracker.import_one(tmp_path).notes


def days(first: int, much: int) -> list[dt.date]:
    start = dt.date(2024, 1, 1) + dt.timedelta(days=first)
    return [start, start + dt.timedelta(days=much)]


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.sampled_from(["M1", "M", "^M-3$", "4"]),
        "date_range": st.builds(days, st.integers(0, 4), st.integers(0, 3)),
        "number": st.lists(st.integers(0, 23), min_size=8),
        "task_protocol": st.sampled_from(["ephys", "training", "passive"]),
        "lab": st.sampled_from(["cortex", "lab", "^mainenlab$"]),
        "projects": st.sampled_from(["brainwide", "pilot"]),
        # Without datasets, ONE finds nothing by their quality.
        "datasets, dataset_qc_lte": st.tuples(
            st.sampled_from([".*", "trials.choice.npy", ["spikes.times.npy", "trials.choice.npy"]]),
            st.sampled_from(LEVELS),
        ),
    },
)


@pytest.fixture(scope="module")
def searched(lab):
    """The real ONE, and what we know of each session."""
    frame = lab.tracker.sessions.frame()
    frame["experimentType"] = frame["experimentType"].fillna("")
    rows = frame.to_dict("records")
    for row in rows:
        row["files"] = lab.tracker.datasets.list(row)
        names = lab.names.get(row["uSessionID"], {})
        row |= {name: names.get(name) or "" for name in ("lab", "projects")}
    return real_one(lab.out), rows


@settings(max_examples=examples(200), deadline=None)
@given(query=QUERIES)
def test_one_finds_the_sessions_that_we_find(lab, searched, query):
    """ONE takes each text for a regular expression that matches anywhere in the value."""
    one, rows = searched
    asked = dict(query)
    if pair := asked.pop("datasets, dataset_qc_lte", None):
        asked |= {"datasets": pair[0], "dataset_qc_lte": pair[1]}

    found = set(map(str, one.search(**asked)))

    assert found == eids(row for row in rows if passes(row, asked))
    assert found == eids(asked_here(lab, asked))


def asked_here(lab: Any, asked: dict[str, Any]) -> Iterator[Any]:
    """Yield the keys of the sessions that our own conditions find."""
    query = lab.tracker.query()
    if "date_range" in asked:
        start, end = asked["date_range"]
        query = query.where(sessionDate=(start, ">=")).where(sessionDate=(end, "<="))
    if "number" in asked:
        query = query.where(sessionID=asked["number"])
    for term, known in (("subject", MICE), ("task_protocol", PROTOCOLS)):
        if term in asked:
            # ONE's texts are patterns in which the case of letters counts, ours are not.
            query = query.where(
                {TEXTS[term]: [name for name in known if re.search(asked[term], name)]}
            )
    wanted = asked.get("datasets", [])
    for name in [wanted] if isinstance(wanted, str) else wanted:
        level = asked["dataset_qc_lte"]
        there = f"% <= {level}" if name == ".*" else f"{name} <= {level}"
        query = query.where(has_dataset=(there, "like" if name == ".*" else "=="))
    for record in query:
        names = lab.names.get(record.uSessionID, {})
        # Of these no condition of ours asks.
        if all(re.search(asked.get(of, ""), names.get(of) or "") for of in ("lab", "projects")):
            yield record.key


TEXTS = {"subject": "mouseName", "task_protocol": "experimentType", "lab": "lab"}
TEXTS |= {"projects": "projects"}


def passes(row: dict[str, Any], asked: dict[str, Any]) -> bool:
    start, end = asked.get("date_range", (dt.date.min, dt.date.max))
    wanted = asked.get("datasets", [])
    good = [
        each.path.rpartition("/")[2]
        for each in row["files"]
        if each.qc <= QC[asked.get("dataset_qc_lte", "FAIL")]
    ]
    return (
        all(re.search(asked.get(term, ""), row[name]) for term, name in TEXTS.items())
        and row["sessionID"] in asked.get("number", [row["sessionID"]])
        and start <= row["sessionDate"].date() <= end
        and all(
            any(re.fullmatch(one, name) for name in good)
            for one in ([wanted] if isinstance(wanted, str) else wanted)
        )
    )


@pytest.mark.parametrize("revision", [None, "2023-12-31", "2024-01-01", "2024-06-01", "2030-01-01"])
def test_one_takes_the_revisions_that_we_take(lab, searched, revision):
    """As its load_dataset chooses, of the datasets that are good enough."""
    from one.util import filter_datasets

    one, rows = searched
    for row in rows:
        eid = SessionKey.parse(row).uuid
        files = [each for each in row["files"] if each.path.endswith("trials.choice.npy")]
        labels = {each.revision for each in files if each.qc <= QC.FAIL} - {None}
        assert set(one.list_revisions(eid)) - {""} == labels
        for level in (QC.NOT_SET, QC.FAIL, QC.CRITICAL):
            every = one.list_datasets(eid, details=True, qc=QC.CRITICAL)
            found = filter_datasets(
                every, "trials.choice.npy", "alf", revision, qc=level, assert_unique=False
            )
            good = {each.revision or "": each.path for each in files if each.qc <= level}
            until = [label for label in good if revision is None or label <= revision]
            assert list(found["rel_path"]) == ([good[max(until)]] if until else [])


def test_ids_are_the_same_at_every_export(lab, tmp_path):
    lab.tracker.export_one(tmp_path)

    for name in ("sessions", "datasets"):
        again, first = (pq.read_table(where / f"{name}.pqt") for where in (tmp_path, lab.out))
        assert again.equals(first)
    ids = pq.read_table(tmp_path / "datasets.pqt").to_pylist()
    for row in ids[:5]:
        assert row["id"] == str(uuid.uuid3(uuid.UUID(row["eid"]), row["rel_path"]))


def test_converters_of_one_go_round(lab):
    one = real_one(lab.out, lab.root)
    for key in lab.tracker.sessions.iter():
        eid = one.path2eid(one.eid2path(str(key.key.uuid)))
        assert str(eid) == str(key.key.uuid)
        assert str(one.ref2eid(one.eid2ref(eid))) == str(eid)


def test_one_loads_the_bytes_of_a_dataset_and_the_last_revision(lab):
    key = next(
        key
        for key in (session.key for session in lab.tracker.sessions.iter())
        if not lab.names.get(lab.tracker.sessions.get(key).uSessionID, {}).get("lab")
        and {FILES[0], FILES[2]} <= {each.path for each in lab.tracker.datasets.list(key)}
    )
    folder = lab.folder(key)
    padded = folder.with_name(f"{key.number:03d}")
    if padded != folder:
        padded.symlink_to(folder, target_is_directory=True)
    one = real_one(lab.out, lab.root)
    try:
        path = one.load_dataset(key.uuid, "trials.choice.npy", collection="alf", download_only=True)
    finally:
        if padded.is_symlink():
            padded.unlink()
    assert Path(path).relative_to(padded).as_posix() == FILES[2]
    hashes = {each.path: each.md5 for each in lab.tracker.datasets.list(key)}
    assert hashes[FILES[2]] == hashlib.md5(f"{key} {FILES[2]}".encode()).hexdigest()


def test_scan_of_a_tree_is_that_of_one(lab, tmp_path):
    from one.alf.cache import make_parquet_db

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_parquet_db(lab.root, tmp_path, hash_files=False)

    theirs = pq.read_table(tmp_path / "datasets.pqt").to_pylist()
    sessions = pq.read_table(tmp_path / "sessions.pqt").to_pylist()
    keys = {row["id"]: (row["subject"], row["date"], row["number"]) for row in sessions}
    found = {(*keys[row["eid"]], row["rel_path"], row["file_size"]) for row in theirs}
    ours = {
        (*key.key.columns.values(), each.path, each.size)
        for key in lab.tracker.sessions.iter()
        for each in lab.tracker.datasets.list(key)
    }
    assert found == ours
    # Their ids are new at every run, and are not taken over for what is known.
    plan = lab.tracker.import_one(tmp_path)
    assert (plan.added, plan.updated, plan.conflicts) == (0, 0, ())


PIECES = ["_", ".", "-", "ibl", "trials", "times", "_times", "_ibl_", "intervals", "npy", ".npy"]
PIECES += ["x", "9", " ", "ü", "#", ".1-2", "~"]


@settings(max_examples=examples(200), deadline=None)
@given(name=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join))
@example(name="_ibl_trials.stimOn_times_bpod.v1.2.npy")
@example(name="_trials.times.npy")
@example(name="_1A.x.npy")
@example(name="__A.a...-a.1.1A")
def test_one_takes_the_same_names_for_those_of_datasets(name):
    from one.alf.path import filename_parts
    from one.alf.spec import is_valid

    ours = parse_alf_name(name)

    assert (ours is not None) == is_valid(name)
    if ours is not None:
        assert dataclasses.astuple(ours) == filename_parts(name)


def test_merge_of_one_takes_our_tables(lab):
    from one.alf.cache import load_tables, merge_tables

    cache = load_tables(lab.out)
    ours = {name: cache[name].iloc[:3].copy() for name in ("sessions", "datasets")}

    merge_tables(cache, strict=True, **ours)

    assert len(cache["sessions"]) == lab.export.sessions


def test_frames_of_one_are_merged_with_a_plan_and_strictly_on_request(lab, plain, tmp_path):
    from one.alf.cache import load_tables

    tables = load_tables(lab.out)
    nothing = lab.tracker.merge(tables, strict=True)
    assert (nothing.added, nothing.updated, nothing.conflicts) == (0, 0, ())
    assert nothing.unchanged == lab.export.sessions + lab.export.datasets

    others = {**tables, "sessions": tables["sessions"].drop(columns="lab").assign(rig="a")}
    with pytest.raises(ImportFileError, match="strict=False") as raised:
        plain.merge(others, strict=True)
    assert list(raised.value.problems) == [
        "sessions lacks the column 'lab'",
        "sessions has the column 'rig'",
    ]
    assert plain.merge(others).notes == ("The column rig of sessions is left out.",)
    plain.merge(tables).apply()
    plain.export_one(tmp_path)
    for name in ("sessions", "datasets"):
        mine, first = (pq.read_table(folder / f"{name}.pqt") for folder in (tmp_path, lab.out))
        assert mine.equals(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(number="one"), "sessions, row 1: "),
        (lambda frame: frame.assign(subject=None), "not a mouse name"),
        (lambda frame: frame.assign(lab=pd.Series("\udcff", frame.index, object)), "half a char"),
        (lambda frame: frame.iloc[[0, 0]], "stands there before"),
        (lambda frame: frame.reset_index(drop=True), "no column 'id'"),
        (lambda frame: frame[["lab", "lab"]], "two columns"),
        (lambda frame: frame.to_dict(), "DataFrame"),
        (lambda _: None, "have no sessions"),
    ],
)
def test_frames_that_are_wrong_are_one_error(lab, blank, change, message):
    frame = real_one(lab.out)._cache.sessions

    with pytest.raises(ImportFileError, match=message):
        blank.merge({"sessions": change(frame)})


def test_what_one_saves_comes_back_with_nothing_to_do(lab, tmp_path):
    one = real_one(lab.out)
    one.save_cache(save_dir=tmp_path, clobber=True)

    plan = lab.tracker.import_one(tmp_path)

    assert (plan.added, plan.updated, plan.conflicts) == (0, 0, ())
    assert plan.unchanged == lab.export.sessions + lab.export.datasets


def drawn(draw: random.Random) -> dict[str, Any]:
    """Return a query for another process, which gets it as JSON."""
    terms: dict[str, list[Any]] = {
        "subject": ["M1", "M", "^M-3$", "4"],
        "date_range": [["2024-01-01", "2024-01-02"], ["2024-01-02", "2024-01-05"]],
        "number": [[1, 2, 9], [*range(12)]],
        "task_protocol": ["ephys", "training", "passive"],
        "lab": ["cortex", "lab", "^mainenlab$"],
        "projects": ["brainwide", "pilot"],
    }
    query = {name: draw.choice(values) for name, values in terms.items() if draw.random() < 0.3}
    if not query or draw.random() < 0.5:
        names = [".*", "trials.choice.npy", ["spikes.times.npy", "trials.choice.npy"]]
        query |= {"datasets": draw.choice(names), "dataset_qc_lte": draw.choice(LEVELS)}
    return query


@pytest.mark.skipif(not OLD_ONE, reason="VRTRACKER_TEST_OLD_ONE names no Python")
def test_older_one_loads_searches_and_saves_alike(lab, searched, tmp_path):
    one, _ = searched
    names = ["sessions", "datasets"]
    draw = random.Random(SEED)
    queries = [drawn(draw) for _ in range(200)]
    asked = {"root": str(lab.root), "tables": str(lab.out), "saved": str(tmp_path)}
    document = json.dumps({**asked, "names": names, "queries": queries})
    done = subprocess.run(
        [OLD_ONE, "-I", old_one.__file__],
        input=document,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    for query, found in zip(queries, told["found"], strict=True):
        if "date_range" in query:
            query["date_range"] = [dt.date.fromisoformat(day) for day in query["date_range"]]
        assert found == sorted(map(str, one.search(**query)))
    assert told["ids"] == told["paths"] == told["refs"]
    assert told["version"] < "3.6"
    plan = lab.tracker.import_one(tmp_path)
    assert (plan.added, plan.updated, plan.conflicts) == (0, 0, ())


def test_lab_of_a_session_is_the_one_below_whose_folder_its_own_is(tmp_path, put_sqlite):
    places = {
        "M1/2024-01-01/1": "labA/Subjects/M1/2024-01-01/001",
        "M1/2024-02-01/1": "labB/Subjects/M1/2024-02-01/001",
        "M2/2024-02-01/1": "M2/2024-02-01/001",
        "M2/2024-03-01/1": "labB/Subjects/M2/2024-03-01/001",
        "M3/2024-01-01/1": "labA/Subjects/M3/2024-01-01/001",
        "M4/2024-01-01/1": "M4/2024-01-01/001",
    }
    with WorkflowLab(str(put_sqlite(tmp_path / "lab.db")), tmp_path / "root") as made:
        made.tracker.mice.add_many([{"mouseName": "M3"}, {"mouseName": "M4"}])
        made.tracker.sessions.add_many([SessionKey.parse(key).columns for key in places])
        for folder in places.values():
            (made.root / folder).mkdir(parents=True)
        made.tracker.export_one(tmp_path / "out")
        made.tracker.export_one(tmp_path / "few", mouseName="M4")

    assert len(real_one(tmp_path / "few", made.root).search()) == 1
    one = real_one(tmp_path / "out", made.root)
    for key, folder in places.items():
        assert Path(one.eid2path(str(SessionKey.parse(key).uuid))) == made.root / folder
    assert {str(eid) for eid in one.search(lab="labB")} == eids(
        ["M1/2024-02-01/1", "M2/2024-03-01/1"]
    )
    assert not (tmp_path / "out" / "datasets.pqt").exists()


# -- what cannot be exported -----------------------------------------------------------------


def test_sessions_that_one_cannot_hold_are_all_named(plain, tmp_path):
    plain.mice.add("M1")
    for number in (5, 1000, 2000):
        plain.sessions.add(("M1", "2024-01-01", number))

    with pytest.raises(InvalidValueError) as raised:
        plain.export_one(tmp_path / "out")
    assert list(raised.value.value) == ["M1.2024-01-01.1000", "M1.2024-01-01.2000"]
    assert not (tmp_path / "out").exists()

    made = plain.export_one(tmp_path / "out", skip_unfit=True)
    assert (made.sessions, [each.key for each in made.left_out]) == (1, list(raised.value.value))
    assert plain.export_one(tmp_path / "out", sessionID=5).sessions == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sessions.pqt"]


def test_dataset_with_two_revisions_is_named_or_left_out_and_hashes_are_those_of_one(
    put_sqlite, tmp_path
):
    from one.alf.cache import make_parquet_db

    key = SessionKey.parse("M2/2024-01-01/1")
    with WorkflowLab(str(put_sqlite(tmp_path / "lab.db")), tmp_path / "root") as made:
        made.tracker.sessions.add_many([key.columns])
        for path in ("alf/#a#/trials.choice.npy", "alf/#a#/#b#/trials.choice.npy"):
            file = made.folder(key) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
        made.tracker.datasets.scan()
        with pytest.raises(InvalidValueError, match=r"#a#/#b#/trials.*not the last one"):
            made.tracker.export_one(tmp_path / "out")
        assert not (tmp_path / "out").exists()
        done = made.tracker.export_one(tmp_path / "out", skip_unfit=True)
        make_parquet_db(made.root, tmp_path, hash_files=True)

    assert [each.key for each in done.left_out] == [f"{key} alf/#a#/#b#/trials.choice.npy"]
    (row,) = pq.read_table(tmp_path / "out" / "datasets.pqt").to_pylist()
    theirs = pq.read_table(tmp_path / "datasets.pqt").to_pylist()
    facts = ("rel_path", "file_size", "hash")
    assert [row[name] for name in facts] in [[one[name] for name in facts] for one in theirs]


def test_table_that_is_as_it_was_is_not_written_again(plain, tmp_path):
    plain.import_one(cache(tmp_path / "cache")).apply()
    files = [tmp_path / "out" / f"{name}.pqt" for name in ("sessions", "datasets")]

    def export() -> list[int]:
        plain.export_one(tmp_path / "out")
        return [file.stat().st_ino for file in files]

    first = export()
    assert export() == first
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:4] + b"damaged" + whole[11:])
    assert not set(export()) & set(first)
    first = export()
    plain.sessions.add(("M1", "2024-01-01", 7))
    second = export()
    assert [new == old for new, old in zip(second, first, strict=True)] == [False, True]
    assert len(real_one(tmp_path / "out")._cache.sessions) == 2
    plain.workflow.set_dataset_qc(KEY, "alf/a.b.npy", "FAIL")
    assert not set(export()) & set(second)
    assert list(real_one(tmp_path / "out")._cache.datasets["qc"]) == ["FAIL"]


def test_folder_that_is_a_file_is_one_error(plain, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InvalidValueError, match="Give another folder"):
        plain.export_one(tmp_path / "out")


def test_tables_that_are_there_stay_if_nothing_is_selected_or_they_are_of_others(
    lab, shared_file, tmp_path
):
    out = tmp_path / "out"
    made = lab.tracker.export_one(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(InvalidValueError, match="nothing was written"):
        lab.tracker.export_one(out, mouseName="none")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert lab.tracker.export_one(out) == made

    theirs = (out / "sessions.pqt", out / "datasets.pqt")
    for table, content in zip(
        theirs, (shared_file("one/sessions.pqt").read_bytes(), b"x"), strict=True
    ):
        table.write_bytes(content)
        with pytest.raises(InvalidValueError, match="not written by vrtracker"):
            lab.tracker.export_one(out)
        assert table.read_bytes() == content
        table.unlink()

    with pytest.raises(InvalidValueError, match="empty"):
        lab.tracker.export_one("")


def test_default_is_the_last_revision_that_exists(tmp_path, put_sqlite):
    with WorkflowLab(str(put_sqlite(tmp_path / "lab.db")), tmp_path / "root") as made:
        key = made.add("M1.2024-01-01.1")
        for path in FILES[:3]:
            file = made.folder(key) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        defaults = []
        for path in reversed((*FILES[:3], None)):
            if path is not None:
                (made.folder(key) / path).unlink()
            made.tracker.datasets.scan(key)
            made.tracker.export_one(tmp_path / "out")
            rows = pq.read_table(tmp_path / "out" / "datasets.pqt").to_pylist()
            defaults.append([row["rel_path"] for row in rows if row["default_revision"]])

    # Of none that exists it stays the last one on record.
    assert defaults == [[FILES[2]], [FILES[1]], [FILES[0]], [FILES[2]]]


def test_one_hash_that_is_not_known_leaves_all_out(lab, tmp_path, put_sqlite):
    with WorkflowLab(str(put_sqlite(tmp_path / "lab.db")), tmp_path / "root") as made:
        key = made.add("M1.2024-01-01.1")
        for name in ("trials.a.npy", "trials.b.npy"):
            (made.folder(key) / name).write_bytes(b"x")
            made.tracker.datasets.scan(key, hashes=name == "trials.a.npy")
        report = made.tracker.export_one(tmp_path / "out")

    assert report.unhashed == 1
    assert "sessions that have a folder here" in str(report)
    assert pq.read_table(tmp_path / "out" / "datasets.pqt").schema.field("hash").type == pa.null()


# -- what is imported ------------------------------------------------------------------------


def test_real_cache_of_2021_is_taken_over_and_searched_by_one(plain, shared_file, tmp_path):
    folder = shared_file("one/sessions.pqt").parent
    plan = plain.import_one(folder)
    assert plan.counts == {"sessions": {"added": 26}, "datasets": {"added": 693}}
    plan.apply()

    again = plain.import_one(folder)
    assert (again.added, again.updated, again.unchanged) == (0, 0, 26 + 693)
    made = plain.export_one(tmp_path)
    assert (made.sessions, made.datasets) == (26, 693)

    one = real_one(tmp_path)
    old = pq.read_table(folder / "sessions.pqt").to_pylist()
    for lab in ("mainenlab", "cortexlab"):
        assert len(one.search(lab=f"^{lab}$")) == sum(row["lab"] == lab for row in old)
    project = "ibl_neuropixel_brainwide_01"
    assert len(one.search(projects=project)) == sum(row["project"] == project for row in old)
    from one.alf.cache import load_tables

    theirs = load_tables(folder)["sessions"]
    assert set(map(str, one._cache.sessions.index)) == set(map(str, theirs.index))
    (eid,) = one.search(subject="ZFM-01935", number=1, date="2021-02-05")
    assert one.eid2path(eid).as_posix().endswith("mainenlab/Subjects/ZFM-01935/2021-02-05/001")


def cache(folder: Path, sessions: Any = None, datasets: Any = None, **more: Any) -> Path:
    """Write a small cache: one session with one dataset, and what is to be other of them."""
    eid = "3f2b8f6e-6c1a-4c3e-9d59-6a2f4c8e1a11"
    session = {"id": eid, "subject": "M1", "date": dt.date(2024, 1, 1), "number": 1, "lab": ""}
    session |= {"task_protocol": "passive", "projects": "pilot"}
    file = {"eid": eid, "id": "0d9f0b7e-0e7f-4a4e-8e7c-3b1f6f5f0b11", "rel_path": "alf/a.b.npy"}
    file |= {"file_size": 5, "hash": "a" * 32, "exists": True, "qc": "PASS"}
    rows = {
        "sessions": [{**session, **each} for each in sessions or [{}]],
        "datasets": [{**file, **each} for each in datasets or [{}]],
    }
    folder.mkdir(exist_ok=True)
    for name, table in rows.items():
        dropped = more.get(f"without_{name}", ())
        kept = [{k: v for k, v in row.items() if k not in dropped} for row in table]
        pq.write_table(pa.Table.from_pylist(kept), folder / f"{name}.pqt")
    return folder


KEY = "M1.2024-01-01.1"


def test_cache_fills_in_what_is_not_known_here(empty, tmp_path):
    empty.import_one(cache(tmp_path / "a", [{"projects": "", "task_protocol": ""}])).apply()
    assert [each.qc for each in empty.datasets.list(KEY)] == [QC.PASS]

    plan = empty.import_one(
        cache(tmp_path / "b", datasets=[{}, {"rel_path": "c.d.npy", "id": str(uuid.uuid4())}])
    )
    assert plan.counts["sessions"] == {"updated": 1}
    assert plan.counts["datasets"] == {"unchanged": 1, "added": 1}
    plan.apply()

    assert empty.sessions.get(KEY).experimentType == "passive"
    assert empty.import_one(tmp_path / "b").updated == 0
    event = empty.history(KEY).iloc[-1]
    assert event["changes"] == {"experimentType": [None, "passive"], "datasets:added": 1}
    assert empty.verify().differences == ()


def test_ids_that_one_would_not_take_are_told_and_not_kept(blank, tmp_path):
    one, five = uuid.uuid1(), uuid.uuid5(uuid.NAMESPACE_DNS, "x")
    folder = cache(tmp_path, [{"id": str(five)}], [{"eid": str(five), "id": str(one)}])

    (note,) = blank.import_one(folder).notes

    assert f"2 of the new sessions and datasets get other ids than in the cache: {KEY}" in note
    assert blank.import_one(cache(tmp_path)).notes == ()


def test_export_tells_what_a_cache_has_told_of_each_dataset(empty, tmp_path):
    ids = [str(uuid.uuid4()) for _ in range(5)]
    told: list[dict[str, Any]] = [
        {"id": ids[0], "hash": "b" * 32},
        {"rel_path": "c.d.npy", "id": ids[1], "exists": False, "qc": "CRITICAL"},
        {"rel_path": "e\nf/\t\a/x.npy", "id": ids[2], "exists": False, "qc": "NOT_SET"},
        {"rel_path": "g.h.npy", "id": ids[3], "hash": None, "eid": ids[4]},
    ]
    sessions = [{}, {"number": 2, "id": ids[4]}]
    empty.import_one(cache(tmp_path / "told", sessions, told)).apply()
    names = ["eid", "id", "rel_path", "file_size", "exists", "qc"]

    def both(out: Path, kept: list[str]) -> Any:
        tables = (pq.read_table(folder / "datasets.pqt") for folder in (out, tmp_path / "told"))
        return [
            sorted(table.select(kept).to_pylist(), key=lambda row: row["id"]) for table in tables
        ]

    assert empty.export_one(tmp_path / "all").unhashed == 1
    found, wanted = both(tmp_path / "all", names)
    assert found == wanted
    empty.export_one(tmp_path / "one", sessionID=1)
    found, wanted = both(tmp_path / "one", [*names, "hash"])
    assert found == [row for row in wanted if row["hash"]]


def test_contradiction_is_a_conflict_and_nothing_is_written(empty, tmp_path):
    empty.import_one(cache(tmp_path / "a")).apply()
    other = cache(
        tmp_path / "b",
        [{"projects": "x"}],
        [{"file_size": 6, "qc": "FAIL"}, {"rel_path": "n.n.npy", "id": str(uuid.uuid4())}],
    )

    plan = empty.import_one(other)
    assert plan.conflicts[1:] == (
        f"{KEY} alf/a.b.npy: size is 5 here, 6 there",
        f"{KEY} alf/a.b.npy: QC is PASS here, FAIL there",
    )
    assert plan.counts == {"sessions": {"conflicts": 1}, "datasets": {"conflicts": 1, "added": 1}}
    with pytest.raises(ImportFileError, match="projects is 'pilot' here, 'x' there"):
        plan.apply()
    assert len(empty.datasets.list(KEY)) == 1

    empty.import_one(other, overwrite=True).apply()
    assert {each.path: each.size for each in empty.datasets.list(KEY)} == {
        "alf/a.b.npy": 6,
        "n.n.npy": 5,
    }
    assert empty.import_one(other).conflicts == ()


def test_second_dataset_of_an_id_is_told_with_both_sessions_and_only_when_it_is_new(
    empty, tmp_path
):
    second = str(uuid.uuid4())
    sessions = [{}, {"id": second, "number": 2, "subject": "M2"}]
    folder = cache(tmp_path / "a", sessions, [{}, {"eid": second}])

    (note,) = empty.import_one(folder).notes
    assert note.startswith("M2.2024-01-01.2 alf/a.b.npy has the id of M1.2024-01-01.1 alf/a.b.npy,")
    empty.import_one(folder).apply()

    assert empty.import_one(folder).notes == ()


def test_plan_is_refused_if_the_database_changed_since(plain, tmp_path):
    plan = plain.import_one(cache(tmp_path / "a"))
    plain.mice.add("M1")

    with pytest.raises(ConcurrentUpdateError):
        plan.apply()
    assert plain.sessions.count() == 0


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "climbing path": ({"datasets": [{"rel_path": "../../etc/passwd"}]}, "no path below"),
    "absolute path": ({"datasets": [{"rel_path": "/etc/passwd"}]}, "no path below"),
    "drive": ({"datasets": [{"rel_path": "C:/x.y.npy"}]}, "no path below"),
    "backslashes": ({"datasets": [{"rel_path": "..\\x.y.npy"}]}, "no path below"),
    "long path": ({"datasets": [{"rel_path": "x" * 300}]}, "longer than 255"),
    "no path": ({"datasets": [{"rel_path": None}]}, "no path below"),
    "twice the id": ({"sessions": [{}, {"number": 2}]}, "stands there before"),
    "twice the key": ({"sessions": [{}, {"id": str(uuid.UUID(int=1))}]}, "stands there before"),
    "twice the path": ({"datasets": [{}, {"id": str(uuid.UUID(int=1))}]}, "stands there before"),
    "no such session": ({"datasets": [{"eid": str(uuid.UUID(int=1))}]}, "not in sessions.pqt"),
    "no id": ({"sessions": [{"id": "one"}]}, "no UUID"),
    "number for an id": ({"sessions": [{"id": 1}]}, "no id"),
    "missing column": ({"without_sessions": ["subject"]}, "no column 'subject'"),
    "missing ids": ({"without_datasets": ["eid"]}, "no column 'eid'"),
    "odd name": ({"sessions": [{"subject": "M 1"}]}, "not a mouse name"),
    "text for a date": ({"sessions": [{"date": "soon"}]}, "soon"),
    "time for a date": ({"sessions": [{"date": dt.datetime(2024, 1, 1, 12)}]}, "no date"),
    "negative number": ({"sessions": [{"number": -1}]}, "session number"),
    "text for a size": ({"datasets": [{"file_size": "big"}]}, "no size"),
    "size that no file has": ({"datasets": [{"file_size": 1e19}]}, "no size"),
    "size beyond all": ({"datasets": [{"file_size": 1e300}]}, "no size"),
    "odd hash": ({"datasets": [{"hash": "xyz"}]}, "no MD5"),
    "lab that climbs": ({"sessions": [{"lab": "../../x"}]}, "no name of a folder"),
    "lab of two folders": ({"sessions": [{"lab": "a/b"}]}, "no name of a folder"),
    "odd level": ({"datasets": [{"qc": "GREAT"}]}, "QC level"),
    "text for a flag": ({"datasets": [{"exists": "yes"}]}, "exists"),
    "names that no mouse has": (
        {"sessions": [{"subject": "a b"}, {"subject": "c d", "id": str(uuid.UUID(int=1))}]},
        "'-' and '.' only, and 1 more like it;",
    ),
    "case alone": (
        {"sessions": [{}, {"subject": "m1", "id": str(uuid.UUID(int=1))}]},
        "case alone",
    ),
}


@pytest.fixture(scope="module")
def blank(tmp_path_factory, put_sqlite):
    with open_lab(str(put_sqlite(tmp_path_factory.mktemp("blank") / "lab.db"))) as made:
        yield made


@pytest.mark.parametrize("kind", BAD)
def test_cache_that_is_wrong_in_itself_is_one_error(blank, tmp_path, kind):
    what, message = BAD[kind]

    with pytest.raises(ImportFileError, match=message) as raised:
        blank.import_one(cache(tmp_path / "bad", **what))

    assert str(raised.value).count("\n") == 0
    assert ".," not in str(raised.value)
    assert raised.value.problems
    assert blank.sessions.count() == blank.mice.count() == 0


NO_TABLES = {
    "none": "holds no sessions.pqt",
    "text": "cannot be read",
    "cut": "cannot be read",
    "folder": "is no file",
    "link to nothing": "is no file",
    "link in a circle": "is no file|cannot be read",
    "bloated": "claims to hold 200000 rows",
    "long texts": "more than 10000 characters",
    "lists": "the type list",
    "blocks": "the type fixed_size_binary",
}


@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table_is_one_error(blank, tmp_path, kind):
    table = cache(tmp_path / "bad") / "sessions.pqt"
    match kind:
        case "none":
            table.unlink()
        case "text":
            table.write_text("id,subject\n")
        case "cut":
            table.write_bytes(table.read_bytes()[:-100])
        case "folder":
            table.unlink()
            table.mkdir()
        case "bloated":
            # 200,000 rows that are all alike take next to nothing in the file.
            rows = pa.Table.from_pydict({"id": pa.nulls(200_000, pa.string())})
            pq.write_table(rows, table)
        case "link to nothing" | "link in a circle":
            table.unlink()
            table.symlink_to(tmp_path / "gone" if kind == "link to nothing" else table)
        case "long texts":
            # One text of a megabyte in 2,000 rows: 40 kB in the file, 2 GB unpacked.
            with_lab(table, pa.array(["x" * 2**20]), rows=2_000)
        case "lists":
            with_lab(table, pa.array([["x"] * 2**16]), rows=1)
        case "blocks":
            with_lab(table, pa.array([b"x" * 2**20], pa.binary(2**20)), rows=2)

    with pytest.raises(ImportFileError, match=NO_TABLES[kind]):
        blank.import_one(table.parent)


def with_lab(table: Path, labs: pa.Array, *, rows: int) -> None:
    """Write a table of sessions that all have the first of these labs."""
    ids = pa.array([str(uuid.UUID(int=number)) for number in range(rows)])
    of_all = pa.array([0] * rows, pa.int32())
    lab = labs if rows == 1 else pa.DictionaryArray.from_arrays(of_all, labs)
    lab = labs.take(of_all) if pa.types.is_fixed_size_binary(labs.type) else lab
    pq.write_table(pa.table({"id": ids, "lab": lab}), table, compression="zstd")


# -- the shell -------------------------------------------------------------------------------


def test_shell_exports_and_imports(lab, tmp_path):
    there = ("--url", lab.url, "--root", lab.root)
    here = ("--url", tmp_path / "new.db")
    told(*here, "init")

    made = told(*there, "export", "one", tmp_path / "out")
    assert (made["sessions"], made["left_out"]) == (24, [])
    few = told(*there, "export", "one", tmp_path / "few", "--where", "mouseName=M1")
    assert few["sessions"] == 6
    planned = told(*here, "import", "one", tmp_path / "out", "--dry-run")
    done = told(*here, "import", "one", tmp_path / "out", "--yes")
    assert planned["added"] == done["added"] == made["sessions"] + made["datasets"]
    assert (planned["applied"], done["applied"]) == (False, True)
    again = told(*here, "import", "one", tmp_path / "out")
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, done["added"])


def test_shell_names_conflicts_and_what_is_unfit(tmp_path):
    here = ("--url", tmp_path / "new.db")
    told(*here, "init")
    told(*here, "import", "one", cache(tmp_path / "a"), "--yes")
    other = cache(tmp_path / "b", datasets=[{"hash": "b" * 32}])

    result = run(*here, "import", "one", other, "--json")
    assert result.exit_code == 5
    assert "--overwrite" in result.stderr
    told_so = json.loads(result.stdout)
    assert len(told_so["conflicts"]) == 1
    nothing = dict.fromkeys(("added", "updated", "unchanged", "conflicts"), 0)
    assert told_so["datasets"] == nothing | {"conflicts": 1}
    told(*here, "sessions", "add", "M1.2024-01-01.1000")
    assert "--skip-unfit" in refused(*here, "export", "one", tmp_path / "out", code=2)
    assert "empty" in refused(*here, "export", "one", "", code=2)
    assert "no path below" in refused(
        *here, "import", "one", cache(tmp_path / "c", datasets=[{"rel_path": "../x"}]), code=2
    )


def test_old_caches_and_new_ones_read_alike(blank, tmp_path):
    """Pairs of integers, QC as numbers, dates as texts and times at midnight."""
    new = blank.import_one(cache(tmp_path / "new"))
    folder = cache(tmp_path / "old", without_sessions=["id"], without_datasets=["id", "eid"])
    ids = {"session": "3f2b8f6e-6c1a-4c3e-9d59-6a2f4c8e1a11"}
    first, second = (
        int.from_bytes(uuid.UUID(ids["session"]).bytes[part], "little", signed=True)
        for part in (slice(8), slice(8, 16))
    )
    for name, column in (("sessions", "id"), ("datasets", "eid")):
        table = pq.read_table(folder / f"{name}.pqt")
        table = table.append_column(f"{column}_0", pa.array([first]))
        table = table.append_column(f"{column}_1", pa.array([second]))
        if name == "datasets":
            table = table.append_column("id_0", pa.array([1])).append_column("id_1", pa.array([2]))
            table = table.set_column(table.column_names.index("qc"), "qc", pa.array([10]))
        else:
            date = pa.array([dt.datetime(2024, 1, 1)])
            table = table.set_column(table.column_names.index("date"), "date", date)
            table = table.rename_columns(
                ["project" if each == "projects" else each for each in table.column_names]
            )
        pq.write_table(table, folder / f"{name}.pqt")

    old = blank.import_one(folder)

    assert (old.counts, old.mice) == (new.counts, new.mice)
    assert old._service._cache.sessions == new._service._cache.sessions

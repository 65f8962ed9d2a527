"""The old names of ONE's tables mean what they mean there: the real ones are run beside them."""

from __future__ import annotations

import datetime as dt
import uuid
import warnings
from pathlib import Path

import pandas as pd
import pytest

import vrtracker
from vrtracker.errors import ImportFileError, InvalidValueError
from vrtracker.interop import one as ours

theirs = pytest.importorskip("one.alf.cache", reason="ONE-api is not installed")

# ONE-api calls pandas in ways that the next pandas will not know.
pytestmark = pytest.mark.filterwarnings("ignore")

FILES = ("alf/trials.choice.npy", "alf/#2024-01-01#/trials.choice.npy", "alf/p0/spikes.times.npy")
FOLDERS = ("M1/2024-01-01/001", "cortexlab/Subjects/M-2/2024-02-02/012", "M1/2024-01-01/002")


@pytest.fixture
def tree(tmp_path) -> Path:
    """Three sessions in both layouts, the last one without files."""
    root = tmp_path / "root"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    for folder in FOLDERS[:2]:
        for name in FILES:
            file = root / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"{folder} {name}".encode())
    return root


@pytest.fixture
def made(tree, tmp_path) -> Path:
    (tmp_path / "ours").mkdir()
    ours.make_parquet_db(tree, tmp_path / "ours", hash_files=True)
    return tmp_path / "ours"


def plain(frame: pd.DataFrame) -> list[dict]:
    return frame.drop(columns="default_revision", errors="ignore").astype(object).to_dict("records")


def by_path(tables) -> list[tuple]:
    sessions = tables["sessions"]
    files = tables["datasets"].reset_index()
    return sorted(
        (
            *sessions.loc[row["eid"], ["lab", "subject", "number"]],
            str(row["rel_path"]),
            row["file_size"],
            row["hash"],
        )
        for _, row in files.iterrows()
    )


def test_tree_is_indexed_as_there_with_ids_that_stay(tree, made, tmp_path):
    (tmp_path / "theirs").mkdir()
    # Theirs stops at a session without files.
    (tree / FOLDERS[2]).rmdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.make_parquet_db(tree, tmp_path / "theirs", hash_files=True)

    mine, other = theirs.load_tables(made), theirs.load_tables(tmp_path / "theirs")
    assert by_path(mine) == by_path(other)
    (tree / FOLDERS[2]).mkdir()
    ours.make_parquet_db(tree, tmp_path / "theirs", hash_files=True)
    again = theirs.load_tables(tmp_path / "theirs")
    assert plain(again["datasets"]) == plain(mine["datasets"])
    assert list(again["datasets"].index) == list(mine["datasets"].index)
    with pytest.raises(InvalidValueError, match="hash_ids"):
        ours.make_parquet_db(tree, hash_ids=False)


def test_tables_are_loaded_as_there(made, shared_file):
    for folder in (made, shared_file("one/sessions.pqt").parent):
        mine, other = ours.load_tables(folder), theirs.load_tables(folder)
        for name in ("sessions", "datasets"):
            assert set(mine[name].columns) == set(other[name].columns)
            assert mine[name].index.names == other[name].index.names
            frames = (
                tables[name].sort_values(KEYS[name]).reset_index(drop=True)
                for tables in (mine, other)
            )
            pd.testing.assert_frame_equal(*frames, check_dtype=False, check_like=True)
            assert set(mine[name].index) == set(other[name].index)
    (made / "sessions.pqt").write_text("no table")
    with pytest.raises(ImportFileError):
        ours.load_tables(made)


KEYS = {"sessions": ["subject", "date", "number"], "datasets": ["rel_path", "file_size"]}


def test_empty_frames_are_alike():
    for name in ("EMPTY_SESSIONS_FRAME", "EMPTY_DATASETS_FRAME"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert dict(mine.dtypes) == dict(other.dtypes)
        assert mine.index.names == other.index.names
    assert ours.QC_TYPE == theirs.QC_TYPE
    with pytest.raises(AttributeError):
        ours.NOTHING  # noqa: B018


@pytest.mark.parametrize("strict", [True, False])
def test_rows_are_merged_as_there(made, strict):
    caches = [module.load_tables(made) for module in (ours, theirs)]
    new = caches[0]["sessions"].iloc[:2].copy()
    new["task_protocol"] = "passive"
    new.index = pd.Index([new.index[0], uuid.UUID(int=7)], name="id")
    if not strict:
        new = new.drop(columns="projects").assign(extra=1)

    for module, cache in zip((ours, theirs), caches, strict=True):
        assert isinstance(
            module.merge_tables(cache, strict=strict, sessions=new.copy()), dt.datetime
        )

    mine, other = (cache["sessions"].sort_index().drop(columns="projects") for cache in caches)
    assert list(mine.index) == list(other.index)
    assert mine.astype(object).to_dict("records") == other.astype(object).to_dict("records")
    for module, cache in zip((ours, theirs), caches, strict=True):
        with pytest.raises(AssertionError):
            module.merge_tables(cache, strict=True, sessions=new.assign(more=1))
        with pytest.raises(KeyError):
            module.merge_tables(cache, nothing=new)


def test_ids_are_cast_as_there(made):
    frame = ours.load_tables(made)["datasets"]
    mine, other = (module.cast_index_object(frame.copy(), str) for module in (ours, theirs))
    assert list(mine.index) == list(other.index)


def test_files_without_a_row_are_found_nested_and_come_back_from_the_trash(tree, made, tmp_path):
    stray = tree / FOLDERS[0] / "alf" / "p0" / "deep" / "stray.times.npy"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    tables = ours.load_tables(made)

    assert ours.remove_missing_datasets(tree, tables) == [stray]
    assert stray.exists()
    ours.remove_missing_datasets(tree, tables, dry=False)

    assert not stray.exists()
    (kept,) = (tree / ".vrtracker-trash").rglob("stray.times.npy")
    assert kept.read_bytes() == b"x"
    assert all((tree / folder / name).exists() for folder in FOLDERS[:2] for name in FILES)
    with vrtracker.init(tmp_path / "lab.db", root=tree) as tracker:
        assert tracker.datasets.restore().files == 1
    assert stray.read_bytes() == b"x"


def test_files_are_spared_where_the_tables_do_not_fit_the_tree(tree, tmp_path):
    ours.make_parquet_db(tree, lab="elsewhere")
    tables = ours.load_tables(tree)
    sessions = tables["sessions"]
    spelled = [
        tables,
        {**tables, "sessions": sessions.assign(lab=None)},
        {**tables, "sessions": sessions.assign(lab=float("nan"))},
        {**tables, "sessions": sessions.assign(date=pd.to_datetime(sessions["date"]))},
        {**tables, "sessions": sessions.assign(number=sessions["number"].astype(str))},
    ]
    unfit = [
        {**tables, "datasets": tables["datasets"].iloc[:0]},
        {**tables, "datasets": ours.cast_index_object(tables["datasets"], str)},
        {**tables, "sessions": sessions.assign(subject="M7")},
    ]
    stray = tree / FOLDERS[0] / "stray.times.npy"
    stray.write_bytes(b"x")

    assert [ours.remove_missing_datasets(tree, each) for each in spelled] == [[stray]] * 5
    assert [ours.remove_missing_datasets(tree, each) for each in unfit] == [[]] * 3
    for each in spelled[1:]:
        assert ours.eid2path(each, sessions.index[0]).name in {"001", "002", "012"}


def test_table_files_are_removed(made):
    assert {path.name for path in ours.remove_table_files(made)} == {"sessions.pqt", "datasets.pqt"}
    assert list(made.iterdir()) == []


def test_converters_go_round_as_those_of_one(tree, made):
    from one.api import One

    one = One(cache_dir=tree, tables_dir=made, mode="local")
    tables = ours.load_tables(made)
    for eid in tables["sessions"].index:
        path, ref = ours.eid2path(tables, eid, tree), ours.eid2ref(tables, eid)
        assert (path, ref) == (Path(one.eid2path(eid)), one.eid2ref(eid, as_dict=False))
        assert (ours.path2eid(tables, path), ours.ref2eid(tables, ref)) == (eid, eid)
        assert ours.eid2path(tables, str(eid), tree) == path
        inside = path / "alf" / "x.times.npy"
        assert ours.path2eid(tables, inside) == one.path2eid(inside) == eid
    assert ours.path2eid(tables, tree) is one.path2eid(tree) is None
    assert ours.ref2eid(tables, "2020-01-01_1_M9") is None

"""The functions of ONE's ``one.alf.cache`` under their old names, on tables without a database.

They mean what they mean there, with these differences: the ids that `make_parquet_db` makes are the
same at each run; `remove_missing_datasets` finds nested files too, spares every file that the
tables name, and moves the others into a trash folder in place of deleting them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker import clock
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.one import DATASETS, SESSIONS
from vrtracker.domain.qc import QC
from vrtracker.errors import ImportFileError, InvalidKeyError, InvalidValueError
from vrtracker.files.alf import find_alf_files, hash_file
from vrtracker.files.layout import SUBJECTS
from vrtracker.files.scan import FoundSession, scan
from vrtracker.files.trash import OF_NONE, Taken, Trash, leads_out
from vrtracker.files.trees import is_empty
from vrtracker.services.disk.trash_lock import alone_at_trash

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

    EMPTY_DATASETS_FRAME: pd.DataFrame
    EMPTY_SESSIONS_FRAME: pd.DataFrame
    QC_TYPE: pd.CategoricalDtype

__all__ = [
    "EMPTY_DATASETS_FRAME",
    "EMPTY_SESSIONS_FRAME",
    "QC_TYPE",
    "cast_index_object",
    "eid2path",
    "eid2ref",
    "load_tables",
    "make_parquet_db",
    "merge_tables",
    "patch_tables",
    "path2eid",
    "ref2eid",
    "remove_missing_datasets",
    "remove_table_files",
]

Tables = dict[str, Any]
"""Frames by name, and what was read beside them under ``_meta``."""


def __getattr__(name: str) -> Any:
    """Make the empty frames when they are asked for, since pandas takes long to import."""
    if name not in {"EMPTY_DATASETS_FRAME", "EMPTY_SESSIONS_FRAME", "QC_TYPE"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _frame(name)


def _frame(name: str) -> Any:
    import pandas as pd

    levels = pd.CategoricalDtype([level.name for level in sorted(QC)], ordered=True)
    if name == "QC_TYPE":
        return levels
    if name == "EMPTY_SESSIONS_FRAME":
        columns: dict[str, Any] = dict.fromkeys(("id", "lab", "subject", "date"), object)
        columns |= {"number": "uint16", "task_protocol": object, "projects": object}
        return pd.DataFrame(columns=list(columns)).astype(columns).set_index("id")
    columns = dict.fromkeys(("eid", "id", "rel_path"), object)
    columns |= {"file_size": "UInt64", "hash": object, "exists": bool, "qc": levels}
    return pd.DataFrame(columns=list(columns)).astype(columns).set_index(["eid", "id"])


# -- files -----------------------------------------------------------------------------------


def make_parquet_db(
    root_dir: str | Path,
    out_dir: str | Path | None = None,
    hash_ids: bool = True,  # noqa: FBT001, FBT002 - as there
    hash_files: bool = False,  # noqa: FBT001, FBT002 - as there
    lab: str | None = None,
) -> tuple[Path, Path]:
    """Index the sessions and datasets below a folder, and write both tables.

    Parameters
    ----------
    root_dir
        Holds ``[lab/Subjects/]subject/date/number``.
    out_dir
        Where to; the root when not given.
    hash_ids
        True; ONE cannot load tables with other ids.
    hash_files
        Keep the MD5 of each file.
    lab
        The lab of sessions that are not below a lab's folder.

    Returns
    -------
    tuple
        The paths of the two tables; the second is not there without datasets.

    Raises
    ------
    RootUnavailableError
        If there is no such folder.
    InvalidValueError
        If a file cannot be read, or `hash_ids` is false.
    """
    import pyarrow as pa

    from vrtracker.files.one.columns import SCANNED_DATASETS, SCANNED_SESSIONS, cache_tables
    from vrtracker.files.one.writing import write_cache

    if not hash_ids:
        raise InvalidValueError("ONE loads no tables without ids; leave hash_ids as it is.")
    root, rows, files = Path(root_dir), [], []
    for place, found in enumerate(scan(root).found):
        key = found.key
        row = {"subject": key.mouse, "date": key.date, "number": key.number}
        row["lab"] = _lab_of(found, root) or lab or ""
        rows.append({**row, "task_protocol": "", "projects": ""})
        for file in find_alf_files(found.folder):
            md5 = hash_file(found.folder / file.rel_path) if hash_files else None
            of_file = {"rel_path": file.rel_path, "size_bytes": file.size_bytes, "hash": md5}
            files.append({"place": place, "level": QC.NOT_SET, **of_file})
    sessions = pa.Table.from_pylist(rows, SCANNED_SESSIONS)
    tables, _ = cache_tables(sessions, pa.Table.from_pylist(files, SCANNED_DATASETS))
    out = Path(out_dir or root)
    write_cache(out, tables, created=clock.now())
    return out / f"{SESSIONS}.pqt", out / f"{DATASETS}.pqt"


def _lab_of(found: FoundSession, root: Path) -> str:
    parts = found.folder.relative_to(root).parts
    return parts[0] if parts[1:2] == (SUBJECTS,) else ""


def remove_table_files(
    folder: str | Path, tables: Collection[str] = (SESSIONS, DATASETS)
) -> list[Path]:
    """Delete the tables in a folder; return those that were there."""
    files = (Path(folder, name) for name in ("cache_info.json", *(f"{t}.pqt" for t in tables)))
    removed = [file for file in files if file.exists()]
    for file in removed:
        file.unlink()
    return removed


def remove_missing_datasets(
    cache_dir: str | Path,
    tables: Mapping[str, Any] | None = None,
    remove_empty_sessions: bool = True,  # noqa: FBT001, FBT002 - as there
    dry: bool = True,  # noqa: FBT001, FBT002 - as there
) -> list[Path]:
    """Find ALF-named files that the tables do not name, and move them into the trash.

    Parameters
    ----------
    tables
        As `load_tables` returns them; those in the folder when not given.
    remove_empty_sessions
        Remove folders of sessions that the tables do not name, if nothing is in them.
    dry
        Only return what would go.

    Returns
    -------
    list
        Files and folders, sorted.

    Raises
    ------
    InvalidValueError
        If a file cannot be read or moved.

    Notes
    -----
    A session's files are left alone where the tables name none of those that are there. What was
    moved comes back by ``tracker.datasets.restore()`` of a tracker with this root.
    """
    root = Path(cache_dir)
    named = _named(load_tables(root) if tables is None else tables)
    sessions = [each for each in scan(root).found if not leads_out(each.folder, root)]
    if named.keys().isdisjoint(each.key for each in sessions):
        return []
    taken, empty = [], []
    for found in sessions:
        if found.key in named:
            files, names = find_alf_files(found.folder), named[found.key]
            strays = [file for file in files if file.rel_path not in names]
            if 0 < len(strays) < len(files):
                taken.append(Taken(found.key, found.folder, strays))
        elif remove_empty_sessions and is_empty(found.folder):
            empty.append(found.folder)
    gone = [each.folder / file.rel_path for each in taken for file in each.files]
    if not dry:
        for folder in empty:
            folder.rmdir()
        if gone:
            trash = Trash.new(root, clock.lab_now())
            with alone_at_trash(root):
                trash.fill(taken, trash.write(taken, OF_NONE))
    return sorted([*gone, *empty])


def _named(tables: Mapping[str, Any]) -> dict[SessionKey, set[str]]:
    """Return the paths that tables name, by session."""
    paths = tables[DATASETS]["rel_path"].groupby(level=0).agg(set).to_dict()
    named: dict[SessionKey, set[str]] = {}
    for eid, row in tables[SESSIONS].iterrows():
        named.setdefault(_key(row), set()).update(paths.get(eid, ()))
    return named


# -- tables ----------------------------------------------------------------------------------


def load_tables(tables_dir: str | Path, glob_pattern: str = "*.pqt") -> Tables:
    """Read the tables of a cache, of any age, as they are today.

    Raises
    ------
    ImportFileError
        If a file is no table.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: Tables = {
        SESSIONS: _frame("EMPTY_SESSIONS_FRAME"),
        DATASETS: _frame("EMPTY_DATASETS_FRAME"),
        "_meta": {"raw": {}, "loaded_time": clock.now()},
    }
    for file in sorted(Path(tables_dir).glob(glob_pattern)):
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise ImportFileError(f"{file} cannot be read as a Parquet file: {error}.") from error
        told = json.loads((table.schema.metadata or {}).get(b"one_metadata", b"{}"))
        tables["_meta"]["raw"][file.stem] = told
        frame = table.to_pandas()
        if isinstance(frame.index, pd.RangeIndex):
            ids = sorted(name for name in frame.columns if name in {"id", "eid"} or "id_" in name)
            frame = frame.set_index(ids)
        frame = patch_tables(frame, told.get("min_api_version"), file.stem)
        tables[file.stem] = cast_index_object(frame).sort_index()
    return tables


def patch_tables(
    table: pd.DataFrame, min_api_version: str | None = None, name: str | None = None
) -> pd.DataFrame:
    """Return a table of any age as it is today: ids as texts, `projects`, QC, no session_path."""
    del min_api_version
    index = list(table.index.names)
    if any(str(level).endswith("_0") for level in index):
        table = table.reset_index()
        for column in sorted(c.removesuffix("_0") for c in table.columns if c.endswith("_0")):
            first, second = (table[f"{column}_{n}"].to_numpy("<i8") for n in (0, 1))
            pairs = zip(first, second, strict=True)
            table[column] = [str(uuid.UUID(bytes=a.tobytes() + b.tobytes())) for a, b in pairs]
            table = table.drop(columns=[f"{column}_0", f"{column}_1"])
        table = table.set_index(["eid", "id"] if "eid" in table.columns else "id")
    table = table.rename(columns={"project": "projects"})
    if name == DATASETS:
        table = table.drop(columns="session_path", errors="ignore")
        if "qc" not in table.columns:
            import pandas as pd

            levels = _frame("QC_TYPE")
            codes = [0] * len(table)
            table = table.assign(qc=pd.Categorical.from_codes(codes, dtype=levels))
    return table


def cast_index_object(df: pd.DataFrame, dtype: Callable[[Any], Any] = uuid.UUID) -> pd.DataFrame:
    """Return a frame whose ids are of another type, such as UUID or str; missing ones stay."""
    import pandas as pd

    levels = [
        df.index.get_level_values(place).map(dtype, na_action="ignore")
        for place in range(df.index.nlevels)
    ]
    frame = df.copy()
    if len(levels) > 1:
        frame.index = pd.MultiIndex.from_arrays(levels, names=df.index.names)
    else:
        frame.index = levels[0].rename(df.index.name)
    return frame


def merge_tables(
    cache: Tables,
    strict: bool = False,  # noqa: FBT001, FBT002 - as there
    origin: str | None = None,
    **tables: Any,
) -> dt.datetime | None:
    """Update tables with the rows of others by their ids, and add those that are not there.

    Parameters
    ----------
    strict
        Refuse tables with other columns; else those that the cache lacks are left out, and those
        that are not given are missing.
    origin
        Noted in the metadata of the table.

    Raises
    ------
    KeyError
        If the cache has no such table.
    AssertionError
        If `strict` is set, and the columns differ.
    """
    import pandas as pd

    updated = None
    for name, given in tables.items():
        if given is None or given.empty:
            continue
        if name not in cache:
            raise KeyError(f"Table {name!r} not in cache")
        there = cache[name]
        rows = given.to_frame().T if isinstance(given, pd.Series) else given
        rows = rows[~rows.index.duplicated(keep="first")].rename_axis(there.index.names)
        if strict and set(rows.columns) != set(there.columns):
            raise AssertionError(
                f"{name} has other columns: {set(rows.columns) ^ set(there.columns)}"
            )
        rows = rows.reindex(columns=there.columns)
        kept = there[~there.index.isin(rows.index)]
        types = {c: t for c, t in there.dtypes.items() if not rows[c].isna().any() or t.kind == "O"}
        rows = rows.astype(types)
        cache[name] = (pd.concat([kept, rows]) if len(kept) else rows).sort_index()
        told = cache.setdefault("_meta", {}).setdefault("raw", {}).setdefault(name, {})
        if origin is not None:
            told["origin"] = {*([o] if isinstance(o := told.get("origin", []), str) else o), origin}
        updated = clock.now()
    cache.setdefault("_meta", {})["modified_time"] = updated
    return updated


# -- converters ------------------------------------------------------------------------------


def eid2path(tables: Mapping[str, Any], eid: Any, root: str | Path = "") -> Path:
    """Return the folder of a session, as ONE has it: the number with three digits."""
    row = _session(tables, eid)
    # A missing lab is None or NaN.
    below = (row["lab"], SUBJECTS) if isinstance(row["lab"], str) and row["lab"] else ()
    key = _key(row)
    return Path(root, *below, key.mouse, key.date.isoformat(), f"{key.number:03d}")


def eid2ref(tables: Mapping[str, Any], eid: Any) -> str:
    """Return the reference of a session, such as ``2023-01-20_1_ATL012``."""
    key = _key(_session(tables, eid))
    return f"{key.date}_{key.number}_{key.mouse}"


def path2eid(tables: Mapping[str, Any], path: str | Path) -> Any:
    """Return the id of the session in whose folder a path is, or None."""
    for folder in (Path(path), *Path(path).parents):
        with suppress(InvalidKeyError):
            return _eid_of(tables, SessionKey.parse(folder.as_posix()))
    return None


def ref2eid(tables: Mapping[str, Any], ref: str) -> Any:
    """Return the id of a session by its reference, or None."""
    return _eid_of(tables, SessionKey.parse(ref))


def _session(tables: Mapping[str, Any], eid: Any) -> Any:
    sessions = tables[SESSIONS]
    is_text = isinstance(eid, str) and eid not in sessions.index
    return sessions.loc[uuid.UUID(eid) if is_text else eid]


def _eid_of(tables: Mapping[str, Any], key: SessionKey) -> Any:
    sessions = tables[SESSIONS]
    found = sessions[(sessions["subject"] == key.mouse) & (sessions["number"] == key.number)]
    return next((eid for eid, row in found.iterrows() if _key(row) == key), None)


def _key(row: Any) -> SessionKey:
    return SessionKey.parse((row["subject"], row["date"], row["number"]))

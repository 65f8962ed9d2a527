"""The columns of the two tables of a cache, put together for all rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vrtracker.domain.datasets import dataset_name
from vrtracker.domain.keys import NAMESPACE, SessionKey, id_name
from vrtracker.domain.one import (
    DATASETS,
    SESSIONS,
    LeftOut,
    unfit,
    unfit_path,
)
from vrtracker.files.alf import revision_of
from vrtracker.files.one.ids import Ids, id_texts, ids_of_texts, name_ids
from vrtracker.files.one.writing import qc_column

_LOW_BITS = 40
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class CacheColumns:
    """Both tables as `vrtracker.files.one.writing.write_cache` takes them, and what is in them."""

    tables: Mapping[str, Mapping[str, Any]]
    datasets: int
    unhashed: int


def fit_sessions(
    rows: pa.Table, names: Mapping[int, Mapping[str, Any]], labs: Mapping[str, str]
) -> tuple[pa.Table, list[LeftOut]]:
    """Return the sessions that ONE can hold by its names of columns, and the others.

    Parameters
    ----------
    rows
        uSessionID, mouseName, sessionDate, sessionID and experimentType of the sessions.
    names
        lab, projects and one_id of those of which a cache told any, by their number.
    labs
        The lab in whose folder the sessions of a mouse are.

    Returns
    -------
    tuple
        A table with uSessionID, subject, date, number, task_protocol, lab, projects and one_id;
        and the sessions that ONE cannot hold.
    """
    told = [names.get(number, _NOTHING) for number in rows.column("uSessionID").to_pylist()]
    mice = rows.column("mouseName")
    of_labs = [
        one.get("lab") or labs.get(mouse, "")
        for one, mouse in zip(told, mice.to_pylist(), strict=True)
    ]
    found = pa.table(
        {
            "uSessionID": rows.column("uSessionID"),
            "subject": mice.cast(pa.string()),
            "date": rows.column("sessionDate").cast(pa.date32()),
            "number": rows.column("sessionID"),
            "task_protocol": rows.column("experimentType").fill_null("").cast(pa.string()),
            "lab": pa.array(of_labs, pa.string()),
            "projects": pa.array([one.get("projects") or "" for one in told], pa.string()),
            "one_id": pa.array([one.get("one_id") for one in told], pa.string()),
        }
    )
    # What is wrong with a name is asked once for all sessions that have it.
    is_wrong = pc.or_(
        _is_wrong(found.column("subject"), lambda mouse: unfit(mouse, 0, "")),
        _is_wrong(found.column("number"), lambda number: unfit("M", number, "")),
    )
    is_wrong = pc.or_(is_wrong, _is_wrong(found.column("lab"), lambda lab: unfit("M", 0, lab)))
    return found.filter(pc.invert(is_wrong)), [
        LeftOut(
            str(SessionKey(row["subject"], row["date"], row["number"])),
            unfit(row["subject"], row["number"], row["lab"]) or "",
        )
        for row in found.filter(is_wrong).to_pylist()
    ]


def _is_wrong(column: pa.ChunkedArray, problem: Callable[[Any], str | None]) -> pa.ChunkedArray:
    wrong = [value for value in pc.unique(column).to_pylist() if problem(value) is not None]
    return pc.is_in(column, pa.array(wrong, column.type))


def fit_datasets(datasets: pa.Table, sessions: pa.Table) -> tuple[pa.Table, list[LeftOut]]:
    """Return the datasets of some sessions that ONE can hold, and the others of them.

    Parameters
    ----------
    datasets
        uSessionID, rel_path, size_bytes, md5, qc_level, missing_since, one_id; those of other
        sessions are left out, and nothing is told of them.
    sessions
        As `fit_sessions` returns them; at least one.

    Returns
    -------
    tuple
        The same columns, with ``place``, the position of the session, for uSessionID, and
        rel_path as a dictionary, since a lab has few paths, each in many sessions; and what ONE
        cannot hold.
    """
    places = _places(datasets.column("uSessionID").to_numpy(), sessions)
    paths = pc.dictionary_encode(datasets.column("rel_path").cast(pa.string())).combine_chunks()
    found = datasets.set_column(0, "place", pa.array(places)).set_column(1, "rel_path", paths)
    if (places < 0).any():
        found = found.filter(pc.greater_equal(found.column("place"), 0))
    wrong = {name: why for name in paths.dictionary.to_pylist() if (why := unfit_path(name))}
    if not wrong:
        return found, []
    is_wrong = pc.is_in(found.column("rel_path").cast(pa.string()), pa.array([*wrong]))
    rows = found.filter(is_wrong).select(["place", "rel_path"]).to_pylist()
    left_out = [
        LeftOut(f"{_key(sessions, row['place'])} {row['rel_path']}", wrong[row["rel_path"]])
        for row in rows
    ]
    return found.filter(pc.invert(is_wrong)), left_out


def _places(of: npt.NDArray[Any], sessions: pa.Table) -> npt.NDArray[Any]:
    """Return of each dataset the position of its session, -1 where that is not among them."""
    numbers = sessions.column("uSessionID").to_numpy()
    # The datasets of a session nearly always follow each other: it is looked up once for each run.
    starts = np.flatnonzero(np.diff(of, prepend=of[:1] - 1))
    heads = of[starts]
    by_number = np.argsort(numbers)
    at = np.searchsorted(numbers, heads, sorter=by_number)
    places = by_number[np.minimum(at, len(numbers) - 1)]
    places[numbers[places] != heads] = -1
    return np.repeat(places, np.diff(starts, append=len(of)))


def _key(sessions: pa.Table, place: int) -> SessionKey:
    (row,) = sessions.slice(place, 1).to_pylist()
    return SessionKey(row["subject"], row["date"], row["number"])


def cache_columns(sessions: pa.Table, datasets: pa.Table) -> CacheColumns:
    """Put the columns of both tables together, with ids, sorted by them.

    `sessions, datasets`: as `fit_sessions` and `fit_datasets` return them; at least one session.
    """
    ids = _session_ids(sessions)
    order = _in_order(ids)
    sessions, ids = sessions.take(pa.array(order)), ids[order]
    places = np.argsort(order)[datasets.column("place").to_numpy()]
    worst = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(worst, places, datasets.column("qc_level").to_numpy())
    columns = dict(zip(sessions.column_names, sessions.columns, strict=True))
    tables: dict[str, Mapping[str, Any]] = {
        SESSIONS: columns | {"id": id_texts(ids), "qc": qc_column(worst)}
    }
    if len(places):
        tables[DATASETS] = _dataset_columns(datasets, places, ids)
    return CacheColumns(tables, len(places), datasets.column("md5").null_count)


def _session_ids(sessions: pa.Table) -> Ids:
    parts = (sessions.column("subject"), sessions.column("date").cast(pa.string()))
    keys = zip(*(part.to_pylist() for part in (*parts, sessions.column("number"))), strict=True)
    names = [id_name(*key) for key in keys]
    space = np.frombuffer(NAMESPACE.bytes, dtype=np.uint8).reshape(1, -1)
    return _with_given(name_ids(space, names, np.arange(len(names))), sessions.column("one_id"))


def _with_given(ids: Ids, given: pa.ChunkedArray) -> Ids:
    """Return ids, with those in place that a cache has given."""
    if given.null_count < len(given):
        ids[given.is_valid().to_numpy()] = ids_of_texts(given.drop_null().to_pylist())
    return ids


def _in_order(ids: Ids, groups: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Return how to sort ids, as their texts sort, within groups that are numbers from 0.

    Nearly always a group and the first digits of an id decide, which are one number.
    """
    first, second = ids.view(">u8").astype(np.uint64).T
    groups = np.zeros(len(ids), dtype=np.uint64) if groups is None else groups.astype(np.uint64)
    key = groups << np.uint64(_LOW_BITS) | first >> np.uint64(64 - _LOW_BITS)
    order = np.argsort(key)
    sorted_key = key[order]
    if (sorted_key[1:] == sorted_key[:-1]).any():
        return np.lexsort((second, first, groups))
    return order


def _dataset_columns(table: pa.Table, places: npt.NDArray[Any], sessions: Ids) -> dict[str, Any]:
    paths = table.column("rel_path").combine_chunks()
    names, which = paths.dictionary.to_pylist(), paths.indices.to_numpy()
    ids = _with_given(name_ids(sessions[places], names, which), table.column("one_id"))
    order = _in_order(ids, places)
    places, which = places[order], which[order]
    table = table.select(["size_bytes", "md5", "qc_level", "missing_since"]).take(pa.array(order))
    hashes = table.column("md5")
    exists = pc.is_null(table.column("missing_since")).to_numpy()
    return {
        "rel_path": _repeated(paths.dictionary, which),
        "file_size": table.column("size_bytes").to_numpy().astype("uint64"),
        "hash": None if hashes.null_count else hashes.cast(pa.string()),
        "exists": exists,
        "qc": qc_column(table.column("qc_level").to_numpy()),
        "default_revision": _defaults(names, which, places, exists),
        "eid": _repeated(id_texts(sessions), places),
        "id": id_texts(ids[order]),
    }


def _repeated(texts: pa.Array, which: npt.NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), texts)


def _defaults(
    names: Sequence[str],
    which: npt.NDArray[Any],
    places: npt.NDArray[Any],
    exists: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    """Return for each dataset whether it is the last revision of its name that is there.

    Of a name without any file left it is the last one on record.
    """
    is_default = np.ones(len(which), dtype=bool)
    of_all = [dataset_name(name) if "#" in name else name for name in names]
    revised = {name for name, path in zip(of_all, names, strict=True) if name != path}
    if not revised:
        return is_default
    may_be_several = np.array([name in revised for name in of_all])
    last: dict[tuple[int, str], tuple[bool, str, int]] = {}
    for row in np.flatnonzero(may_be_several[which]).tolist():
        is_default[row] = False
        path = int(which[row])
        this = (bool(exists[row]), revision_of(names[path]) or "", row)
        key = (int(places[row]), of_all[path])
        last[key] = max(last.get(key, this), this)
    is_default[[row for *_, row in last.values()]] = True
    return is_default

"""The columns of the two tables of a cache, put together for many rows at once."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vrtracker.domain.datasets import dataset_name
from vrtracker.domain.keys import NAMESPACE, SessionKey
from vrtracker.domain.one import DATASETS, SESSIONS, LeftOut, unfit, unfit_path
from vrtracker.domain.qc import QC
from vrtracker.files.alf import revision_of
from vrtracker.files.one.ids import ID_LENGTH, Ids, id_texts, ids_of_texts, name_ids, texts_of

_LOW_BITS = 40
_AT_ONCE = 1 << 18
"""Datasets that are put together, and written, at a time."""
_MD5_DIGITS = 32
_LEVELS = sorted(QC)
_LAYOUT = b"1"
"""To be another one once tables of the same rows look otherwise."""
_TEXTS = dict.fromkeys(("subject", "task_protocol", "lab", "projects", "one_id"), pa.string())
SCANNED_SESSIONS = pa.schema({"date": pa.date32(), "number": pa.int64(), **_TEXTS})
"""The sessions of which `cache_tables` makes a table; `SCANNED_DATASETS` their datasets."""
SCANNED_DATASETS = pa.schema(
    {
        "place": pa.int64(),
        "rel_path": pa.dictionary(pa.int32(), pa.string()),
        "size_bytes": pa.int64(),
        "level": pa.int64(),
        "hash": pa.string(),
    }
)


@dataclass(frozen=True, slots=True)
class CacheTable:
    """One table as `vrtracker.files.one.writing.write_cache` takes it.

    Attributes
    ----------
    digest : callable
        Returns what is the same for the same rows.
    parts : callable
        Yields the columns by name, some rows at a time, in the order of the index; of a
        column that is None nothing is known.
    """

    name: str
    digest: Callable[[], str]
    parts: Callable[[], Iterable[Mapping[str, Any]]]


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
    numbers, mice = rows.column("uSessionID"), rows.column("mouseName").cast(pa.string())
    place = pc.index_in(numbers, pa.array(names, numbers.type))
    told = {
        name: pa.array([one[name] or None for one in names.values()], pa.string()).take(place)
        for name in ("lab", "projects", "one_id")
    }
    of_mice = pa.array(labs.values(), pa.string()).take(
        pc.index_in(mice, pa.array(labs, pa.string()))
    )
    found = pa.table(
        {
            "uSessionID": numbers,
            "subject": mice,
            "date": rows.column("sessionDate").cast(pa.date32()),
            "number": rows.column("sessionID"),
            "task_protocol": rows.column("experimentType").fill_null("").cast(pa.string()),
            "lab": pc.coalesce(told["lab"], of_mice, ""),
            "projects": told["projects"].fill_null(""),
            "one_id": told["one_id"],
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
        uSessionID, rel_path (a dictionary), size_bytes, level and hash as
        `vrtracker.repositories.one.OneRepository.datasets` tells; those of other sessions are left
        out, and nothing is told of them.
    sessions
        As `fit_sessions` returns them; at least one.

    Returns
    -------
    tuple
        The same columns, with ``place``, the position of the session, for uSessionID; and what ONE
        cannot hold.
    """
    places = _places(datasets.column("uSessionID").to_numpy(), sessions)
    paths = datasets.column("rel_path").combine_chunks()
    found = datasets.drop(["uSessionID", "rel_path"])
    found = found.append_column("place", pa.array(places)).append_column("rel_path", paths)
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
    starts, lengths = _runs(of)
    heads = of[starts]
    by_number = np.argsort(numbers)
    at = np.searchsorted(numbers, heads, sorter=by_number)
    places = by_number[np.minimum(at, len(numbers) - 1)].astype(np.int32)
    places[numbers[places] != heads] = -1
    return np.repeat(places, lengths)


def _runs(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return where equal values that follow each other begin, and how many they are."""
    is_start = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=is_start[1:])
    starts = np.flatnonzero(is_start)
    return starts, np.diff(starts, append=len(values))


def _key(sessions: pa.Table, place: int) -> SessionKey:
    (row,) = sessions.slice(place, 1).to_pylist()
    return SessionKey(row["subject"], row["date"], row["number"])


def cache_tables(sessions: pa.Table, datasets: pa.Table) -> tuple[list[CacheTable], int]:
    """Return the tables with ids, and how many datasets have no MD5.

    `sessions, datasets`: as `fit_sessions` and `fit_datasets` return them; without datasets there
    is one table.
    """
    ids = _session_ids(sessions)
    order = _in_order(ids)
    sessions, ids = sessions.take(pa.array(order)), ids[order]
    places = np.argsort(order).astype(np.int32)[datasets.column("place").to_numpy()]
    files = _Datasets(datasets, places, ids)
    columns = dict(zip(sessions.column_names, sessions.columns, strict=True))
    columns |= {"id": id_texts(ids), "qc": _qc_column(files.worst_codes())}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, (table := pa.table(columns).combine_chunks()).schema) as stream:
        stream.write_table(table)
    of_sessions = _digest(sink.getvalue())
    tables = [CacheTable(SESSIONS, lambda: of_sessions, lambda: [columns])]
    if len(datasets):
        # Beside the parts: it is needed before them only where there is a table already.
        digest = ThreadPoolExecutor(1).submit(files.digest)
        tables.append(CacheTable(DATASETS, digest.result, files.parts))
    return tables, files.unhashed


def _digest(*parts: Any) -> str:
    """Return the hash of what is in some arrays or buffers."""
    found = hashlib.sha256(_LAYOUT)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _session_ids(sessions: pa.Table) -> Ids:
    names = pc.binary_join_element_wise(
        sessions.column("subject"),
        sessions.column("date").cast(pa.string()),
        pc.utf8_lpad(sessions.column("number").cast(pa.string()), 3, "0"),
        "/",
    ).combine_chunks()
    space = np.frombuffer(NAMESPACE.bytes, dtype=np.uint8)
    spaces = np.broadcast_to(space, (len(names), len(space)))
    return _with_given(name_ids(spaces, names, np.arange(len(names))), sessions.column("one_id"))


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
    # This kind is quick where there are groups already.
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    if (sorted_key[1:] == sorted_key[:-1]).any():
        return np.lexsort((second, first, groups))
    return order


class _Datasets:
    """The datasets of sessions, put together some at a time, by several threads."""

    def __init__(self, table: pa.Table, places: npt.NDArray[Any], sessions: Ids) -> None:
        paths = table.column("rel_path").combine_chunks()
        self._names, self._which = paths.dictionary, paths.indices.to_numpy()
        self._revisions = _Revisions(self._names.to_pylist())
        self._places, self._sessions = places, sessions
        self._sizes = table.column("size_bytes").to_numpy().astype("uint64")
        levels = table.column("level").to_numpy()
        self._exists = levels >= 0
        levels = np.where(self._exists, levels, -1 - levels)
        self._codes = np.searchsorted([int(level) for level in _LEVELS], levels).astype("int8")
        hashes, self._given = _hashes_and_ids(table.column("hash"))
        hashed = pc.sum(pc.equal(pc.binary_length(hashes), _MD5_DIGITS)).as_py() or 0
        self.unhashed = len(hashes) - hashed
        # Of ONE's tables either all rows have one, or none.
        self._hashes = None if self.unhashed else _digits(hashes)

    def worst_codes(self) -> npt.NDArray[np.int8]:
        """Return the worst level of each session."""
        worst = np.zeros(len(self._sessions), dtype=np.int8)
        np.maximum.at(worst, self._places, self._codes)
        return worst

    def digest(self) -> str:
        """Return what is the same for the same rows."""
        starts, lengths = _runs(self._places)
        kinds = (self._which, self._sizes, self._codes, self._exists)
        hashes = () if self._hashes is None else (self._hashes,)
        given = self._given.to_pylist() if self._given.null_count < len(self._given) else []
        texts = "\n".join([*self._names.to_pylist(), *map(str, given)]).encode()
        return _digest(self._sessions[self._places[starts]], lengths, *kinds, *hashes, texts)

    def parts(self) -> Iterator[Mapping[str, Any]]:
        """Yield the columns of some datasets after the other, sorted by both ids."""
        starts, lengths = _runs(self._places)
        runs = np.argsort(self._places[starts], kind="stable")
        starts, lengths = starts[runs], lengths[runs]
        heads = self._places[starts]
        # All datasets of a session are in one part.
        at = np.searchsorted(lengths.cumsum(), np.arange(0, len(self._places), _AT_ONCE), "right")
        cuts = np.unique([*np.searchsorted(heads, heads[at]), len(heads)])
        parts = [slice(*ends) for ends in pairwise(cuts)]
        workers = min(4, os.cpu_count() or 1)
        waiting: deque[Future[Mapping[str, Any]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for part in parts:
                of_part = (heads[part], starts[part], lengths[part])
                waiting.append(pool.submit(self._columns, *of_part))
                if len(waiting) > workers:
                    # No more are put together than the writer keeps up with.
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _columns(
        self, heads: npt.NDArray[Any], starts: npt.NDArray[Any], lengths: npt.NDArray[Any]
    ) -> Mapping[str, Any]:
        rows = np.repeat(starts - lengths.cumsum() + lengths, lengths) + np.arange(lengths.sum())
        places, which = np.repeat(heads, lengths), self._which.take(rows)
        ids = name_ids(self._sessions.take(places, axis=0), self._names, which)
        order = _in_order(_with_given(ids, self._given.take(pa.array(rows))), places)
        # Those of a session stay together, and the places as they are.
        rows, which = rows.take(order), which.take(order)
        first, last = heads[0], heads[-1]
        exists = self._exists.take(rows)
        return {
            "rel_path": _repeated(self._names, which),
            "file_size": self._sizes.take(rows),
            "hash": None if self._hashes is None else texts_of(self._hashes.take(rows, axis=0)),
            "exists": exists,
            "qc": _qc_column(self._codes.take(rows)),
            "default_revision": self._revisions.defaults(places, which, exists),
            "eid": _repeated(id_texts(self._sessions[first : last + 1]), places - first),
            "id": id_texts(ids.take(order, axis=0)),
        }


def _hashes_and_ids(texts: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return MD5s without the ids behind them, and those ids; nearly always there are none."""
    length = pc.binary_length(texts)
    if (pc.max(length).as_py() or 0) <= _MD5_DIGITS:
        return texts, pa.chunked_array([pa.nulls(len(texts), pa.string())])
    has_id = pc.greater(length, _MD5_DIGITS)
    hashes = pc.if_else(has_id, pc.utf8_slice_codeunits(texts, 0, -ID_LENGTH), texts)
    return hashes, pc.if_else(has_id, pc.utf8_slice_codeunits(texts, -ID_LENGTH), None)


def _digits(texts: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Return MD5s, which all are there, as their digits, shape (n, 32)."""
    column = texts.cast(pa.string()).combine_chunks()
    _, offsets, letters = column.buffers()
    start = np.frombuffer(offsets, dtype=np.int32)[column.offset]
    digits = np.frombuffer(letters, dtype=np.uint8)[start:][: len(column) * _MD5_DIGITS]
    return digits.reshape(-1, _MD5_DIGITS)


def _repeated(texts: pa.Array, which: npt.NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), texts)


def _qc_column(codes: npt.NDArray[np.int8]) -> pa.DictionaryArray:
    """Return levels by their place as the ordered categories that ONE compares.

    All five are always there, in order: without them the strings would be compared.
    """
    names = pa.array([level.name for level in _LEVELS])
    return pa.DictionaryArray.from_arrays(pa.array(codes), names, ordered=True)


class _Revisions:
    """Which of the paths of datasets are revisions of one."""

    def __init__(self, paths: list[str]) -> None:
        names = [dataset_name(path) if "#" in path else path for path in paths]
        revised = {name for name, path in zip(names, paths, strict=True) if name != path}
        self._may_be_several = np.array([name in revised for name in names], dtype=bool)
        self._names = np.unique(names, return_inverse=True)[1]
        labels = [revision_of(path) or "" for path in paths]
        self._ranks = np.unique(labels, return_inverse=True)[1]

    def defaults(
        self,
        places: npt.NDArray[Any],
        which: npt.NDArray[Any],
        exists: npt.NDArray[Any],
    ) -> npt.NDArray[Any]:
        """Return for each dataset whether it is the last revision of its name that is there.

        Of a name without any file left it is the last one on record.
        """
        is_default: npt.NDArray[np.bool_] = ~self._may_be_several[which]
        rows = np.flatnonzero(~is_default)
        if not len(rows):
            return is_default
        paths = which[rows]
        names = np.stack([places[rows], self._names[paths]])
        order = np.lexsort((self._ranks[paths], exists[rows], *names[::-1]))
        names = names[:, order]
        is_last = np.append((names[:, 1:] != names[:, :-1]).any(axis=0), [True])
        is_default[rows[order[is_last]]] = True
        return is_default

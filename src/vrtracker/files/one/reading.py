"""Read the two tables of a cache of ONE, of any age, and refuse what is wrong in itself.

The layout of 2021 has ids as pairs of 64-bit integers (their bytes, one after the other, are those
of the UUID), `project` in place of `projects`, and no QC; ONE.save_cache writes today's, with what
further columns there were. Formats: ``one.alf.cache.patch_tables`` of ONE-api.
"""

from __future__ import annotations

import os
import stat
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vrtracker.domain.one import DATASETS, SESSIONS, CachedDataset, CachedSession, OneCache
from vrtracker.errors import ImportFileError, VrtrackerError
from vrtracker.files.one import values
from vrtracker.files.trees import reason_of, status_of

# A row has an id of its own, which no compression makes smaller than this; bytes.
_SMALLEST_ROW = 4
_SMALLEST_FILE = 16 * 1024
# How much larger than the file its unpacked columns may be.
_MOST_UNPACKED = 500
_MOST_PROBLEMS = 100
_LONGEST_TEXT = 10_000

_Fields = Mapping[str, tuple[tuple[str, ...], Callable[[Any], Any], bool]]
"""For each field: the columns that may hold it, how a value is read, whether it must be there."""
_OF_SESSIONS: _Fields = {
    "subject": (("subject",), values.subject, True),
    "date": (("date",), values.date, True),
    "number": (("number",), values.number, True),
    "lab": (("lab",), values.lab, False),
    "task_protocol": (("task_protocol",), values.name, False),
    "projects": (("projects", "project"), values.text, False),
}
_OF_DATASETS: _Fields = {
    "path": (("rel_path",), values.path, True),
    "size": (("file_size",), values.size, False),
    "md5": (("hash",), values.md5, False),
    "exists": (("exists",), values.exists, False),
    "qc": (("qc",), values.qc, False),
}
_FIELDS: Mapping[str, _Fields] = {SESSIONS: _OF_SESSIONS, DATASETS: _OF_DATASETS}
# The level of a session is that of its datasets.
_PASSED_OVER = {"session_path", "default_revision", "qc"}
_IDS: Mapping[str, tuple[str, ...]] = {SESSIONS: ("id",), DATASETS: ("eid", "id")}


@dataclass
class _Table:
    """One file: its columns as lists until they are read, and the problems that were met."""

    name: str
    label: str
    columns: dict[str, Sequence[Any]]
    count: int
    problems: list[str]

    def problem(self, text: str, row: int | None = None) -> None:
        where = self.label if row is None else f"{self.label}, row {row + 1}"
        self.problems.append(f"{where}: {text}")

    def ids(self, name: str) -> list[uuid.UUID | None]:
        """Return a column of ids, from texts or from pairs of integers."""
        pair = (f"{name}_0", f"{name}_1")
        if name in self.columns:
            return list(self.read(self._taken(name), values.uuid_of_text))
        if set(pair) <= self.columns.keys():
            numbers = zip(*map(self._taken, pair), strict=True)
            return list(self.read(numbers, _uuid_of_numbers))
        self.problem(f"it has no column {name!r}, nor {pair[0]} and {pair[1]}")
        return []

    def _taken(self, name: str) -> Sequence[Any]:
        """Return a column, which is held no longer."""
        taken, self.columns[name] = self.columns[name], ()
        return taken

    def field(self, names: tuple[str, ...], read: Any, *, required: bool) -> list[Any]:
        for name in names:
            if name in self.columns:
                return list(self.read(self._taken(name), read))
        if required:
            self.problem(f"it has no column {names[0]!r}")
        return [read(None)] * self.count if not required else []

    def read(self, column: Iterable[Any], read: Callable[[Any], Any]) -> Iterator[Any]:
        for row, value in enumerate(column):
            try:
                yield read(value)
            except (ValueError, VrtrackerError) as error:
                self.problem(str(error), row)
                yield None

    def records(self, fields: _Fields) -> tuple[list[list[Any]], Iterable[dict[str, Any]]]:
        """Return the ids, a list a column, and what the fields hold, row by row."""
        ids = [self.ids(name) for name in _IDS[self.name]]
        read = {
            name: self.field(names, how, required=required)
            for name, (names, how, required) in fields.items()
        }
        if self.problems:
            return ids, ()
        rows = zip(*read.values(), strict=True)
        return ids, (dict(zip(read, row, strict=True)) for row in rows)


def _uuid_of_numbers(pair: tuple[Any, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(bytes=struct.pack("<qq", *pair))
    except struct.error as error:
        raise ValueError(f"{pair} is no id in two 64-bit integers") from error


def read_cache(source: Path | Mapping[str, Any], *, strict: bool = False) -> OneCache:
    """Read the sessions of a cache, and its datasets where there are any.

    Parameters
    ----------
    source
        A folder with ``sessions.pqt``, and mostly ``datasets.pqt``; or frames by these names.
    strict
        Refuse tables with other columns than ONE's.

    Raises
    ------
    ImportFileError
        If the tables are not there, are no such tables, have other columns, or hold what cannot
        be: wrong types, missing columns, ids that stand twice, paths that lead out of their
        session. `problems` lists all of it.
    """
    if isinstance(source, Mapping):
        what = "The tables given"
        sessions, datasets = (_given(source, name) for name in (SESSIONS, DATASETS))
    else:
        what = f"The cache in {source}"
        sessions, datasets = (_table(source, name) for name in (SESSIONS, DATASETS))
    if sessions is None:
        raise ImportFileError(
            "The tables given have no sessions; give a frame of them too, as sessions."
            if isinstance(source, Mapping)
            else f"{source} holds no sessions.pqt; give the folder that holds a cache's tables."
        )
    problems = sessions.problems
    if strict:
        _refuse_others(sessions, datasets)
    (ids,), rows = sessions.records(_OF_SESSIONS)
    found = [CachedSession(id=one, **row) for one, row in zip(ids, rows, strict=False)]
    _check_sessions(sessions, found)
    files: list[CachedDataset] = []
    notes = _unknown(sessions)
    if datasets is not None:
        (eids, ids), rows = datasets.records(_OF_DATASETS)
        files = [
            CachedDataset(session=session, id=one, **row)
            for session, one, row in zip(eids, ids, rows, strict=False)
        ]
        if not problems:
            _check_datasets(datasets, files, {each.id for each in found})
        problems += datasets.problems
        notes += _unknown(datasets)
    if problems:
        more = f", and {len(problems) - 1} more like it" if len(problems) > 1 else ""
        raise ImportFileError(
            f"{what} cannot be taken over: {problems[0].removesuffix('.')}{more}; nothing was "
            "written. Correct it, or have ONE write it anew.",
            problems[:_MOST_PROBLEMS],
        )
    keys = {each.id: str(each.key) for each in found}
    return OneCache(tuple(found), tuple(_with_ids_once(files, keys)), tuple(notes))


def _table(folder: Path, name: str) -> _Table | None:
    path = folder / f"{name}.pqt"
    try:
        found = status_of(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            if path.is_symlink() or found:
                raise ImportFileError(
                    f"{path} is no file, or a link to nothing; put the table there."
                )
            return None
        size = found.st_size
        with pq.ParquetFile(path) as file:
            _refuse_bloated(path, file.metadata, size)
            names = file.schema_arrow.names
            wanted = [each for each in names if each in _known(name)]
            _refuse_lists(path, [file.schema_arrow.field(each) for each in wanted])
            schema = [file.schema.column(place) for place in range(len(file.schema.names))]
        # As dictionaries, texts that stand in many rows are kept once, however long they are.
        texts = [each.path for each in schema if each.physical_type == "BYTE_ARRAY"]
        table = pq.ParquetFile(path, read_dictionary=texts).read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        what = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ImportFileError(
            f"{os.fspath(path)!r} cannot be read as a Parquet table ({what}); have it written anew."
        ) from error
    columns: dict[str, Sequence[Any]] = dict.fromkeys(names, ())
    for each in wanted:
        column = table.column(each)
        if any(_longest(chunk) > _LONGEST_TEXT for chunk in column.chunks):
            raise ImportFileError(
                f"{path} holds a text of more than {_LONGEST_TEXT} characters in the column "
                f"{each!r}, which cannot be; nothing was written. Have it written anew."
            )
        columns[each] = column.to_pylist()
    return _Table(name, path.name, columns, table.num_rows, [])


def _refuse_lists(path: Path, fields: Sequence[pa.Field]) -> None:
    for field in fields:
        if pa.types.is_nested(field.type) or pa.types.is_fixed_size_binary(field.type):
            raise ImportFileError(
                f"{path} has the type {field.type} in the column {field.name!r}, which is none of "
                "ONE's; nothing was read. Have it written anew."
            )


def _longest(chunk: pa.Array) -> int:
    """Return how many bytes the longest text of a column has, 0 of other values."""
    texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
    kind = texts.type
    has_texts = pa.types.is_string(kind) or pa.types.is_binary(kind)
    has_texts |= pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    return (pc.max(pc.binary_length(texts)).as_py() or 0) if has_texts else 0


def _given(tables: Mapping[str, Any], name: str) -> _Table | None:
    """Return a frame as `one.alf.cache` has it: ids in its index, or as columns."""
    frame = tables.get(name)
    if frame is None:
        return None
    if not hasattr(frame, "reset_index"):
        raise ImportFileError(f"{name} is to be a DataFrame, not {type(frame).__name__}.")
    frame = frame.reset_index(allow_duplicates=True)
    if not frame.columns.is_unique:
        raise ImportFileError(f"{name} has two columns of one name; rename one.")
    columns: dict[str, Sequence[Any]] = {}
    for title, column in frame.astype(object).items():
        columns[str(title)] = [
            None if is_missing else _plain(value)
            for value, is_missing in zip(column, column.isna(), strict=True)
        ]
    if "index" in columns and None in tables[name].index.names:
        del columns["index"]
    return _Table(name, name, columns, len(frame), [])


def _plain(value: Any) -> Any:
    """Return a value as Python's own, an id as its text."""
    if isinstance(value, uuid.UUID):
        return str(value)
    value = value.item() if hasattr(value, "item") else value
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def _refuse_others(*tables: _Table | None) -> None:
    problems = []
    for table in tables:
        if table is not None:
            names = {names[0] for names, _, _ in _FIELDS[table.name].values()} | {*_IDS[table.name]}
            others = (names ^ table.columns.keys()) - _PASSED_OVER
            problems += [
                f"{table.label} {'lacks' if name in names else 'has'} the column {name!r}"
                for name in sorted(others)
            ]
    if problems:
        raise ImportFileError(
            f"The columns are not those of ONE: {'; '.join(problems)}. Nothing was written; "
            "strict=False leaves columns out, and takes missing ones for empty.",
            problems,
        )


def _refuse_bloated(path: Path, metadata: Any, size: int) -> None:
    """Refuse a small file that says to hold more than fits into memory."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    rows = metadata.num_rows
    allowed = max(size, _SMALLEST_FILE)
    if rows * _SMALLEST_ROW > allowed or unpacked > allowed * _MOST_UNPACKED or rows < 0:
        raise ImportFileError(
            f"{path} has {size} bytes and claims to hold {rows} rows of {unpacked} bytes, which "
            "cannot be; nothing was read. Have it written anew."
        )


def _known(name: str) -> set[str]:
    """Return the columns of which something is made, in any age."""
    ids = {f"{each}{end}" for each in _IDS[name] for end in ("", "_0", "_1")}
    return ids | {each for names, _, _ in _FIELDS[name].values() for each in names}


def _unknown(table: _Table) -> list[str]:
    """Say which columns nothing is made of, such as a lab adds them."""
    known = _known(table.name) | _PASSED_OVER
    return [
        f"The column {name} of {table.label} is left out."
        for name in table.columns
        if name not in known
    ]


def _check_sessions(table: _Table, found: Sequence[CachedSession]) -> None:
    """Refuse ids and keys that stand twice, and names that differ in the case of letters alone."""
    ids: set[uuid.UUID] = set()
    keys, names = set(), dict[str, str]()
    for row, each in enumerate(found):
        if each.id in ids:
            table.problem(f"the id {each.id} stands there before", row)
        if each.key in keys:
            table.problem(f"the session {each.key} stands there before", row)
        spelled = names.setdefault(each.subject.casefold(), each.subject)
        if spelled != each.subject:
            table.problem(f"{each.subject!r} and {spelled!r} differ in case alone", row)
        ids.add(each.id)
        keys.add(each.key)


def _check_datasets(
    table: _Table, files: Sequence[CachedDataset], sessions: set[uuid.UUID]
) -> None:
    """Refuse paths that stand twice, and datasets of sessions that are not there."""
    paths = set()
    for row, each in enumerate(files):
        if each.session not in sessions:
            table.problem(f"the session {each.session} is not in sessions.pqt", row)
        if (each.session, each.path) in paths:
            table.problem(f"{each.path} of session {each.session} stands there before", row)
        paths.add((each.session, each.path))


def _with_ids_once(
    files: Sequence[CachedDataset], keys: Mapping[uuid.UUID, str]
) -> Iterator[CachedDataset]:
    """Yield the datasets; a second one of an id, which caches of 2021 have, without it."""
    ids: dict[uuid.UUID | None, CachedDataset] = {}
    for each in files:
        first = ids.setdefault(each.id, each)
        if first is each:
            yield each
        else:
            twin = f"{keys[first.session]} {first.path}, {each.id}"
            yield replace(each, id=None, twin=twin)

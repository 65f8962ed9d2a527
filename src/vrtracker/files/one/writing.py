"""Write the two tables of a cache as ONE-api loads them.

Formats and their traps were measured with ONE-api 3.6.1 under pandas 3.1 and 3.4.2 under 2.3: the
index must be named in pandas' own metadata, ONE's must have a date without a zone, dates are
date32, QC is an ordered dictionary, hashes are there for every row or for none.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vrtracker.domain.one import DATASETS, SESSIONS
from vrtracker.domain.qc import QC
from vrtracker.errors import InvalidValueError
from vrtracker.files.one.columns import CacheTable
from vrtracker.files.trees import reason_of

_ORIGIN = "vrtracker"
_MADE = b"vrtracker"
"""Of which rows a file was made, and when: nanoseconds since 1970, in whole seconds."""
_INDEX: Mapping[str, list[str]] = {SESSIONS: ["id"], DATASETS: ["eid", "id"]}
_SCHEMAS: Mapping[str, pa.Schema] = {
    SESSIONS: pa.schema(
        {
            "lab": pa.string(),
            "subject": pa.string(),
            "date": pa.date32(),
            "number": pa.uint16(),
            "task_protocol": pa.string(),
            "projects": pa.string(),
            "qc": pa.dictionary(pa.int8(), pa.string(), ordered=True),
            "id": pa.string(),
        }
    ),
    DATASETS: pa.schema(
        {
            "rel_path": pa.string(),
            "file_size": pa.uint64(),
            "hash": pa.string(),
            "exists": pa.bool_(),
            "qc": pa.dictionary(pa.int8(), pa.string(), ordered=True),
            "default_revision": pa.bool_(),
            "eid": pa.string(),
            "id": pa.string(),
        }
    ),
}
_OF_PANDAS = {
    pa.date32(): ("date", "object"),
    pa.uint16(): ("uint16", "uint16"),
    # pandas' own type with missing values, which is what ONE declares.
    pa.uint64(): ("UInt64", "UInt64"),
    pa.bool_(): ("bool", "bool"),
    pa.null(): ("empty", "object"),
}
_TEXT = ("unicode", "object")
_LEVELS = sorted(QC)
_INCOMPRESSIBLE = ("id", "hash")
"""Columns of digits by chance, all different."""


def refuse_foreign(folder: Path) -> None:
    """Raise InvalidValueError if a folder is none, or has tables that we did not write."""
    if folder.exists() and not folder.is_dir():
        raise InvalidValueError(f"{os.fspath(folder)!r} is no folder. Give another folder.")
    for name in _INDEX:
        file = folder / f"{name}.pqt"
        try:
            is_foreign = file.is_file() and not _is_ours(file)
        except OSError as error:
            raise InvalidValueError(
                f"{os.fspath(file)!r} cannot be read ({reason_of(error)}). Give another folder."
            ) from error
        if is_foreign:
            raise InvalidValueError(
                f"{os.fspath(file)!r} was not written by vrtracker; nothing was written. Give "
                "another folder, or move the tables away."
            )


def _is_ours(file: Path) -> bool:
    try:
        metadata = pq.read_schema(file).metadata or {}
        stated = json.loads(metadata.get(b"one_metadata", b"{}"))
    except (pa.ArrowException, ValueError):
        return False
    return isinstance(stated, dict) and stated.get("origin") == _ORIGIN


def write_cache(folder: Path, tables: Sequence[CacheTable], *, created: dt.datetime) -> None:
    """Write the tables of a cache, each whole under another name first.

    One that is there already with the same rows is left as it is, with its time: whoever loads it
    or copies it need not do so again. Each states the digest of its rows and its time: one that
    has another time was changed since.

    Parameters
    ----------
    folder
        Made if it is not there. A table that is not among the given ones is removed: datasets that
        nothing tells of any more.
    created
        The time to state, UTC.

    Raises
    ------
    InvalidValueError
        If the folder cannot be made or written to.
    """
    token = uuid.uuid4().hex[:8]
    parts: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for table in tables:
                target = folder / f"{table.name}.pqt"
                if not _is_there(target, table):
                    parts[target] = folder / f".{table.name}.{token}.part"
                    _write(table, created, parts[target])
            for target, part in parts.items():
                part.replace(target)
            for name in _INDEX.keys() - {table.name for table in tables}:
                (folder / f"{name}.pqt").unlink(missing_ok=True)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidValueError(
            f"{os.fspath(folder)!r} cannot be written to ({reason_of(error)}). Give another folder."
        ) from error


def _is_there(file: Path, table: CacheTable) -> bool:
    """Return whether a file of ours was made of these rows and is as it was written."""
    if not file.is_file():
        return False
    made = (pq.read_metadata(file).metadata or {}).get(_MADE, b"").decode()
    return bool(made == f"{table.digest()} {file.stat().st_mtime_ns}")


def _write(table: CacheTable, created: dt.datetime, path: Path) -> None:
    """Write a table; what repeats as a dictionary, packed, and what cannot be packed as it is.

    The schema that readers find is the one declared, not that of the dictionaries.
    """
    parts, time_ns = iter(table.parts()), int(created.timestamp()) * 10**9
    first = next(parts)
    schema = _schema(table.name, first, created)
    repeating = [name for name in schema.names if name not in _INCOMPRESSIBLE]
    packing = dict.fromkeys(repeating, "snappy") | dict.fromkeys(_INCOMPRESSIBLE, "none")
    made = _table(first, schema)
    with pq.ParquetWriter(
        path, made.schema, use_dictionary=repeating, compression=packing, store_schema=False
    ) as file:
        file.write_table(made)
        for columns in parts:
            file.write_table(_table(columns, schema))
        declared = base64.b64encode(schema.serialize())
        stated = {"ARROW:schema": declared, _MADE: f"{table.digest()} {time_ns}"}
        file.add_key_value_metadata({**(schema.metadata or {}), **stated})
    os.utime(path, ns=(time_ns, time_ns))


def _schema(name: str, columns: Mapping[str, Any], created: dt.datetime) -> pa.Schema:
    """Return the schema that a table is to have, and what ONE and pandas want to know of it."""
    schema = _SCHEMAS[name]
    if columns.get("hash", ()) is None:
        schema = schema.set(schema.get_field_index("hash"), pa.field("hash", pa.null()))
    metadata = {
        "one_metadata": json.dumps(
            # Without zone and seconds, as ONE reads it with datetime.fromisoformat and compares.
            {"date_created": f"{created:%Y-%m-%d %H:%M}", "origin": _ORIGIN}
        ),
        "pandas": json.dumps(_pandas_metadata(schema, _INDEX[name])),
    }
    return schema.with_metadata(metadata)


def _table(columns: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Return columns as a table, texts that repeat as dictionaries."""
    count = len(columns["id"])
    arrays = [
        pa.nulls(count) if (column := columns[field.name]) is None else _array(column, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema.names)


def _array(column: Any, kind: pa.DataType) -> Any:
    if not isinstance(column, pa.Array | pa.ChunkedArray):
        return pa.array(column, kind)
    return column if isinstance(column, pa.DictionaryArray) else column.cast(kind)


def _pandas_metadata(schema: pa.Schema, index: Sequence[str]) -> dict[str, Any]:
    """Return what pandas keeps in a file that it writes, so that it finds the index again."""
    columns = []
    for field in schema:
        kind, numpy_type = _OF_PANDAS.get(field.type, _TEXT)
        more = None
        if pa.types.is_dictionary(field.type):
            kind, numpy_type = "categorical", "int8"
            more = {"num_categories": len(_LEVELS), "ordered": True}
        columns.append(
            {
                "name": field.name,
                "field_name": field.name,
                "pandas_type": kind,
                "numpy_type": numpy_type,
                "metadata": more,
            }
        )
    return {
        "index_columns": list(index),
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
    }

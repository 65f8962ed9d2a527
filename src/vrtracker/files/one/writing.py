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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vrtracker.domain.one import DATASETS, SESSIONS
from vrtracker.domain.qc import QC
from vrtracker.errors import InvalidValueError
from vrtracker.files.trees import reason_of

_ORIGIN = "vrtracker"
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


def write_cache(
    folder: Path, tables: Mapping[str, Mapping[str, Any]], *, created: dt.datetime
) -> None:
    """Write the tables of a cache, each whole under another name first.

    One that is there already with the same rows is left as it is, with its time: whoever loads it
    or copies it need not do so again.

    Parameters
    ----------
    folder
        Made if it is not there.
    tables
        Columns by name, by table, rows in the order of the index; sessions may lack
        ``qc``, and columns that ONE has not are left out. A table that is not among them is
        removed: datasets that nothing tells of any more.
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
            for name, columns in tables.items():
                target = folder / f"{name}.pqt"
                table, schema = _table(name, columns, created)
                if not _is_there(table, schema, target):
                    parts[target] = folder / f".{name}.{token}.part"
                    _write(table, schema, parts[target])
            for target, part in parts.items():
                part.replace(target)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
        for name in _INDEX.keys() - tables.keys():
            (folder / f"{name}.pqt").unlink(missing_ok=True)
    except OSError as error:
        raise InvalidValueError(
            f"{os.fspath(folder)!r} cannot be written to ({reason_of(error)}). Give another folder."
        ) from error


def _is_there(table: pa.Table, schema: pa.Schema, path: Path) -> bool:
    """Return whether a file holds these rows and can be read; it is one of ours."""
    if not path.is_file() or pq.read_metadata(path).num_rows != table.num_rows:
        return False
    try:
        there = pq.read_table(path)
    except (pa.ArrowException, OSError):
        return False
    return bool(there.schema.equals(schema) and there.equals(table.cast(schema)))


def _write(table: pa.Table, schema: pa.Schema, path: Path) -> None:
    """Write a table; what repeats as a dictionary, packed, and what cannot be packed as it is.

    The schema that readers find is the one declared, not that of the dictionaries.
    """
    repeating = [name for name in table.column_names if name not in _INCOMPRESSIBLE]
    packing = dict.fromkeys(repeating, "snappy") | dict.fromkeys(_INCOMPRESSIBLE, "none")
    with pq.ParquetWriter(
        path, table.schema, use_dictionary=repeating, compression=packing, store_schema=False
    ) as file:
        file.write_table(table)
        declared = base64.b64encode(schema.serialize())
        file.add_key_value_metadata({**(schema.metadata or {}), "ARROW:schema": declared})


def _table(
    name: str, columns: Mapping[str, Any], created: dt.datetime
) -> tuple[pa.Table, pa.Schema]:
    """Return a table, texts that repeat as dictionaries, and the schema that it is to have."""
    schema = pa.schema([field for field in _SCHEMAS[name] if field.name in columns])
    if columns.get("hash", ()) is None:
        schema = schema.set(schema.get_field_index("hash"), pa.field("hash", pa.null()))
        columns = {**columns, "hash": pa.nulls(len(columns["id"]))}
    arrays = [_array(columns[field.name], field.type) for field in schema]
    metadata = {
        "one_metadata": json.dumps(
            # Without zone and seconds, as ONE reads it with datetime.fromisoformat and compares.
            {"date_created": f"{created:%Y-%m-%d %H:%M}", "origin": _ORIGIN}
        ),
        "pandas": json.dumps(_pandas_metadata(schema, _INDEX[name])),
    }
    return pa.table(arrays, schema.names), schema.with_metadata(metadata)


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


def qc_column(levels: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Return levels, shape (n,), as the ordered categories that ONE compares.

    All five are always there, in order: without them the strings would be compared.
    """
    codes = np.searchsorted([int(level) for level in _LEVELS], levels).astype("int8")
    names = pa.array([level.name for level in _LEVELS])
    return pa.DictionaryArray.from_arrays(pa.array(codes), names, ordered=True)

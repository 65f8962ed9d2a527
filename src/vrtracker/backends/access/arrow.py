"""Whole results as Arrow tables, converted inside Java and handed over without cells."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vrtracker.backends.access import jars, java_types, jvm
from vrtracker.backends.access.java_errors import translated
from vrtracker.backends.access.ucanaccess import Connection, Cursor
from vrtracker.errors import MissingDependencyError

BATCH_ROWS = 8192


def fetch_arrow(source: Connection | Cursor, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """Run one SELECT and return its rows as a table that owns its memory.

    Returns column labels as in the result; Long as int32, Double, Single and Currency as double,
    Date/Time as timestamp[ms] without zone, Yes/No as bool, Text and Memo as string.
    """
    connection = source.connection if isinstance(source, Cursor) else source
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql, parameters)
        with translated():
            return _convert(cursor)


def _convert(cursor: Cursor) -> pa.Table:
    allocator = jvm.java("org.apache.arrow.memory.RootAllocator")()
    try:
        rows = jvm.java("org.apache.arrow.adapter.jdbc.JdbcToArrow").sqlToArrowVectorIterator(
            _plain(cursor), _configuration(cursor, allocator)
        )
        try:
            table = _owned(_batches(rows, allocator))
            return table.rename_columns([column[0] for column in cursor.description or ()])
        finally:
            rows.close()
    finally:
        allocator.close()


def _plain(cursor: Cursor) -> Any:
    """Return the result below the driver's, which asks the mirror thrice for each column's name.

    Files inside a column are read by the driver alone.
    """
    if any(column[1] == java_types.BLOB for column in cursor.description or ()):
        return cursor.rows
    return jvm.private_field(cursor.rows, "wrapped")


def _configuration(cursor: Cursor, allocator: Any) -> Any:
    field = jvm.java("org.apache.arrow.adapter.jdbc.JdbcFieldInfo")
    number = jvm.java("java.lang.Integer")
    explicit = jvm.java("java.util.HashMap")()
    for position, column in enumerate(cursor.description or (), start=1):
        # UCanAccess gives decimals a precision of 100, more than Arrow's decimals have.
        if column[1] in (java_types.NUMERIC, java_types.DECIMAL):
            explicit.put(number(position), field(java_types.DOUBLE))
    builder = jvm.java("org.apache.arrow.adapter.jdbc.JdbcToArrowConfigBuilder")
    return (
        builder(allocator, None)
        .setExplicitTypesByColumnIndex(explicit)
        .setTargetBatchSize(BATCH_ROWS)
        .build()
    )


def _batches(rows: Any, allocator: Any) -> list[pa.RecordBatch]:
    """Take the batches over; one without rows carries the schema when there is none."""
    ffi = _ffi()
    take_over: Any = pa.RecordBatch._import_from_c  # noqa: SLF001  # Arrow's C data interface
    data = jvm.java("org.apache.arrow.c.Data")
    array_type = jvm.java("org.apache.arrow.c.ArrowArray")
    schema_type = jvm.java("org.apache.arrow.c.ArrowSchema")
    batches: list[pa.RecordBatch] = []
    while rows.hasNext() or not batches:
        root = rows.next()
        array, schema = ffi.new("struct ArrowArray*"), ffi.new("struct ArrowSchema*")
        array_at = int(ffi.cast("uintptr_t", array))
        schema_at = int(ffi.cast("uintptr_t", schema))
        try:
            data.exportVectorSchemaRoot(
                allocator, root, None, array_type.wrap(array_at), schema_type.wrap(schema_at)
            )
            batches.append(take_over(array_at, schema_at))
        finally:
            root.close()
    return batches


def _ffi() -> Any:
    try:
        return importlib.import_module("pyarrow.cffi").ffi
    except ImportError as error:
        raise MissingDependencyError("Access", jars.EXTRA) from error


def _owned(batches: list[pa.RecordBatch]) -> pa.Table:
    """Copy out of Java's memory, which goes when Java does."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    batches.clear()
    return _of_our_calendar(pa.ipc.open_stream(sink.getvalue()).read_all())


def _of_our_calendar(table: pa.Table) -> pa.Table:
    """Mend the times before 1582, which come counted by the Julian calendar."""
    for position, field in enumerate(table.schema):
        if not pa.types.is_timestamp(field.type):
            continue
        counted = table.column(position).cast(pa.int64())
        earliest = pc.min(counted).as_py()
        if earliest is not None and earliest < java_types.GREGORIAN_MS:
            values = pa.array(map(_mended, counted.to_pylist()), pa.int64())
            table = table.set_column(position, field, values.cast(field.type))
    return table


def _mended(milliseconds: int | None) -> int | None:
    if milliseconds is None or milliseconds >= java_types.GREGORIAN_MS:
        return milliseconds
    moment = java_types.wall_clock_of(jvm.java("java.sql.Timestamp")(milliseconds))
    return (moment - java_types.EPOCH) // dt.timedelta(milliseconds=1)

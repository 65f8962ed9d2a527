"""A program that reads SQLite files as columns for the process that has started it.

It imports nothing of the package, so that it is ready soon and small. Each line on its standard
input is a query, as JSON; the answers on its standard output are parts, each with a head of
numbers:

| head                                        | what follows                                      |
|---------------------------------------------|---------------------------------------------------|
| ``rows``, then of each column 4 numbers     | its bits of validity, offsets (texts), and values |
| -1                                          | nothing: that was the last one                    |
| -2                                          | nothing: the query failed                         |

The 4 numbers are the count of missing values and the bytes of each of the three, -1 for none.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

__all__ = ["DONE", "FAILED", "HEAD", "LITERALS", "READY", "head_of"]

READY = b"r"
DONE, FAILED = -1, -2
HEAD = struct.Struct("<q")
LITERALS = {"int64": "0", "double": "0.5", "string": "''"}
"""A value of each type that is read. The driver takes the types of columns from the first rows."""
_BATCH_ROWS = 16384
_BUSY_MS = 30_000


def head_of(columns: int) -> struct.Struct:
    """Return what the head of a part with rows holds after their number."""
    return struct.Struct(f"<{4 * columns}q")


def main() -> None:
    """Answer queries until nobody asks any more."""
    # Ctrl-C is for whoever has started this; the end of its input ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    # What a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import adbc_driver_sqlite

    answers.write(READY)
    answers.flush()
    for line in sys.stdin.buffer:
        try:
            _answer(answers, adbc_driver_sqlite.connect, **json.loads(line))
            answers.write(HEAD.pack(DONE))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception:  # noqa: BLE001 - the other side reads in its own way then, and says why
            answers.write(HEAD.pack(FAILED))
        answers.flush()


def _answer(
    answers: BinaryIO, connect: Any, *, uri: str, sql: str, values: list[Any], types: list[str]
) -> None:
    from adbc_driver_manager import AdbcConnection, AdbcStatement

    with connect(uri) as database, AdbcConnection(database) as connection:
        with AdbcStatement(connection) as statement:
            statement.set_sql_query(f"PRAGMA busy_timeout = {_BUSY_MS}")
            statement.execute_update()
        with AdbcStatement(connection) as statement:
            for batch in _batches(statement, sql, values, types):
                _write(answers, batch)


def _batches(
    statement: Any, sql: str, values: Sequence[Any], types: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Read the result in parts, behind a row that gives the columns their types."""
    first = ", ".join(LITERALS[name] for name in types)
    statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)})
    statement.set_sql_query(f"SELECT {first} UNION ALL SELECT * FROM ({sql})")  # noqa: S608
    if values:
        names = [str(position) for position in range(len(values))]
        statement.bind(pa.record_batch([pa.array([value]) for value in values], names))
    handle, _ = statement.execute_query()
    take_over: Any = pa.RecordBatchReader._import_from_c  # noqa: SLF001  # Arrow's C interface
    for number, batch in enumerate(take_over(handle.address)):
        if [str(kind) for kind in batch.schema.types] != list(types):
            raise TypeError(batch.schema)
        yield batch.slice(1) if number == 0 else batch


def _write(answers: BinaryIO, batch: pa.RecordBatch) -> None:
    # A part of a batch begins within its buffers; a copy of its own begins with them.
    columns = [pa.concat_arrays([one]) if one.offset else one for one in batch.columns]
    buffers = [[*one.buffers(), None][:3] for one in columns]
    sizes = []
    for column, three in zip(columns, buffers, strict=True):
        sizes += [column.null_count, *(-1 if one is None else one.size for one in three)]
    answers.write(HEAD.pack(batch.num_rows) + head_of(len(columns)).pack(*sizes))
    for three in buffers:
        for one in three:
            if one is not None:
                answers.write(one)


if __name__ == "__main__":
    main()

"""A program that reads SQLite files as columns for the process that has started it.

It imports nothing of the package, so that it is ready soon and small. Each line on its standard
input is a query, as JSON; the answers on its standard output are batches, each with a head of
numbers:

| head             | what follows                                                         |
|------------------|----------------------------------------------------------------------|
| rows, their part | of each array 6 numbers; then its bits of validity, offsets (texts), |
|                  | and values                                                           |
| -1, 0            | nothing: that was the last one                                       |
| -2, 0            | nothing: the query failed                                            |

The 6 numbers are the rows, those before them that do not count, how many are missing, and the
bytes of each of the three, -1 for none. A column is one array; texts that repeat are two, places
among the texts and those.

Rows in the order of a table's number are read in parts by it, one for each processor, each by a
thread with a connection of its own: the ends of a part are the last values of the query. All of
them see one moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

READY = b"r"
DONE, FAILED = -1, -2
HEAD = struct.Struct("<qq")
REPEATING = "repeating"
LITERALS = {"int64": "0", "double": "0.5", "string": "''", REPEATING: "''"}
"""A value of each type that is read. The driver takes the types of columns from the first rows."""
_BATCH_ROWS = 16384
_BUSY_MS = 30_000
_MOST_PARTS = 4
_PIPE_BYTES = 1 << 20
"""Whoever waits at the other end is woken sixteen times less often than with Linux' usual size."""


def head_of(arrays: int) -> struct.Struct:
    """Return what the head of a part with rows holds after their number."""
    return struct.Struct(f"<{6 * arrays}q")


def main() -> None:
    """Answer queries until nobody asks any more."""
    # Ctrl-C is for whoever has started this; the end of its input ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    # What a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    import adbc_driver_sqlite

    answers.write(READY)
    answers.flush()
    for line in sys.stdin.buffer:
        try:
            _answer(answers, adbc_driver_sqlite.connect, **json.loads(line))
            answers.write(HEAD.pack(DONE, 0))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception:  # noqa: BLE001 - the other side reads in its own way then, and says why
            answers.write(HEAD.pack(FAILED, 0))
        answers.flush()


def _answer(
    answers: BinaryIO,
    connect: Any,
    *,
    uri: str,
    sql: str,
    values: list[Any],
    types: list[str],
    number: tuple[str, str] | None,
) -> None:
    from adbc_driver_manager import AdbcConnection

    first = ", ".join(LITERALS[name] for name in types)
    # A row that gives the columns their types.
    sql = f"SELECT {first} UNION ALL SELECT * FROM ({sql})"  # noqa: S608
    with connect(uri) as database, contextlib.ExitStack() as opened:

        def connection() -> Any:
            connected = opened.enter_context(AdbcConnection(database))
            _run(connected, f"PRAGMA busy_timeout = {_BUSY_MS}")
            return connected

        one = connection()
        if number is None:
            _hand_over(answers, [_batches(one, sql, values, types)])
            return
        table, column = number
        count = min(_MOST_PARTS, os.cpu_count() or 1)
        connections = _of_one_moment(one, [connection() for _ in range(count - 1)])
        # Of its table: a name alone that is no column would be a text to SQLite.
        name = f'"{table}"."{column}"'
        ends = (f'SELECT {end}({name}) FROM "{table}"' for end in ("min", "max"))  # noqa: S608
        # None where there are no rows.
        low, high = (_value(one, end) or 0 for end in ends)
        parts = _parts(low, high, len(connections))
        both = zip(connections, parts, strict=True)
        _hand_over(answers, [_batches(one, sql, [*values, *part], types) for one, part in both])


def _of_one_moment(first: Any, others: Sequence[Any]) -> list[Any]:
    """Begin to read on connections; return those that see what the first one sees.

    A number that changes with each commit of others is looked at before the first one begins and
    after each of the others has. A lock is not waited for: who holds it may wait for the first.
    """
    version = "PRAGMA data_version"
    before = [_value(other, version) for other in others]
    for one in (first, *others):
        _run(one, "BEGIN")
    _value(first, version)
    same = [first]
    for other, seen in zip(others, before, strict=True):
        with contextlib.suppress(Exception):
            _run(other, "PRAGMA busy_timeout = 0")
            if _value(other, version) == seen:
                same.append(other)
    return same


def _parts(low: int, high: int, count: int) -> list[tuple[int, int]]:
    """Return so many parts of the numbers from `low` to `high`, in order."""
    width = (high - low) // count + 1
    return [(low + part * width, low + (part + 1) * width - 1) for part in range(count)]


def _run(connection: Any, sql: str) -> None:
    from adbc_driver_manager import AdbcStatement

    with AdbcStatement(connection) as statement:
        statement.set_sql_query(sql)
        statement.execute_update()


def _value(connection: Any, sql: str) -> Any:
    """Return the one value of a result."""
    from adbc_driver_manager import AdbcStatement

    with AdbcStatement(connection) as statement:
        statement.set_sql_query(sql)
        return _result(statement).read_all().column(0)[0].as_py()


def _result(statement: Any) -> Any:
    handle, _ = statement.execute_query()
    return pa.RecordBatchReader._import_from_c(handle.address)  # noqa: SLF001  # Arrow's C interface


def _batches(
    connection: Any, sql: str, values: Sequence[Any], types: Sequence[str]
) -> Generator[list[pa.Array]]:
    """Read a result whose first row gives the columns their types, which it leaves out."""
    from adbc_driver_manager import AdbcStatement

    with AdbcStatement(connection) as statement:
        statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)})
        statement.set_sql_query(sql)
        if values:
            names = [str(position) for position in range(len(values))]
            statement.bind(pa.record_batch([pa.array([value]) for value in values], names))
        for number, batch in enumerate(_result(statement)):
            columns = (batch.slice(1) if number == 0 else batch).columns
            for place, (column, name) in enumerate(zip(columns, types, strict=True)):
                if str(column.type) != ("string" if name == REPEATING else name):
                    raise TypeError(batch.schema)
                if name == REPEATING:
                    columns[place] = column.dictionary_encode()
            yield columns


def _hand_over(answers: BinaryIO, parts: Sequence[Generator[list[pa.Array]]]) -> None:
    """Read all parts at once, and write what has come."""
    found: queue.Queue[Any] = queue.Queue(2 * len(parts))
    failed: list[Exception] = []
    for part in enumerate(parts):
        threading.Thread(target=_read, args=(found, failed, *part), daemon=True).start()
    reading = len(parts)
    while reading:
        number, batch = found.get()
        if batch is None:
            reading -= 1
        elif not failed:
            try:
                _write(answers, number, batch)
            except OSError as error:
                failed.append(error)
    if failed:
        raise failed[0]


def _read(
    found: queue.Queue[Any],
    failed: list[Exception],
    number: int,
    batches: Generator[list[pa.Array]],
) -> None:
    """Hand over the batches of a part, with its number, and None at the end."""
    try:
        # A statement that is left open keeps its connection, and that the log of the database.
        with contextlib.closing(batches):
            for batch in batches:
                found.put((number, batch))
                if failed:
                    break
    except Exception as error:  # noqa: BLE001 - for whoever takes them over
        failed.append(error)
    found.put((number, None))


def _write(answers: BinaryIO, part: int, columns: list[pa.Array]) -> None:
    arrays = []
    for one in columns:
        arrays += [one.indices, one.dictionary] if isinstance(one, pa.DictionaryArray) else [one]
    buffers = [[*one.buffers(), None][:3] for one in arrays]
    numbers = []
    for array, three in zip(arrays, buffers, strict=True):
        numbers += [len(array), array.offset, array.null_count]
        numbers += [-1 if one is None else one.size for one in three]
    answers.write(HEAD.pack(len(columns[0]), part) + head_of(len(arrays)).pack(*numbers))
    for three in buffers:
        for one in three:
            if one is not None:
                answers.write(one)


if __name__ == "__main__":
    main()

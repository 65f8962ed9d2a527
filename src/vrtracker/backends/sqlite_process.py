"""The process that reads SQLite files as columns for this one; see `sqlite_reader`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import mmap
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import IO, Any

import pyarrow as pa

from vrtracker.backends import sqlite_reader
from vrtracker.backends.base import Parts
from vrtracker.backends.columns import typed
from vrtracker.errors import BackendError

_PROGRAM = (
    "import runpy, sys; sys.path[:] = {path!r}; runpy.run_path({file!r}, run_name='__main__')"
)
_DRIVER = ("adbc_driver_manager", "adbc_driver_sqlite")
_START_S = 10
_INTEGERS = (pa.int64(), pa.bool_())
_ARRAYS = {
    "int64": [pa.int64()],
    "double": [pa.float64()],
    "string": [pa.string()],
    sqlite_reader.REPEATING: [pa.int32(), pa.string()],
}
"""Of which types the arrays of a column are."""


class SQLiteProcess:
    """Starts the process when told to, and asks it one query after the other.

    It ends with this object, with `end`, and with the process that started it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Future[bool] = Future()
        self._end: weakref.finalize[Any, Any] | None = None

    def is_ready(self, *, wait: bool = False) -> bool:
        """Return whether it can be asked; with `wait`, once it can or has ended."""
        try:
            return self._ready.result(_START_S if wait and self._process is not None else 0)
        except TimeoutError:
            return False

    def start(self) -> None:
        """Start it, and do not wait for it; not again, and not without the columnar driver."""
        with self._lock:
            if self._process is not None or not sys.executable or not _is_installed():
                return
            program = _PROGRAM.format(path=sys.path, file=sqlite_reader.__file__)
            with contextlib.suppress(OSError):
                self._process = process = subprocess.Popen(  # noqa: S603 - Python itself
                    [sys.executable, "-P", "-c", program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    # On Windows a program without a window of its own would get one.
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
                self._end = weakref.finalize(self, _end, process, os.getpid())
                threading.Thread(target=_await, args=(process, self._ready), daemon=True).start()

    def read(
        self,
        uri: str,
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType],
        parts: Callable[[], Parts] | None,
    ) -> pa.Table | None:
        """Return the rows of a query, or None if they have to be read in another way.

        `types`: declared types of the columns, which are named by their position. `parts`: as
        `ArrowReader.read`.
        """
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                return None
            try:
                number, sql = (None, sql) if parts is None else parts()
                request = {
                    "uri": uri,
                    "sql": sql,
                    "values": list(parameters),
                    "types": [_read_as(kind) for kind in types],
                    "number": number,
                }
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                return _received(process.stdout, types)
            except (OSError, EOFError, TypeError, pa.ArrowException, BackendError):
                self._give_up()
                return None
            except BaseException:
                self._give_up()
                raise

    def end(self) -> None:
        """End it; it can be started again."""
        with self._lock:
            self._give_up()

    def _give_up(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None
        self._ready = Future()


def _is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in _DRIVER)


def _await(process: subprocess.Popen[bytes], ready: Future[bool]) -> None:
    stream = process.stdout
    ready.set_result(stream is not None and stream.read(1) == sqlite_reader.READY)


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork has copied what is the parent's
    # It only reads, and is killed at any moment without harm.
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _read_as(kind: pa.DataType) -> str:
    """Return the type in which SQLite keeps a column, as the other process is told it."""
    if pa.types.is_dictionary(kind):
        return sqlite_reader.REPEATING
    if kind in _INTEGERS:
        return "int64"
    return "double" if kind == pa.float64() else "string"


def _received(stream: IO[bytes], types: Sequence[pa.DataType]) -> pa.Table | None:
    """Take over the rows batch by batch; what has its declared type then needs less memory."""
    names = [str(position) for position in range(len(types))]
    found: list[tuple[int, pa.Table]] = []
    read = [_ARRAYS[_read_as(kind)] for kind in types]
    head = sqlite_reader.head_of(sum(map(len, read)))
    while True:
        rows, part = sqlite_reader.HEAD.unpack(_bytes(stream, sqlite_reader.HEAD.size))
        if rows == sqlite_reader.FAILED:
            return None
        if rows == sqlite_reader.DONE:
            found.sort(key=lambda one: one[0])
            return pa.concat_tables([batch for _, batch in found])
        numbers = iter(head.unpack(_bytes(stream, head.size)))
        columns = []
        for name, kind, of in zip(names, types, read, strict=True):
            array, *texts = (_array(stream, one, [*islice(numbers, 6)]) for one in of)
            if texts:
                array = pa.DictionaryArray.from_arrays(array, *texts)
            columns.append(typed(name, array, kind))
        found.append((part, pa.Table.from_arrays(columns, names)))


def _array(stream: IO[bytes], kind: pa.DataType, numbers: Sequence[int]) -> pa.Array:
    rows, before, missing, *sizes = numbers
    count = 3 if kind == pa.string() else 2
    buffers = [None if size < 0 else _bytes(stream, size) for size in sizes[:count]]
    array = pa.Array.from_buffers(kind, rows, buffers, missing, before)
    if kind == pa.string():
        # Another program may have written other bytes than UTF-8.
        array.validate(full=True)
    return array


_MAPPED = 64 * 1024
"""Bytes; above these a buffer is worth a map of its own."""


def _bytes(stream: IO[bytes], size: int) -> pa.Buffer:
    """Take over so many bytes, in memory of their own."""
    # A map of its own goes back to the system as soon as its column is converted.
    buffer = (
        pa.py_buffer(mmap.mmap(-1, size, access=mmap.ACCESS_COPY))
        if size > _MAPPED
        else pa.allocate_buffer(size)
    )
    if size and stream.readinto(memoryview(buffer)) != size:  # type: ignore[attr-defined]
        raise EOFError
    return buffer

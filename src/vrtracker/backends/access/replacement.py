"""Change the schema of an Access file on a copy, which then takes the file's place.

Neither driver can undo a schema change, and a process killed in the middle of one leaves a
half-changed file. A copy in the same folder replaces the file in one step, so that at any
moment the name leads to the old file or to the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from vrtracker.backends.access.holders import check_nobody_has_it_open
from vrtracker.backends.access.inspection import own_tables
from vrtracker.backends.access.mirror import mirror_of
from vrtracker.backends.disk import copy_whole, dated_name, flush, flush_folder
from vrtracker.errors import BackendError

WORK_SUFFIX = ".vrtracker-new"

# What a column can hold of before and after a change of its type, in Java.
_NUMBERS = ("Byte", "Short", "Integer", "Long", "Float", "Double", "BigDecimal")

Contents = dict[str, tuple[int, dict[str, str]]]


@contextlib.contextmanager
def replaced(path: Path, *, through_java: bool, rewritten: Collection[str] = ()) -> Iterator[Path]:
    """Give a copy of the file to change; it replaces the file when the block ends well.

    A file that holds rows is kept beside it, under a name with the date.

    `rewritten`: tables whose values the block changes on purpose, and answers for. Raises
    BackendError if somebody has the file open; or the copy has lost rows or values.
    """
    with _taking_the_place(path) as work:
        if path.exists():
            _copy(path, work, of=path)
        before = _contents(work, rewritten) if through_java and path.exists() else {}
        yield work
        if before:
            kept = {name: found for name, found in before.items() if name not in rewritten}
            _check_kept(kept, _contents(work, rewritten), path)
        check_nobody_has_it_open(path)
        if path.exists() and (not through_java or any(rows for rows, _ in before.values())):
            _keep(path)


@contextlib.contextmanager
def built(path: Path) -> Iterator[Path]:
    """Give a name under which to make the file, complete before it has its own.

    What is there already is copied to it: its tables may be empty, its forms are the lab's.

    Raises BackendError if somebody has the file open.
    """
    with _taking_the_place(path) as work:
        if path.exists():
            _copy(path, work, of=path)
        yield work
        check_nobody_has_it_open(path)


def restore(path: Path, backup: Path) -> None:
    """Put a copy of a backup in the file's place; what was there is kept under a dated name.

    Raises BackendError if somebody has the file open, or the backup cannot be read.
    """
    with _taking_the_place(path) as work:
        _copy(backup, work, of=path, check=_contents)
        check_nobody_has_it_open(path)
        if path.exists():
            _keep(path)


def remove(path: Path) -> None:
    """Remove the file.

    Raises BackendError if somebody has the file open.
    """
    with mirror_of(path).exclusive(), _explaining(path):
        check_nobody_has_it_open(path)
        path.unlink()


@contextlib.contextmanager
def _taking_the_place(path: Path) -> Iterator[Path]:
    """Give a name beside the file; what has it at the end of the block replaces the file."""
    work = path.with_name(f"{path.stem}{WORK_SUFFIX}{path.suffix}")
    with mirror_of(path).exclusive() as check_alone:
        check_nobody_has_it_open(path)
        with _explaining(path):
            # Left by a process that was killed; the lock says that none is at work now.
            _remove(work)
        try:
            yield work
            with _explaining(path):
                flush(work)
                check_alone()
                _take_over(work, path)
                flush_folder(path.parent)
        finally:
            _remove(work)


def _take_over(work: Path, path: Path) -> None:
    try:
        work.replace(path)
    except PermissionError as error:
        # Windows replaces no file that anybody has open.
        raise BackendError(
            f"{path} is open in another program, and stays as it was; close it there, and try "
            "again."
        ) from error


def _remove(work: Path) -> None:
    for suffix in ("", ".vrtracker-lock", ".vrtracker-undo"):
        work.with_name(work.name + suffix).unlink(missing_ok=True)


def _keep(path: Path) -> None:
    """Copy the old file to a name of its own."""
    _copy(path, dated_name(path), of=path)


def _copy(
    source: Path, target: Path, *, of: Path, check: Callable[[Path], object] | None = None
) -> None:
    with _explaining(of):
        copy_whole(source, target, check=check)


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Explain what the system refuses; errors of the caller's own are not seen here."""
    try:
        yield
    except OSError as error:
        place = error.filename or path.parent
        raise BackendError(
            f"{path} stays as it was: {place}: {error.strerror}. A changed copy has to stand "
            "beside the file: make room on its disk, and see that you may write to its folder."
        ) from error


def _contents(path: Path, rewritten: Collection[str] = ()) -> Contents:
    """Return the rows of each table and a hash of each of its columns, but of rewritten ones."""
    from vrtracker.backends.access import jackcess_ops as ops

    with ops.opened(path, readonly=True) as file:
        return {
            name: _columns(table) if name not in rewritten else (int(table.getRowCount()), {})
            for name in own_tables(file)
            if name != "alembic_version"
            for table in [file.getTable(name)]
        }


def _columns(table: Any) -> tuple[int, dict[str, str]]:
    """Hash each column in the order of the primary key; a rebuild may store rows in another."""
    names = [str(column.getName()) for column in table.getColumns()]
    rows = [[_value(row.get(name)) for name in names] for row in table]
    keys = [names.index(name) for name in _key(table)]
    if keys:
        rows.sort(key=lambda row: [row[key] for key in keys])
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    else:
        columns = {name: sorted(row[at] for row in rows) for at, name in enumerate(names)}
    return len(rows), {name: _hash(values) for name, values in columns.items()}


def _key(table: Any) -> list[str]:
    return [
        str(column.getName())
        for index in table.getIndexes()
        if index.isPrimaryKey()
        for column in index.getColumns()
    ]


def _value(value: Any) -> str:
    """Spell a Java value so that equal values of the types of one column come out alike."""
    if value is None:
        return "null"
    kind = str(value.getClass().getName()) if hasattr(value, "getClass") else type(value).__name__
    if kind.endswith("[]") or "byte[" in kind or kind == "[B":
        return f"bytes:{bytes(value).hex()}"
    if kind.endswith(_NUMBERS):
        return f"number:{float(str(value))!r}"
    if kind.endswith(("Boolean", "bool")):
        return f"bool:{bool(value)}"
    return f"text:{value}"


def _hash(values: list[str]) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{len(value)}:{value}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _check_kept(before: Contents, after: Contents, path: Path) -> None:
    """Compare the tables and columns that both have."""
    for table in before.keys() & after.keys():
        (rows, columns), (rows_now, columns_now) = before[table], after[table]
        lost = [
            name
            for name in columns.keys() & columns_now.keys()
            if columns[name] != columns_now[name]
        ]
        if rows != rows_now or lost:
            raise BackendError(
                f"The changed copy of {path} has other values in {table} than the file "
                f"({rows_now} rows for {rows}; columns {', '.join(sorted(lost)) or 'alike'}). "
                "The file stays as it was; let Access compact and repair it, then try again."
            )

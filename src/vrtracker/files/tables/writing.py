"""Write rows as files that other programs read, and `content` reads again."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.errors import InvalidValueError
from vrtracker.files.trees import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}
"""Endings of texts, with what separates the fields."""
COLUMNAR = (".parquet", ".arrow", ".feather")
KEYS = ".json"


def kind_of(path: Path, known: Sequence[str] = (*TEXTS, *COLUMNAR, KEYS)) -> str:
    """Return the ending of a file to write, or raise InvalidValueError if it is no such one."""
    kind = path.suffix.lower()
    if kind not in known:
        raise InvalidValueError(
            f"{os.fspath(path)!r} has no ending that is written; use one of {', '.join(known)}."
        )
    return kind


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Write rows as text below a header: dates by ISO, true and false, nothing where none is."""

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, delimiter=TEXTS[kind_of(path)])
            lines.writerow(names)
            lines.writerows([_text(row[name]) for name in names] for row in rows)

    _replace(path, write)


def write_listing(
    path: Path, rows: Sequence[Mapping[str, Any]], without_rows: Sequence[str] = ()
) -> None:
    """Write rows of plain values by the kind that the file's ending names; lists as JSON.

    `without_rows`: the columns of the file where there are no rows.
    """
    import pyarrow as pa

    kind = kind_of(path, (*TEXTS, *COLUMNAR))
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(without_rows)
    plain = [{name: _plain(row.get(name)) for name in names} for row in rows]
    if kind in TEXTS:
        write_rows(path, plain, names)
    else:
        columns = {name: pa.array([row[name] for row in plain]) for name in names}
        write_columns(path, pa.table(columns))


def _plain(value: Any) -> Any:
    is_several = isinstance(value, Mapping | list | tuple)
    return json.dumps(value, ensure_ascii=False) if is_several else value


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else value


def write_columns(path: Path, table: pa.Table) -> None:
    """Write an Arrow table as Parquet, or as Arrow's own file."""
    import pyarrow.parquet as pq
    from pyarrow import feather

    is_parquet = kind_of(path) == ".parquet"
    _replace(
        path,
        lambda part: (
            pq.write_table(table, part)
            if is_parquet
            else feather.write_feather(table, str(part), compression="uncompressed")
        ),
    )


def write_keys(path: Path, keys: Sequence[Any]) -> None:
    """Write keys of sessions as the lab's lists for clusters, from which jobs take theirs."""
    listed = [
        {"mouse_name": key.mouse, "date": key.date.isoformat(), "session_id": key.number}
        for key in keys
    ]
    _replace(path, lambda part: part.write_text(json.dumps(listed, indent=1), encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole under another name first."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidValueError(
            f"{os.fspath(path)!r} cannot be written ({reason_of(error)}). Give another file."
        ) from error

"""Read what a dataset holds, each kind by its own library; no pickle is ever read."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vrtracker.errors import InvalidValueError, MissingDependencyError, NotFoundError
from vrtracker.files import alf
from vrtracker.files.trees import reason_of


def load_dataset(path: Path, *, mmap: bool = False) -> Any:
    """Read a file by the kind that its ending names.

    `path`: ``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.pqt``, ``.parquet``, ``.json`` or ``.mat``.
    `mmap`: leave the data of a ``.npy`` on the disk until they are used; they cannot be written to.
    Returns an array of a ``.npy``; arrays by name of ``.npz`` and ``.mat``; a frame of a table.
    Raises NotFoundError if there is no such file; InvalidValueError if it is of another kind,
    damaged, or holds Python objects; MissingDependencyError if a ``.mat`` is to be read without
    SciPy.
    """
    kind = path.suffix.lower()
    if mmap and kind == ".npy":
        return _mapped(path)
    if kind in {".npy", ".npz"}:
        return alf.load(path)
    if kind not in _READERS:
        known = ", ".join([".npy", ".npz", *_READERS])
        raise InvalidValueError(f"{str(path)!r} is of a kind that is not read; these are: {known}.")
    if not path.exists():
        raise NotFoundError("file", str(path))
    try:
        return _READERS[kind](path)
    except OSError as error:
        raise InvalidValueError(f"{str(path)!r} cannot be read ({reason_of(error)}).") from error
    except (ValueError, TypeError, LookupError, NotImplementedError, RecursionError) as error:
        raise InvalidValueError(
            f"{str(path)!r} is damaged, or no {kind} ({error}). Write it again."
        ) from error


_HALF = re.compile(r"(.+)(_[01])")


def columns_of_table(name: str, table: Any) -> dict[str, Any]:
    """Return the columns of an object's ``table`` as arrays, by the names that ONE gives them.

    Of ``table_clock`` each column bears the clock too; ``intervals_0`` and ``intervals_1`` are the
    two columns of ``intervals``.
    """
    import numpy as np

    clock = name.removeprefix("table")
    columns = {}
    for column in map(str, table.columns):
        half = _HALF.fullmatch(column)
        named = f"{half[1]}{clock}{half[2]}" if half else column + clock
        columns[named] = table[column].to_numpy()
    for first in [named for named in columns if named.endswith("_0")]:
        if (second := f"{first[:-2]}_1") in columns:
            columns[first[:-2]] = np.column_stack((columns.pop(first), columns.pop(second)))
    return columns


def _mapped(path: Path) -> Any:
    import numpy as np

    alf.read_npy_header(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise InvalidValueError(
            f"{str(path)!r} cannot be mapped ({error}); read it without mmap."
        ) from error


def _csv(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",")


def _parquet(path: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(path)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _mat(path: Path) -> Any:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingDependencyError("Reading a .mat file", "mat") from error
    try:
        found = loadmat(path, simplify_cells=True)
    except (MatReadError, LookupError, EOFError, struct.error, zlib.error) as error:
        raise ValueError(str(error)) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".pqt": _parquet,
    ".parquet": _parquet,
    ".json": _json,
    ".mat": _mat,
}

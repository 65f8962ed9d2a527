"""Tell from a number whether two tables hold the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

_BITS = 256


class Fingerprint:
    """Number and hash of rows, added one after the other; their order does not matter.

    Databases sort text by different rules, and a table may have no key to sort by. Hence the
    hashes of the rows are added up (modulo 2**256), which also counts rows that are alike.

    `columns`: names of the columns, in the order of the values in a row.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self.rows = 0
        self._columns = tuple(columns)
        self._sum = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take in rows of None, bool, int, float, Decimal, str, bytes, dates and times."""
        for row in rows:
            self.rows += 1
            self._sum += int.from_bytes(digest(row))

    @property
    def hash(self) -> str:
        """SHA-256 of the columns' names and the sum, hexadecimal."""
        return digest([*self._columns, self.rows, self._sum % 2**_BITS]).hex()


def digest(row: Iterable[Any]) -> bytes:
    """Return the hash of a row; equal rows have the same one, whatever database they come from."""
    values = list(row)
    # What Python writes tells types apart, and is ASCII, whatever letters it knows to be printable.
    written = ascii(values)
    # To look for them is faster than to ask each value for its type.
    if "Decimal(" in written or "bytearray(" in written or "<memory at" in written:
        written = ascii([_plain(value) for value in values])
    return hashlib.sha256(written.encode("ascii")).digest()


def _plain(value: Any) -> Any:
    """Return what is alike where the values are: 1.50 and 1.5, bytes in whatever form."""
    if isinstance(value, Decimal):
        return {"decimal": format(value.normalize(), "f")}
    return bytes(value) if isinstance(value, bytearray | memoryview) else value

"""Tell from a number whether two tables hold the same rows."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

__all__ = ["Fingerprint"]

_BITS = 256


class Fingerprint:
    """Number and hash of rows, added one after the other; their order does not matter.

    Databases sort text by different rules, and a table may have no key to sort by. Hence the
    hashes of the rows are added up (modulo 2**256), which also counts rows that are alike.

    Parameters
    ----------
    columns
        Names of the columns, in the order of the values in a row.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self.rows = 0
        self._columns = tuple(columns)
        self._sum = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take in rows of None, bool, int, float, Decimal, str, bytes, dates and times."""
        for row in rows:
            self.rows += 1
            self._sum += int.from_bytes(_digest(list(row)))

    @property
    def hash(self) -> str:
        """SHA-256 of the columns' names and the sum, hexadecimal."""
        return _digest([*self._columns, self.rows, self._sum % 2**_BITS]).hex()


def _digest(values: list[Any]) -> bytes:
    # ASCII, so that half of a surrogate pair is no obstacle.
    return hashlib.sha256(json.dumps(values, default=_spelled).encode("ascii")).digest()


def _spelled(value: Any) -> dict[str, str]:
    """Spell what JSON has no word for so that it cannot be taken for a text."""
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return {"time": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": format(value.normalize(), "f")}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    return {type(value).__name__: str(value)}

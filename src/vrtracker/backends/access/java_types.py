"""Values between Python and JDBC, each by the setter or getter of its own type."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from vrtracker.backends.access import jvm
from vrtracker.backends.access.java_errors import DataError

LARGEST_INT = 2**31 - 1
LARGEST_EXACT_FLOAT = 2**53
US_PER_MS = 1000
# java.sql.Types, fixed by the JDBC specification.
BIT, TINYINT, BIGINT, LONGVARBINARY, VARBINARY, BINARY = -7, -6, -5, -4, -3, -2
NUMERIC, DECIMAL, INTEGER, SMALLINT, FLOAT, REAL, DOUBLE = 2, 3, 4, 5, 6, 7, 8
CHAR, VARCHAR, LONGVARCHAR, BOOLEAN, DATE, TIME, TIMESTAMP = 1, 12, -1, 16, 91, 92, 93
BLOB, CLOB = 2004, 2005
# The driver shows an Access Single as a decimal of this scale, Currency with scale 4.
SCALE_OF_SINGLE = 7
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # Access keeps wall-clock times
# Earlier times would pass through Java's Julian calendar.
GREGORIAN_MS = -12_219_292_800_000

Setter = Callable[[Any, int, Any], None]
Reader = Callable[[Any, int], Any]
Description = tuple[str, int, None, None, int, int, bool]


def make_setter() -> Setter:
    """Return ``set(statement, position, value)`` for a prepared statement, position from 1."""
    timestamp = jvm.java("java.sql.Timestamp")
    decimal = jvm.java("java.math.BigDecimal")

    def set_value(statement: Any, position: int, value: Any) -> None:
        plain = value.item() if hasattr(value, "item") else value
        if plain is None:
            statement.setNull(position, VARCHAR)
        elif isinstance(plain, bool):
            statement.setBoolean(position, plain)
        elif isinstance(plain, int):
            _set_int(statement, position, plain, decimal)
        elif isinstance(plain, float):
            statement.setDouble(position, _finite(plain))
        elif isinstance(plain, str):
            statement.setString(position, str(plain))
        else:
            _set_rarer(statement, position, plain, timestamp, decimal)

    return set_value


def _set_int(statement: Any, position: int, value: int, decimal: Any) -> None:
    if -LARGEST_INT - 1 <= value <= LARGEST_INT:
        statement.setInt(position, value)
    elif abs(value) <= LARGEST_EXACT_FLOAT:
        statement.setDouble(position, float(value))
    else:
        statement.setBigDecimal(position, decimal(str(value)))


def _set_rarer(statement: Any, position: int, value: Any, timestamp: Any, decimal: Any) -> None:
    if isinstance(value, dt.datetime):
        statement.setTimestamp(position, timestamp.valueOf(_wall_clock(value)))
    elif isinstance(value, dt.date):
        statement.setTimestamp(position, timestamp.valueOf(f"{value.isoformat()} 00:00:00"))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise DataError(f"Access cannot store {value}; use None for a missing number.", "22003")
        statement.setBigDecimal(position, decimal(str(value)))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        statement.setBytes(position, bytes(value))
    else:
        raise DataError(
            f"Access cannot store a {type(value).__name__} ({value!r}); convert it to None, "
            "bool, int, float, str, bytes, date, datetime or Decimal.",
            "22018",
        )


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise DataError(f"Access cannot store {value}; use None for a missing number.", "22003")
    return value


def _wall_clock(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        raise DataError(
            f"Access stores no time zone: convert {value.isoformat()} to the naive time that "
            "the column keeps.",
            "22007",
        )
    if value.microsecond % US_PER_MS:
        raise DataError(
            f"Access stores no microseconds: round {value.isoformat()} to whole seconds.", "22008"
        )
    return value.isoformat(sep=" ", timespec="milliseconds")


def reader(sql_type: int, scale: int) -> Reader:
    """Return ``read(result_set, position)`` for a column of a result, position from 1."""
    if sql_type in (NUMERIC, DECIMAL):
        return _read_single if scale == SCALE_OF_SINGLE else _read_decimal
    return _READERS.get(sql_type, _read_other)


def _read_text(row: Any, position: int) -> str | None:
    value = row.getString(position)
    return None if value is None else str(value)


def _read_int(row: Any, position: int) -> int | None:
    value = int(row.getLong(position))
    return None if value == 0 and row.wasNull() else value


def _read_float(row: Any, position: int) -> float | None:
    value = float(row.getDouble(position))
    return None if value == 0 and row.wasNull() else value


def _read_bool(row: Any, position: int) -> bool | None:
    value = bool(row.getBoolean(position))
    return None if not value and row.wasNull() else value


def _read_single(row: Any, position: int) -> float | None:
    value = row.getBigDecimal(position)
    return None if value is None else float(value.doubleValue())


def _read_decimal(row: Any, position: int) -> Decimal | None:
    value = row.getBigDecimal(position)
    return None if value is None else Decimal(str(value.toPlainString()))


def _read_datetime(row: Any, position: int) -> dt.datetime | None:
    value = row.getTimestamp(position)
    if value is None:
        return None
    return wall_clock_of(value)


def wall_clock_of(value: Any) -> dt.datetime:
    """Return what a java.sql.Timestamp shows on the clock and the calendar."""
    milliseconds = int(value.getTime())
    if milliseconds >= GREGORIAN_MS:
        return EPOCH + dt.timedelta(milliseconds=milliseconds)
    return dt.datetime.fromisoformat(str(value.toLocalDateTime()))


def _read_blob(row: Any, position: int) -> bytes | None:
    value = row.getBlob(position)
    if value is None:
        return None
    # Read as bytes, an OLE column gives the driver's own key, not the content.
    return bytes(value.getBinaryStream().readAllBytes())


def _read_bytes(row: Any, position: int) -> bytes | None:
    value = row.getBytes(position)
    return None if value is None else bytes(value)


def _read_other(row: Any, position: int) -> str | None:
    value = row.getObject(position)
    return None if value is None else str(value)


_READERS: dict[int, Reader] = {
    **dict.fromkeys((CHAR, VARCHAR, LONGVARCHAR, CLOB), _read_text),
    **dict.fromkeys((TINYINT, SMALLINT, INTEGER, BIGINT), _read_int),
    **dict.fromkeys((FLOAT, REAL, DOUBLE), _read_float),
    **dict.fromkeys((BIT, BOOLEAN), _read_bool),
    **dict.fromkeys((BINARY, VARBINARY, LONGVARBINARY), _read_bytes),
    BLOB: _read_blob,
    **dict.fromkeys((DATE, TIMESTAMP), _read_datetime),
}


def described(
    columns: Any, names_of: Callable[[str], Mapping[str, str]]
) -> tuple[tuple[Description, ...], tuple[Reader, ...]]:
    """Return, for the metadata of a result, what PEP 249 says of its columns, and their readers.

    `names_of` gives the names of a table's columns in the file, by those in the mirror: the driver
    itself asks the mirror for each column by a statement of its own.
    """
    plain, aliases = (jvm.private_field(columns, name) for name in ("wrapped", "aliases"))
    description: list[Description] = []
    readers = []
    for position in range(1, int(plain.getColumnCount()) + 1):
        kind = int(plain.getColumnType(position))
        precision, scale = int(plain.getPrecision(position)), int(plain.getScale(position))
        nullable = int(plain.isNullable(position)) != 0
        label = plain.getColumnLabel(position)
        name = names_of(str(plain.getTableName(position))).get(str(label))
        if name is None or aliases.containsKey(label):
            name = str(columns.getColumnLabel(position))
        description.append((name, kind, None, None, precision, scale, nullable))
        readers.append(reader(kind, scale))
    return tuple(description), tuple(readers)

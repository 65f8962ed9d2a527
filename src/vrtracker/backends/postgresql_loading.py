"""Many rows into a table of PostgreSQL: one COPY, which goes on while the rows are read."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg import DataError
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, Table

_TYPES = """
SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
"""
# Types whose values go as bytes; others go as text, as they do in a statement. Not int2: psycopg
# (3.3) cuts a number that is too large for it. For int4 it does too, but what comes has 32 bits,
# or was looked at (`Health.misfits`).
_PLAIN = {
    *("bool", "bytea", "date", "float8", "int4", "int8"),
    *("numeric", "text", "time", "timestamp", "varchar"),
}
# What others refer to stays, and so does the primary key.
_KEYS = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname,
              pg_get_constraintdef(own.oid))
FROM pg_constraint AS own JOIN pg_class ON pg_class.oid = conrelid
WHERE conrelid = to_regclass(quote_ident(%s)) AND pg_has_role(relowner, 'USAGE')
AND (contype = 'f' OR contype = 'u' AND NOT EXISTS (
    SELECT FROM pg_constraint AS other WHERE other.contype = 'f' AND other.conindid = own.conindid))
ORDER BY contype
"""
_INDEXES = """
SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE indrelid = to_regclass(quote_ident(%s)) AND pg_has_role(relowner, 'USAGE')
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


@contextlib.contextmanager
def loading(
    connection: Connection, table: Table, *, many: bool
) -> Iterator[Callable[[Sequence[Sequence[Any]]], None]]:
    """Give what takes rows; that all fitted is known at the end of the block.

    `many`: the table is empty and will not be small: what it promises is looked at once, at the
    end.
    """
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, _bare(cursor, table.name, many=many):
        found = dict(cursor.execute(_TYPES, [table.name]).fetchall())
        types = [found.get(name) for name in table.c.keys()]  # noqa: SIM118
        binary = _PLAIN.issuperset(types)
        columns = SQL(", ").join(map(Identifier, table.c.keys()))
        way = SQL("COPY {} ({}) FROM STDIN" + " (FORMAT BINARY)" * binary)
        with cursor.copy(way.format(Identifier(table.name), columns)) as copy:
            if binary:
                copy.set_types(types)

            def load(rows: Sequence[Sequence[Any]]) -> None:
                try:
                    for row in rows:
                        copy.write_row(row)
                except (TypeError, ValueError, OverflowError) as error:
                    raise DataError(f"{table.name}: {error}") from error
                _hand_over(driver.pgconn)

            yield load


@contextlib.contextmanager
def _bare(cursor: Any, table: str, *, many: bool) -> Iterator[None]:
    """Take indexes and keys off a table, and put them on again at once: it costs a fraction."""
    found = [
        pair
        for query in (_KEYS, _INDEXES)
        for pair in (cursor.execute(query, [table]).fetchall() if many else ())
    ]
    for drop, _ in found:
        cursor.execute(drop)
    yield
    for _, make in reversed(found):
        cursor.execute(make)


def _hand_over(connection: Any) -> None:
    """Wait until libpq has sent what it holds, which else grows while the server is slower."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while connection.flush():
            if any(events & selectors.EVENT_READ for _, events in waiting.select()):
                connection.consume_input()

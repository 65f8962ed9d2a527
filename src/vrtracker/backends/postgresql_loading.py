"""Many rows into a table of PostgreSQL: one COPY, which goes on while the rows are read."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, Table

__all__ = ["loading"]

_COPY = SQL("COPY {} ({}) FROM STDIN")


@contextlib.contextmanager
def loading(
    connection: Connection, table: Table
) -> Iterator[Callable[[Sequence[Sequence[Any]]], None]]:
    """Give what takes rows; that all fitted is known at the end of the block."""
    columns = SQL(", ").join(map(Identifier, table.c.keys()))
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(_COPY.format(Identifier(table.name), columns)) as copy,
    ):

        def load(rows: Sequence[Sequence[Any]]) -> None:
            for row in rows:
                copy.write_row(row)
            _hand_over(driver.pgconn)

        yield load


def _hand_over(connection: Any) -> None:
    """Wait until libpq has sent what it holds, which else grows while the server is slower."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while connection.flush():
            if any(events & selectors.EVENT_READ for _, events in waiting.select()):
                connection.consume_input()

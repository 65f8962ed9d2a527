"""What a transaction is about to write to the file, put together so that it takes few passes.

UCanAccess looks for the rows of each UPDATE and DELETE from the first row of the table on: a
thousand statements on a thousand rows would read a million. Statements that follow each other,
on rows in the order of the table's number, can share one pass, and nothing is written in another
order than without it.
"""

from __future__ import annotations

import itertools
from typing import Any

from vrtracker.backends.access import jvm


def share_passes(connection: Any) -> None:
    """Let the uncommitted changes of a UCanAccess connection share passes over their tables."""
    commands = jvm.private_field(connection, "commands")
    composite = jvm.java("net.ucanaccess.commands.CompositeCommand")
    if sum(isinstance(command, composite) for command in commands) < 2:  # noqa: PLR2004
        return
    keys = _Keys(connection.getDbIO())
    kept = jvm.java("java.util.ArrayList")()
    table, last = None, 0
    for command in commands:
        changes = command.getComposite() if isinstance(command, composite) else []
        name = str(command.getTableName()) if changes else None
        numbers = keys.numbers(name, changes) if name is not None else []
        if numbers and table == name and last < numbers[0]:
            kept.get(kept.size() - 1).getComposite().addAll(changes)
        else:
            kept.add(command)
        table, last = (name, numbers[-1]) if numbers else (None, 0)
    commands.clear()
    commands.addAll(kept)


class _Keys:
    """The column by whose numbers UCanAccess goes through each table."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._columns: dict[str, str | None] = {}

    def numbers(self, table: str, changes: Any) -> list[int]:
        """Return the number of each row that is changed, if they ascend; nothing otherwise."""
        if table not in self._columns:
            self._columns[table] = self._column(table)
        column = self._columns[table]
        if column is None:
            return []
        numbers = [int(change.getRowPattern().get(column)) for change in changes]
        ascend = all(one < other for one, other in itertools.pairwise(numbers))
        return numbers if ascend else []

    def _column(self, table: str) -> str | None:
        found = self._file.getTable(table)
        for index in [] if found is None else found.getIndexes():
            if index.isPrimaryKey():
                columns = [column.getColumn() for column in index.getColumns()]
                is_number = len(columns) == 1 and str(columns[0].getType().name()) == "LONG"
                return str(columns[0].getName()) if is_number else None
        return None

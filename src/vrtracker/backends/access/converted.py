"""Preparing statements, with what UCanAccess makes of their text kept from the first time on.

UCanAccess turns the SQL of Access into that of HSQLDB by some dozens of regular expressions over
the whole text: some ten times what HSQLDB takes to prepare the result. It does so for each
statement of each connection; here it does so once a process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vrtracker.backends.access import jvm

_MOST_KEPT = 1000

_kept: dict[tuple[str, int], Any] = {}


def prepare(connection: Any, operation: str, *options: int) -> Any:
    """Return what ``prepareStatement`` of a UCanAccess connection returns.

    `operation`: anything but a schema statement.
    """
    if "@@" in operation:
        # The driver puts the value in its place when it prepares the statement.
        return connection.prepareStatement(operation, *options)
    # As preparing does: after a transaction the driver looks whether its mirror is another one.
    connection.createStatement().close()
    converted = _converted(connection, operation)
    hidden = connection.getHSQLDBConnection().prepareStatement(converted.getSql(), *options)
    return jvm.java("net.ucanaccess.jdbc.UcanaccessPreparedStatement")(
        converted, hidden, connection
    )


def _converted(connection: Any, operation: str) -> Any:
    # The names of tables that hold blanks are quoted, as far as the driver has met them.
    key = operation, int(_names_with_blanks().size())
    if key not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        converter = jvm.java("net.ucanaccess.converters.SQLConverter")
        _kept[key] = converter.convertSQL(operation, connection)
    return _kept[key]


@cache
def _names_with_blanks() -> Any:
    converter = jvm.java("net.ucanaccess.converters.SQLConverter")
    return jvm.private_static(converter, "WHITE_SPACED_TABLE_NAMES")

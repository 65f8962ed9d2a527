"""What a user is told of the errors of Microsoft's driver, as its messages are documented."""

from __future__ import annotations

import struct

import pytest
import sqlalchemy as sa

from vrtracker.backends.access.backend import AccessBackend
from vrtracker.backends.base import Violation
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    ReadOnlyError,
    SchemaError,
)

URL = sa.make_url("access+pyodbc:///C:/data/lab.accdb")
MANAGER = "[Microsoft][ODBC Driver Manager]"
DRIVER = "[Microsoft][ODBC Microsoft Access Driver]"
BITS = f"{8 * struct.calcsize('P')} bit"


class DriverError(Exception):
    """As pyodbc raises them: the SQLSTATE, then the text."""


EXPLAINED = {
    "no driver": (
        "IM002",
        f"[IM002] {MANAGER} Data source name not found and no default driver specified (0)",
        BackendError,
        f"install the Microsoft Access Database Engine 2016 Redistributable for {BITS}",
    ),
    "another bitness": (
        "IM014",
        (
            f"[IM014] {MANAGER} The specified DSN contains an architecture mismatch between the "
            "Driver and Application (0) (SQLDriverConnect)"
        ),
        BackendError,
        f"another kind than this Python.*{BITS}",
    ),
    "password": (
        "42000",
        f"[42000] {DRIVER} Not a valid password. (-1905) (SQLDriverConnect)",
        DatabaseUnavailableError,
        "give it in the URL",
    ),
    "open elsewhere": (
        "HY000",
        f"[HY000] {DRIVER} Could not use '(unknown)'; file already in use. (-1024)",
        DatabaseUnavailableError,
        "close it in Access",
    ),
    "design open": (
        "HY000",
        (
            f"[HY000] {DRIVER} The database has been placed in a state by user 'Admin' on machine "
            "'RIG' that prevents it from being opened or locked. (-1304)"
        ),
        DatabaseUnavailableError,
        "close it in Access.*'RIG'",
    ),
    "read-only": (
        "HY000",
        f"[HY000] {DRIVER} Operation must use an updateable query. (-3035) (SQLExecDirectW)",
        ReadOnlyError,
        "cannot be written",
    ),
    "unknown column": (
        "07002",
        f"[07002] {DRIVER} Too few parameters. Expected 1. (-3010) (SQLExecDirectW)",
        SchemaError,
        "vrtracker db check",
    ),
    "path": (
        "HY000",
        (
            f"[HY000] {DRIVER}General error Unable to open registry key Temporary "
            "(volatile) Ace DSN for process 0x1a2c"
        ),
        DatabaseUnavailableError,
        "check its path",
    ),
    "damaged": (
        "HY000",
        f"[HY000] {DRIVER} Unrecognized database format 'C:\\data\\lab.accdb'. (-1206)",
        DatabaseUnavailableError,
        "compact and repair",
    ),
}


@pytest.mark.parametrize(("state", "text", "kind", "told"), EXPLAINED.values(), ids=EXPLAINED)
def test_error_of_the_driver_is_explained_with_a_remedy(state, text, kind, told):
    explained = AccessBackend().explain(DriverError(state, text), URL)
    assert type(explained) is kind
    assert str(explained).startswith("C:/data/lab.accdb: ")
    with pytest.raises(kind, match=told):
        raise explained


def test_other_errors_of_the_driver_are_left_as_they_are():
    error = DriverError("42000", f"[42000] {DRIVER} Syntax error in FROM clause. (-3506)")
    assert AccessBackend().explain(error, URL) is None


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("they would create duplicate values in the index. (-1605)", Violation.UNIQUE),
        ("a related record is required in table 'mousedb'. (-1613)", Violation.FOREIGN_KEY),
        ("table 'sessiondb' includes related records. (-1612)", Violation.FOREIGN_KEY),
        ("cannot contain a Null value because the Required property. (-1053)", Violation.NOT_NULL),
    ],
)
def test_broken_promise_is_known_by_the_number_of_the_engine(text, violation):
    error = DriverError("23000", f"[23000] {DRIVER} {text} (SQLExecDirectW)")
    assert AccessBackend().violation(error) is violation

"""The dialect for Windows, on any machine: the published one, with ours on top.

`sqlalchemy-access` requires pywin32, which exists on Windows alone, and imports it at once.
Elsewhere it is installed without what it requires into a folder of the run, and two modules
stand in for what it imports while a test needs it.
"""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from support.missing import BackendMissingError

PUBLISHED = "sqlalchemy-access==2.0.3"
# Ours, what it builds on, and what that imports.
_MODULES = ("vrtracker.backends.access.odbc", "sqlalchemy_access", "pyodbc", "win32com")


def install_published(folder: Path) -> None:
    """Put the published dialect into a folder, unless it is installed.

    Raises
    ------
    BackendMissingError
        It cannot be had, as without a network.
    """
    if find_spec("sqlalchemy_access") is not None:
        return
    options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, PUBLISHED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        message = f"pip cannot install {PUBLISHED}: {last}"
        raise BackendMissingError(message)


@contextmanager
def windows_dialect(folder: Path) -> Iterator[type[Any]]:
    """Give our dialect for Windows; afterwards nothing of what it needed is left imported."""
    from vrtracker.backends.access.dialect import register

    with ExitStack() as undo:
        undo.enter_context(mock.patch.object(sys, "path", [*sys.path, str(folder)]))
        undo.callback(register)
        undo.callback(_forget, set(sys.modules))
        if sys.platform != "win32":
            sys.modules.update(_stand_ins())
        from vrtracker.backends.access.odbc import PyodbcDialect

        yield PyodbcDialect


def _stand_ins() -> dict[str, types.ModuleType]:
    pyodbc = types.ModuleType("pyodbc")
    vars(pyodbc).update(paramstyle="qmark", version="5.2.0", Error=Exception, SQL_WVARCHAR=-9)
    win32com, client = types.ModuleType("win32com"), types.ModuleType("win32com.client")
    vars(win32com).update(client=client)
    return {"pyodbc": pyodbc, "win32com": win32com, "win32com.client": client}


def _forget(kept: set[str]) -> None:
    for name in set(sys.modules) - kept:
        if any(name == module or name.startswith(f"{module}.") for module in _MODULES):
            del sys.modules[name]


# What ODBC and DAO answer on Windows.
_REFLECTION = (
    "has_table",
    "get_table_names",
    "get_columns",
    "get_pk_constraint",
    "get_foreign_keys",
    "get_indexes",
)


def windows_engine(path: Path | str) -> sa.Engine:
    """Return an engine that writes the SQL of Windows and runs it by UCanAccess, on a file."""
    from vrtracker.backends.access import ucanaccess
    from vrtracker.backends.access.dialect import UcanaccessDialect

    engine: Any = sa.create_engine(
        sa.URL.create("access+pyodbc", database=str(path)),
        module=ucanaccess,
        creator=lambda: ucanaccess.connect(path),
        poolclass=sa.NullPool,
    )
    answers = {name: vars(UcanaccessDialect)[name] for name in _REFLECTION}
    answers["supports_statement_cache"] = True
    answers["_get_server_version_info"] = lambda _dialect, _connection: None
    kind = type(engine.dialect)
    engine.dialect.__class__ = type(kind.__name__, (kind,), {**answers, "__module__": __name__})
    return engine

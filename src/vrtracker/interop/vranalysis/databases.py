"""The database of a name, as the class that its settings name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal, overload

from vrtracker.errors import ConfigurationError
from vrtracker.interop.vranalysis.base import BaseDatabase
from vrtracker.interop.vranalysis.metadata import metadata_of, settings_of
from vrtracker.interop.vranalysis.session_database import SessionDatabase
from vrtracker.settings import DatabaseSettings

_CLASSES: Mapping[str, type[BaseDatabase]] = {
    "sessiondb": SessionDatabase,
    "mousedb": BaseDatabase,
}


@overload
def get_database(db_name: Literal["vrSessions"]) -> SessionDatabase: ...
@overload
def get_database(db_name: str) -> BaseDatabase: ...
def get_database(db_name: str) -> BaseDatabase:
    """Return the database of this name, as its own class; connects on first use.

    Raises
    ------
    UnknownNameError, ConfigurationError
        As `get_database_metadata`.
    """
    database: BaseDatabase = get_database_metadata(db_name)["constructor"](db_name)
    return database


def get_database_metadata(db_name: str) -> dict[str, Any]:
    """Return what is known of a database by its name.

    Parameters
    ----------
    db_name
        ``vrSessions``, ``vrMice``, or a name declared under ``databases`` in the profile.

    Returns
    -------
    dict
        ``db_path`` (folder of the file, or the server's address), ``db_name``, ``db_ext``,
        ``table_name``, ``uid``, ``backup_path`` (None: not set), ``unique_fields`` (pairs of
        column and Python type), ``default_conditions`` and ``constructor``.

    Raises
    ------
    UnknownNameError
        If no database has this name.
    ConfigurationError
        If the settings name no database, or a constructor that cannot be loaded.
    """
    declared, settings = settings_of(db_name)
    return {**metadata_of(declared, settings), "constructor": _constructor(declared)}


def _constructor(declared: DatabaseSettings) -> type[BaseDatabase]:
    spec = declared.constructor
    if not spec:
        return _CLASSES[declared.table]
    module, _, name = spec.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"The constructor {spec!r} cannot be loaded ({error}); write module:Class."
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseDatabase)):
        raise ConfigurationError(f"{spec!r} is no subclass of BaseDatabase; make it one.")
    return found

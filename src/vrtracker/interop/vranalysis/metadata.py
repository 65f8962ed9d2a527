"""Which database a name means: path, table, key and filters, from the settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.backends import backend_for, parse_url, without_password
from vrtracker.errors import ConfigurationError, UnknownNameError
from vrtracker.settings import DatabaseSettings, Settings, load_settings

if TYPE_CHECKING:
    from sqlalchemy import URL

_BUILT_IN = {
    "vrSessions": DatabaseSettings(table="sessiondb"),
    "vrMice": DatabaseSettings(table="mousedb"),
}
_KEYS: Mapping[str, list[tuple[str, type]]] = {
    "sessiondb": [("mouseName", str), ("sessionDate", dt.datetime), ("sessionID", int)],
    "mousedb": [("mouseName", str)],
}
_UIDS = {"sessiondb": "uSessionID", "mousedb": "uMouseID"}
_DEFAULT_CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "sessiondb": {"sessionQC": True},
    "mousedb": {},
}


def metadata_of(declared: DatabaseSettings, settings: Settings) -> dict[str, Any]:
    """Return what is known of a database by what `settings_of` gives."""
    return {
        **_address(settings),
        "table_name": declared.table,
        "uid": _UIDS[declared.table],
        "backup_path": None if settings.backups is None else str(settings.backups),
        "unique_fields": declared.unique_fields or list(_KEYS[declared.table]),
        "default_conditions": dict(
            _DEFAULT_CONDITIONS[declared.table]
            if declared.default_conditions is None
            else declared.default_conditions
        ),
    }


def settings_of(db_name: str) -> tuple[DatabaseSettings, Settings]:
    """Return what is declared of a database, and the settings of its profile, for good.

    Their paths are absolute: the program may change its folder before they are used.
    """
    settings = load_settings()
    known = {**_BUILT_IN, **settings.databases}
    if db_name not in known:
        raise UnknownNameError("database", db_name, known)
    declared = known[db_name]
    return declared, _anchored(load_settings(declared.profile) if declared.profile else settings)


def _anchored(settings: Settings) -> Settings:
    paths: dict[str, Any] = {
        name: path.expanduser().absolute()
        for name, path in (("root", settings.root), ("backups", settings.backups))
        if path is not None
    }
    url_of(settings)  # Says so where there is none.
    url = parse_url(settings.database)
    if backend_for(url).file(url) is not None:
        is_path = "://" not in settings.database
        paths["url"] = url.database if is_path else url.render_as_string(hide_password=False)
    return replace(settings, **paths)


def url_of(settings: Settings) -> URL:
    """Return the address of the database, without its password."""
    if settings.url is None:
        raise ConfigurationError(
            "No database is named; set VRTRACKER_URL, or url in the default profile."
        )
    return without_password(parse_url(settings.url))


def _address(settings: Settings) -> dict[str, str]:
    url = url_of(settings)
    file = backend_for(url).file(url)
    if file is None:
        server = url.set(database=None, query={}).render_as_string()
        return {"db_path": server, "db_name": url.database or "", "db_ext": ""}
    return {"db_path": str(file.parent), "db_name": file.stem, "db_ext": file.suffix}


def file_of(metadata: Mapping[str, Any]) -> Path:
    """Return the file of a database.

    Raises ConfigurationError if it is on a server.
    """
    if "://" in metadata["db_path"]:
        raise ConfigurationError(
            f"The database is on the server {metadata['db_path']}, not in a file; "
            "save_backup() writes one."
        )
    return Path(metadata["db_path"], f"{metadata['db_name']}{metadata['db_ext']}")

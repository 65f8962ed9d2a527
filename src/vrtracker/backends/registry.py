"""From what a user types to a URL, and from a URL to its backend."""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from vrtracker.backends.base import Backend
from vrtracker.errors import ConfigurationError
from vrtracker.spelling import did_you_mean

BACKENDS = {
    "sqlite": ("vrtracker.backends.sqlite", "SQLiteBackend"),
    "postgresql": ("vrtracker.backends.postgresql", "PostgreSQLBackend"),
    "access": ("vrtracker.backends.access.backend", "AccessBackend"),
}
"""Module and class of each; a process needs one of them, as a rule."""
_ACCESS_SUFFIXES = (".accdb", ".mdb")
_SQLITE_SUFFIXES = {".db", ".db3"}
"""Those that are spelled like one of Access."""


def parse_url(target: str | os.PathLike[str] | URL) -> URL:
    """Return the SQLAlchemy URL that a path or URL names, with the driver that we use.

    Raises ConfigurationError if it is no URL of a database that vrtracker works with.
    """
    if isinstance(target, URL):
        return _with_driver(target)
    text = os.fspath(target)
    if "://" not in text:
        return _of_path(text)
    try:
        return _with_driver(make_url(text))
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            f"{_masked(text)} is not a database URL; write postgresql://user@host/database, "
            "or the path of a file such as lab.db."
        ) from error


def without_password(url: URL) -> URL:
    """Return the URL as it may be shown, logged and sent to another process."""
    return url._replace(password=None).difference_update_query(["password"])


def backend_for(url: URL) -> Backend:
    """Return the backend of a URL."""
    name = url.get_backend_name()
    if name not in BACKENDS:
        raise ConfigurationError(
            f"vrtracker does not work with {name!r} databases; use one of {', '.join(BACKENDS)}."
        )
    module, kind = BACKENDS[name]
    backend: Backend = getattr(importlib.import_module(module), kind)()
    return backend


def _of_path(text: str) -> URL:
    if not text.strip():
        raise ConfigurationError("The database's path is empty; give a file such as lab.db.")
    path = _expanded(text)
    if path.suffix.lower() in _ACCESS_SUFFIXES:
        return _with_driver(URL.create("access", database=str(path)))
    meant = get_close_matches(path.suffix.lower(), _ACCESS_SUFFIXES, n=1, cutoff=0.7)
    if meant and path.suffix.lower() not in _SQLITE_SUFFIXES and not path.exists():
        raise ConfigurationError(
            f"There is no file {text}, and no kind of database whose names end in {path.suffix}."
            f"{did_you_mean([str(path.with_suffix(meant[0]))])} A SQLite file ends in .db."
        )
    return URL.create("sqlite", database=str(path.absolute()))


def _expanded(text: str) -> Path:
    """Put a home directory in the place of `~/` and `~user/`; a file's own name may begin so."""
    path = Path(text)
    if not text.startswith("~") or (len(path.parts) == 1 and text != "~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"No user has the name in {text}; if it is a folder's own name, give ./{text}"
        ) from error


def _with_driver(url: URL) -> URL:
    backend_for(url).register()
    if url.drivername in {"postgresql", "postgresql+psycopg2"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "access":
        return _of_access(url)
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            "A database in memory is gone when the program ends; give the path of a file."
        )
    if url.get_backend_name() == "sqlite":
        # The file stays the same one when the program changes its folder.
        return url.set(database=str(_expanded(url.database or "").absolute()))
    return url


def _of_access(url: URL) -> URL:
    driver = "pyodbc" if sys.platform == "win32" else "ucanaccess"
    url = url if "+" in url.drivername else url.set(drivername=f"access+{driver}")
    if not url.database or (url.drivername == "access+pyodbc" and sys.platform != "win32"):
        # A path of Windows means nothing here.
        return url
    path = _expanded(url.database)
    # Two names of one file would have two mirrors and two locks; a link would be replaced.
    try:
        return url.set(database=str(path.resolve()))
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"{url.database!r} is not the path of a file ({error}); correct it."
        ) from error


def _masked(text: str) -> str:
    scheme, _, rest = text.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else text

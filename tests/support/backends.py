"""The databases that the contract suite runs on.

A `Source` lives as long as the run and knows how to make databases of one kind; a `Backend`
lives as long as a test and drops what the test made. A further backend is one more subclass of
`Source` and one more line in `SOURCES`.
"""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.missing import CHROMIUM, BackendMissingError, give_up, required_backends
from support.postgres import EXTERNAL_VARIABLE, PostgresServer, external_server, start_server
from support.recorded_statements import RecordedStatements
from support.templates import Make, Templates, migrate


class Source(ABC):
    """Makes databases of one kind; `survives_fork` says whether a forked child can use them."""

    survives_fork = True

    @abstractmethod
    def new(self, folder: Path, name: str) -> str:
        """Return the URL of a database without tables; a file may come to be on first use."""

    @abstractmethod
    def copied(self, folder: Path, name: str, make: Make) -> str:
        """Return the URL of a copy of the database that `make` makes, once in a run."""

    def migrated(self, folder: Path, name: str) -> str:
        """Return the URL of a database of its own with the newest schema and no rows."""
        return self.copied(folder, name, migrate)

    @abstractmethod
    def drop(self, folder: Path, name: str) -> None:
        """Remove the database that `new` or `copied` made under this name."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the run held."""


class SqliteSource(Source):
    """Files; one that is copied is made once."""

    def __init__(self, run_folder: Path) -> None:
        self._templates = Templates(run_folder, ".db", self._fill)

    @staticmethod
    def _fill(make: Make, path: Path) -> None:
        """Bring also what stands in the write-ahead log into the file, which alone is copied."""
        make(f"sqlite:///{path}")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"{name}.db"

    def new(self, folder: Path, name: str) -> str:
        return f"sqlite:///{self._file(folder, name)}"

    def copied(self, folder: Path, name: str, make: Make) -> str:
        shutil.copyfile(self._templates.get(make), self._file(folder, name))
        return self.new(folder, name)

    def drop(self, folder: Path, name: str) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            file = self._file(folder, name)
            file.with_name(file.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held; the copied files go with the run's folder."""


class AccessSource(Source):
    """Files; one that is copied is made once.

    Elsewhere than on Windows they are opened through Java, which no fork survives, and what is
    sent is recorded.
    """

    survives_fork = False

    def __init__(self, run_folder: Path) -> None:
        self._templates = Templates(run_folder, ".accdb", lambda make, path: make(str(path)))
        self.recorded_statements = RecordedStatements()
        if sys.platform == "win32":
            _require_odbc()
            self._driver = "pyodbc"
        else:
            _start_java()
            self._driver = "ucanaccess"
            self.recorded_statements.start()

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"{name}.accdb"

    def new(self, folder: Path, name: str) -> str:
        return f"{self._url(folder, name)}?create=true"

    def _url(self, folder: Path, name: str) -> str:
        return f"access+{self._driver}:///{self._file(folder, name).as_posix()}"

    def copied(self, folder: Path, name: str, make: Make) -> str:
        shutil.copyfile(self._templates.get(make), self._file(folder, name))
        return self._url(folder, name)

    def drop(self, folder: Path, name: str) -> None:
        for file in folder.glob(f"{name}*.accdb*"):
            file.unlink()

    def close(self) -> None:
        self.recorded_statements.stop()


def _require_odbc() -> None:
    try:
        from vrtracker.backends.access.odbc import DRIVER, PyodbcDialect
    except ImportError as error:
        message = f"{error}; install the extra 'access'"
        raise BackendMissingError(message) from error
    if DRIVER not in PyodbcDialect.import_dbapi().drivers():
        message = f"the driver {DRIVER} is not installed, or for another kind of Python"
        raise BackendMissingError(message)


def _start_java() -> None:
    from vrtracker.backends.access import jvm
    from vrtracker.backends.access.dialect import register
    from vrtracker.errors import VrtrackerError

    register()
    try:
        jvm.start()
    except VrtrackerError as error:
        raise BackendMissingError(str(error)) from error


class PostgresSource(Source):
    """Databases of one server; one that is copied is made once and serves as template."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._templates: dict[Make, str] = {}

    def new(self, folder: Path, name: str) -> str:
        self.server.create_database(name)
        return self.server.url(name)

    def copied(self, folder: Path, name: str, make: Make) -> str:
        self.server.create_database(name, template=self._template(make))
        return self.server.url(name)

    def _template(self, make: Make) -> str:
        if make not in self._templates:
            template = f"vrt_template_{uuid.uuid4().hex[:12]}"
            begins_with = getattr(make, "begins_with", None)
            before = None if begins_with is None else self._template(begins_with)
            self.server.create_database(template, template=before)
            self._templates[make] = template
            make(self.server.url(template))
        return self._templates[make]

    def drop(self, folder: Path, name: str) -> None:
        self.server.drop_database(name)

    def close(self) -> None:
        try:
            for template in self._templates.values():
                self.server.drop_database(template)
        finally:
            self.server.close()


def _own_postgres(_run_folder: Path, *, version: int) -> Source:
    return PostgresSource(start_server(version))


def _external_postgres(_run_folder: Path) -> Source:
    server = external_server()
    if server is None:
        message = f"{EXTERNAL_VARIABLE} is not set"
        raise BackendMissingError(message)
    return PostgresSource(server)


def _sources() -> dict[str, Callable[[Path], Source]]:
    if os.environ.get(EXTERNAL_VARIABLE):
        return {
            "sqlite": SqliteSource,
            "postgresql": _external_postgres,
            "access": AccessSource,
        }
    return {
        "sqlite": SqliteSource,
        "postgresql16": functools.partial(_own_postgres, version=16),
        "postgresql18": functools.partial(_own_postgres, version=18),
        "access": AccessSource,
    }


SOURCES = _sources()
POSTGRES_NAMES = tuple(name for name in SOURCES if name.startswith("postgresql"))


def marker(backend_name: str) -> str:
    """Return the marker of a backend: its name without the version."""
    return backend_name.rstrip("0123456789")


# One of each kind; which version of a server it is makes no difference to copies.
# The file that is made soonest comes first.
KINDS = [*{marker(name): name for name in reversed(SOURCES)}.values()][::-1]
OTHERS = [pytest.param(name, marks=getattr(pytest.mark, marker(name))) for name in KINDS]
each_kind = pytest.mark.parametrize("backend", KINDS, indirect=True)


def each_source(test: Any) -> Any:
    """Run on all kinds what rests with one side: from SQLite to all kinds, and once from others."""
    return pytest.mark.own_rule(each_kind(test))


def unknown_required() -> list[str]:
    """Return the names in the environment's list of required backends that do not exist."""
    return sorted(required_backends() - {*SOURCES, CHROMIUM})


class Sources:
    """The sources of this run, each started when a test first asks for it."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._started: dict[str, Source] = {}
        self._missing: dict[str, str] = {}

    def get(self, name: str) -> Any:
        """Return a source; skip the test where it cannot run, or fail it where it must."""
        if name not in self._started and name not in self._missing:
            try:
                self._started[name] = SOURCES[name](self._run_folder)
            except BackendMissingError as error:
                self._missing[name] = str(error)
        if name in self._missing:
            required = name in required_backends()
            give_up(f"backend {name}", self._missing[name], required=required)
        return self._started[name]

    def close(self) -> None:
        """Give back what the sources hold."""
        for source in self._started.values():
            source.close()
        self._started.clear()


class Backend:
    """The databases of one test.

    `name` is the backend's, with its version: sqlite, postgresql16, postgresql18, access.
    """

    def __init__(self, name: str, source: Source, folder: Path) -> None:
        self.name = name
        self.source = source
        self._folder = folder
        self._made: list[str] = []

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"

    @property
    def marker(self) -> str:
        """The kind of database without a version."""
        return marker(self.name)

    @property
    def survives_fork(self) -> bool:
        """Whether a process that has used the database can be forked."""
        return self.source.survives_fork

    def new_url(self) -> str:
        """Return the URL of a database without tables; a file does not exist yet."""
        return self.source.new(self._folder, self._name())

    def migrated_url(self) -> str:
        """Return the URL of another database with the newest schema and no rows."""
        return self.source.migrated(self._folder, self._name())

    def copied_url(self, make: Make) -> str:
        """Return the URL of a copy of the database that `make` makes, once in a run."""
        return self.source.copied(self._folder, self._name(), make)

    def _name(self) -> str:
        name = f"vrt_{uuid.uuid4().hex[:12]}"
        self._made.append(name)
        return name

    def close(self) -> None:
        """Drop every database that the test made."""
        for name in self._made:
            self.source.drop(self._folder, name)
        self._made.clear()

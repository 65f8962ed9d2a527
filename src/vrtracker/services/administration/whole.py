"""The database as a whole: its engines, its life, its tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, Table, inspect

from vrtracker import clock
from vrtracker.backends import Backend
from vrtracker.database import Database, Tables
from vrtracker.database.versions import HEAD, current_revision, require_current
from vrtracker.display import Facts, Shown
from vrtracker.domain.roles import Role
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    NotEmptyError,
    SchemaOutOfDateError,
    UnknownNameError,
)
from vrtracker.models import Base
from vrtracker.services.administration.backups import copy_before
from vrtracker.services.administration.roles import RoleService, keeping_roles
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    from vrtracker.database.description import TableFacts


class LabDatabase(Shown):
    """The database of a lab, for what concerns all of it, and for what goes past the services.

    It opens connections when they are needed, in a forked or spawned process its own, and can be
    sent to another process; a password in the URL stays behind. What drops anything takes an admin
    and the database's name, and keeps a copy first, as an upgrade does.

    Attributes
    ----------
    handle : Database
        What the services work with: prepared statements, transactions, errors.
    """

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self.handle = lab.database

    def __str__(self) -> str:
        return str(self.handle)

    def __repr__(self) -> str:
        return f"LabDatabase({str(self)!r})"

    def facts(self) -> Facts:
        """Return what it is, without asking it."""
        rows = [("kind", self.backend.name), ("name", self.name), ("may write", not self.readonly)]
        return Facts(str(self), rows)

    # -- engines ---------------------------------------------------------------------------

    @property
    def url(self) -> URL:
        """The address; it may hold a password, which `str` leaves out."""
        return self.handle.url

    @property
    def name(self) -> str:
        """Its name in its folder or on its server, which is asked for before it is dropped."""
        return self.backend.care.name(self.url)

    @property
    def readonly(self) -> bool:
        """Whether it was opened to be read alone."""
        return self.handle.readonly

    @property
    def backend(self) -> Backend:
        """The kind of database."""
        return self.handle.backend

    @property
    def read_engine(self) -> Engine:
        """The engine that the database itself holds to reading."""
        return self.handle.read_engine

    @property
    def write_engine(self) -> Engine:
        """The engine that can write; ReadOnlyError if it was opened to be read alone."""
        return self.handle.write_engine

    @property
    def tables(self) -> Tables:
        """The tracker's tables, with the columns that the lab has added."""
        return self.handle.tables

    def connect(self, *, readonly: bool = True) -> AbstractContextManager[Connection]:
        """Open a connection for a block, whose transaction is rolled back unless it commits.

        With ``readonly=False`` it may write.

        Raises
        ------
        ReadOnlyError
            As the database's own refusal, if the block writes though it is to read.
        """
        return self.handle.connect(readonly=readonly)

    def dispose(self) -> None:
        """Close every connection; the next use opens new ones. `vrtracker.dispose_all`: all."""
        self.handle.dispose()

    # -- life ------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Return whether it is there; of one on a server, the server is asked."""
        if self.backend.file(self.url) is not None:
            return self.backend.exists(self.url)
        return self.name in self.list_databases()

    def list_databases(self) -> list[str]:
        """Return the names of the databases beside it: in its folder, or on its server."""
        with self.handle.translating():
            return self.backend.care.databases(self.url)

    def create(self) -> str:
        """Make it, with its tables; return the revision.

        Raises
        ------
        NotEmptyError
            If it is there already.
        """
        from vrtracker.database.migration import upgrade

        if self.exists():
            raise NotEmptyError(self.handle, ["a database of this name"])
        with self.handle.translating():
            self.backend.care.create(self.url)
        return upgrade(self.url)

    def drop(self, name: str) -> Path | None:
        """Remove it with all that is in it; return the copy that was kept.

        Parameters
        ----------
        name
            Its name, so that it is not another one.

        Raises
        ------
        InvalidValueError
            If it has another name.
        RoleError
            If one is no admin.
        BackendError
            If somebody uses it, or no copy can be made.
        """
        copy = self._before("drop", name)
        self.dispose()
        with self.handle.translating():
            self.backend.care.drop(self.url)
        return copy

    def reset(self, name: str) -> Path | None:
        """Drop all tables, the lab's own too, and make the tracker's anew; as `drop`."""
        from vrtracker.database.remaking import remake

        copy = self._before("reset", name)
        with keeping_roles(self.handle):
            remake(self.handle)
        return copy

    def _before(self, verb: str, name: str) -> Path | None:
        """Refuse a wrong name and who is no admin, and keep a copy."""
        self._writable(name)
        if not self._lab.safety_copies:
            return None
        return copy_before(self.handle, verb, folder=self._lab.backups, at=clock.now())

    def _writable(self, name: str | None = None) -> Database:
        if name not in {None, self.name}:
            raise InvalidValueError(
                f"{self} is called {self.name!r}, not {name!r}; nothing was dropped."
            )
        self.handle.require_writable()
        self.backend.check_target(self.url)
        self._lab.require(Role.ADMIN)
        return self.handle

    # -- schema ----------------------------------------------------------------------------

    def is_update_required(self) -> bool:
        """Return whether the schema is older than this version's; reads only.

        Raises
        ------
        SchemaTooNewError, ForeignSchemaError
            If no update would help; the message says what does.
        """
        try:
            require_current(self.handle)
        except SchemaOutOfDateError:
            return True
        return False

    def perform_updates(self, *, backup: bool = True, sql: bool = False) -> list[str]:
        """Bring the schema to the newest revision; return what was kept, or would be run.

        Who comes while another one is at it waits, and finds it done.

        Parameters
        ----------
        backup
            Keep a copy first.
        sql
            Return the statements alone: they are run and undone.

        Returns
        -------
        list of str
            The statements, or the path of the copy, if there is one.
        """
        from vrtracker.database import migration

        if sql:
            return migration.upgrade_sql(self._writable().url)
        return self._migrated(HEAD, migration.upgrade, backup=backup)

    def downgrade(self, revision: str, *, backup: bool = True) -> list[str]:
        """Take the schema back to an earlier revision; what later ones added is lost.

        With `backup` a copy is kept first, whose path is returned.
        """
        from vrtracker.database import migration

        return self._migrated(migration.target_of(revision), migration.downgrade, backup=backup)

    def _migrated(self, revision: str, verb: Any, *, backup: bool) -> list[str]:
        if current_revision(self._writable()) == revision:
            return []
        folder, kept = self._lab.backups, None
        if backup:
            kept = copy_before(self.handle, "migration", folder=folder, at=clock.now())
        self.dispose()
        verb(self.url, revision)
        return [] if kept is None else [str(kept)]

    # -- credentials -----------------------------------------------------------------------

    def remember_password(self, password: str | None) -> None:
        """Keep the password for this user, server and database in the system's keyring.

        Parameters
        ----------
        password
            None to forget it.

        Raises
        ------
        MissingDependencyError
            If the extra ``keyring`` is not installed.
        ConfigurationError
            If the system has no keyring, or it is a file, which has no password.
        """
        from vrtracker.backends.secrets import remember

        if self.backend.file(self.url) is not None:
            raise ConfigurationError(f"{self} is a file; there is no password to keep.")
        remember(self.url, password)
        self.dispose()

    # -- tables ----------------------------------------------------------------------------

    def table_names(self) -> list[str]:
        """Return the names of all tables there, the lab's own and Alembic's too."""
        with self.handle.translating():
            return sorted(inspect(self.read_engine).get_table_names())

    def orm_tables(self) -> dict[str, type[Any]]:
        """Return the models, by the names of their tables."""
        return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}

    def metadata_tables(self) -> list[Table]:
        """Return the tracker's tables, those that others refer to before them."""
        return self.tables.sessions.metadata.sorted_tables

    def schema_description(self) -> list[TableFacts]:
        """Return tables, columns, types, units and comments as data."""
        from vrtracker.database.description import schema_description

        return schema_description(self.handle)

    def create_tables(self, names: Sequence[str] | None = None) -> list[str]:
        """Make those of the tracker's tables that are missing, all or these; return which.

        Raises
        ------
        UnknownNameError
            If one is no table of the tracker's.
        SchemaError
            If the database is not at the newest revision.
        """
        from vrtracker.database.remaking import create_tables

        return create_tables(self._writable(), names)

    def drop_tables(self, names: Sequence[str], *, name: str) -> list[str]:
        """Drop tables with all their rows, the lab's own too; return which.

        Parameters
        ----------
        name
            The database's name, as for `drop`.

        Raises
        ------
        UnknownNameError
            If there is no such table.
        InvalidValueError
            If a table that stays refers to one of them.
        """
        from vrtracker.database.remaking import drop_tables

        self._before("drop", name)
        return drop_tables(self.handle, names)

    def vacuum(self, tables: Sequence[str] = ()) -> None:
        """Give back the room that changed and deleted rows have left, of all tables or these.

        Raises
        ------
        BackendError
            On Access, which compacts its files itself; or if somebody keeps it from it.
        """
        self._tidy(self.backend.care.vacuum, tables)

    def analyze(self, tables: Sequence[str] = ()) -> None:
        """Have the database count its rows, to plan by, of all tables or these."""
        self._tidy(self.backend.care.analyze, tables)

    def _tidy(self, verb: Any, tables: Sequence[str]) -> None:
        database = self._writable()
        there = self.table_names()
        for table in tables:
            if table not in there:
                raise UnknownNameError("table", table, there)
        with database.translating():
            verb(self.url, list(tables))

    def readers(self) -> list[dict[str, Any]]:
        """Return who may read it: ``name, role, is_you``; see `Tracker.roles`.

        Of a file they are those of the profile; the system's permissions count besides.
        """
        return RoleService(self._lab).roles.records()

"""The engines and tables of a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, Table, inspect

from vrtracker import clock
from vrtracker.backends import Backend
from vrtracker.database import Database, Tables
from vrtracker.display import Facts, Shown
from vrtracker.domain.roles import Role
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models import Base
from vrtracker.services.administration.backups import copy_before
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    from vrtracker.database.description import TableFacts


class DatabaseTables(Shown):
    """The part of `LabDatabase` that has its engines and its tables."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self.handle = lab.database

    def __str__(self) -> str:
        return str(self.handle)

    def __repr__(self) -> str:
        return f"LabDatabase({str(self)!r})"

    def facts(self) -> Facts:
        """Return what it is, without asking it.

        Examples
        --------
        >>> tracker.database.facts().rows
        [('kind', 'sqlite'), ('name', 'lab.db'), ('may write', True)]
        """
        rows = [("kind", self.backend.name), ("name", self.name), ("may write", not self.readonly)]
        return Facts(str(self), rows)

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

        Examples
        --------
        >>> with tracker.database.connect() as connection:
        ...     connection.exec_driver_sql("SELECT count(*) FROM sessiondb").scalar()
        12
        """
        return self.handle.connect(readonly=readonly)

    def dispose(self) -> None:
        """Close every connection; the next use opens new ones. `vrtracker.dispose_all`: all.

        Examples
        --------
        >>> tracker.database.dispose()
        >>> tracker.sessions.count()  # opens a new one
        12
        """
        self.handle.dispose()

    def table_names(self) -> list[str]:
        """Return the names of all tables there, the lab's own and Alembic's too.

        Examples
        --------
        >>> tracker.database.table_names()[:3]
        ['alembic_version', 'mousedb', 'sessiondb']
        """
        with self.handle.translating():
            return sorted(inspect(self.read_engine).get_table_names())

    def orm_tables(self) -> dict[str, type[Any]]:
        """Return the models, by the names of their tables.

        Examples
        --------
        >>> tracker.database.orm_tables()["sessiondb"].__name__
        'Session'
        """
        return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}

    def metadata_tables(self) -> list[Table]:
        """Return the tracker's tables, those that others refer to before them.

        Examples
        --------
        >>> [table.name for table in tracker.database.metadata_tables()][:3]
        ['mousedb', 'vrt_deleted', 'vrt_event']
        """
        return self.tables.sessions.metadata.sorted_tables

    def schema_description(self) -> list[TableFacts]:
        """Return tables, columns, types, units and comments as data.

        Examples
        --------
        >>> tracker.database.schema_description()[0].name
        'mousedb'
        """
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

        Examples
        --------
        >>> dropped = tracker.database.drop_tables(["vrt_mask"], name="lab.db")
        >>> tracker.database.create_tables()
        ['vrt_mask']
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

        Examples
        --------
        >>> tracker.database.drop_tables(["vrt_mask"], name="lab.db")
        ['vrt_mask']
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

        Examples
        --------
        >>> tracker.database.vacuum()
        """
        self._tidy(self.backend.care.vacuum, tables)

    def analyze(self, tables: Sequence[str] = ()) -> None:
        """Have the database count its rows, to plan by, of all tables or these.

        Examples
        --------
        >>> tracker.database.analyze(["sessiondb"])
        """
        self._tidy(self.backend.care.analyze, tables)

    def _tidy(self, verb: Any, tables: Sequence[str]) -> None:
        database = self._writable()
        there = self.table_names()
        for table in tables:
            if table not in there:
                raise UnknownNameError("table", table, there)
        with database.translating():
            verb(self.url, list(tables))

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

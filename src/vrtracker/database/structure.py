"""What the tables of a database are, in types that mean the same in another one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Double,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.exc import CompileError, IdentifierError
from sqlalchemy.schema import CreateTable, sort_tables_and_constraints
from sqlalchemy.types import Enum, TypeEngine

from vrtracker.backends import Backend
from vrtracker.backends.health import Misfit
from vrtracker.database.engines import Database
from vrtracker.errors import UnknownNameError
from vrtracker.models import Base
from vrtracker.models.types import ExactNumber, LongText, Moment, text

_Type = TypeEngine[Any]
_VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Structure:
    """The tables of a database, parents before children."""

    tables: tuple[Table, ...]
    """All but Alembic's own."""
    problems: tuple[str, ...]
    """What no other kind of database has: "table.column (TYPE)"."""

    @property
    def names(self) -> list[str]:
        """The names of the tables, parents before children."""
        return [table.name for table in self.tables]

    @property
    def added_columns(self) -> dict[str, list[Column[Any]]]:
        """The columns that the lab has added to the tracker's tables, by table."""
        found = {}
        for table in self.tables:
            if table.name in Base.metadata.tables:
                known = Base.metadata.tables[table.name].c
                found[table.name] = [column for column in table.c if column.name not in known]
        return {name: columns for name, columns in found.items() if columns}

    @property
    def added_tables(self) -> list[Table]:
        """The lab's own tables."""
        return [table for table in self.tables if table.name not in Base.metadata.tables]

    def refused_by(self, dialect: Dialect) -> list[str]:
        """Return what a kind of database cannot hold, in words."""
        found = []
        for table in self.added_tables:
            reason = _refusal(partial(CreateTable(table).compile, dialect=dialect))
            if reason:
                found.append(f"{table.name} ({reason})")
        for name, columns in self.added_columns.items():
            for column in columns:
                reason = _refusal(partial(dialect.type_compiler_instance.process, column.type))
                if reason:
                    found.append(f"{name}.{column.name} ({reason})")
        return found


def _refusal(compiling: Callable[[], object]) -> str:
    try:
        compiling()
    except (CompileError, IdentifierError) as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class LeftOut:
    """What of a database is not asked for."""

    tables: frozenset[str] = frozenset()
    """Names of tables."""
    columns: frozenset[str] = frozenset()
    """Names of columns, ``table.column``, or of all columns that are called so."""

    def holds(self, table: str, column: str) -> bool:
        """Return whether a column is left out."""
        return column in self.columns or f"{table}.{column}" in self.columns


def read_structure(
    connection: Connection, backend: Backend, *, same_kind: bool, left_out: LeftOut | None = None
) -> Structure:
    """Read the tables of a database.

    `backend`: the kind of database that the connection leads to. `same_kind`: the structure is for
    a database of the same kind: types of that kind alone are kept. `left_out`: what is not to be in
    it; that something else needs it is one of its problems. Raises UnknownNameError if there is
    nothing of a name that is left out.
    """
    reader = _Reader(connection, backend, same_kind=same_kind, left_out=left_out or LeftOut())
    return reader.read()


class _Reader:
    def __init__(
        self, connection: Connection, backend: Backend, *, same_kind: bool, left_out: LeftOut
    ) -> None:
        self._left_out = left_out
        self._known_columns: set[str] = set()
        self._connection = connection
        self._backend = backend
        self._inspector = inspect(connection)
        self._same_kind = same_kind
        # Names are made anew: in some databases they are unique in a table alone.
        self._metadata = MetaData(naming_convention=Base.metadata.naming_convention)
        self._problems: list[str] = []

    def read(self) -> Structure:
        there = set(self._inspector.get_table_names()) - {_VERSION_TABLE}
        _require_known("table", self._left_out.tables, there)
        names = sorted(there - self._left_out.tables)
        for name in names:
            self._add_table(name)
        _require_known("column", self._left_out.columns, self._known_columns)
        for name in names:
            self._add_keys(self._metadata.tables[name])
        tables = []
        ordered: Any = sort_tables_and_constraints
        for table, keys in ordered(self._metadata.tables.values()):
            if table is not None:
                tables.append(table)
            else:
                self._problems += [f"{key.parent.name} (in a circle of references)" for key in keys]
        return Structure(tuple(tables), tuple(self._problems))

    def _add_table(self, name: str) -> None:
        key = self._inspector.get_pk_constraint(name)["constrained_columns"]
        columns: list[Any] = [
            Column(
                found["name"],
                self._type_of(name, found),
                nullable=found["nullable"] and found["name"] not in key,
                primary_key=found["name"] in key,
                # SQLite does not say: there, any single integer key is numbered.
                autoincrement=[found["name"]] == key and found.get("autoincrement", "auto"),
            )
            for found in self._inspector.get_columns(name)
            if self._is_wanted(name, found, found["name"] in key)
        ]
        table = Table(name, self._metadata, *columns)
        numbered = table.autoincrement_column is not None
        table.dialect_options["sqlite"]["autoincrement"] = numbered

    def _is_wanted(self, table: str, found: Any, is_key: bool) -> bool:  # noqa: FBT001
        name = found["name"]
        self._known_columns |= {name, f"{table}.{name}"}
        if not self._left_out.holds(table, name):
            return True
        ours = Base.metadata.tables.get(table)
        if is_key or (ours is not None and name in ours.c and not found["nullable"]):
            self._problems.append(f"{table}.{name} (cannot be left out, as it may not be empty)")
        return False

    def _type_of(self, table: str, found: Any) -> _Type:
        kind: _Type = found["type"]
        everywhere = portable(kind)
        if everywhere is None and not self._same_kind:
            self._problems.append(f"{table}.{found['name']} ({kind!r})")
        return everywhere or kind

    def _add_keys(self, table: Table) -> None:
        for found in self._inspector.get_foreign_keys(table.name):
            parent = found["referred_table"]
            if any(self._left_out.holds(table.name, name) for name in found["constrained_columns"]):
                continue
            if parent in self._left_out.tables or any(
                self._left_out.holds(parent, name) for name in found["referred_columns"]
            ):
                self._problems.append(f"{table.name} (refers to {parent}, which is left out)")
            elif parent not in self._metadata.tables or found.get("referred_schema"):
                self._problems.append(f"{table.name} (refers to {parent}, which is elsewhere)")
            elif parent == table.name:
                self._problems.append(f"{table.name} (refers to itself)")
            else:
                targets = [f"{parent}.{name}" for name in found["referred_columns"]]
                table.append_constraint(ForeignKeyConstraint(found["constrained_columns"], targets))
        self._add_indexes(table)

    def _add_indexes(self, table: Table) -> None:
        found = self._inspector.get_indexes(table.name)
        # The column of an index on an expression has no name.
        plain: list[Any] = [(tuple(each["column_names"]), each["unique"]) for each in found]
        plain = [(names, unique) for names, unique in plain if None not in names]
        plain += [(key, True) for key in self._backend.unique_keys(self._connection, table.name)]
        plain = [(names, unique) for names, unique in plain if set(names) <= {*table.c.keys()}]
        uniques = {names for names, unique in plain if unique}
        others = {names for names, unique in plain if not unique} - uniques
        for names in sorted(uniques):
            table.append_constraint(UniqueConstraint(*names))
        for names in sorted(others):
            Index(None, *(table.c[name] for name in names))


def misfits(database: Database, connection: Connection) -> list[Misfit]:
    """Return cells that their columns do not take, a few of each table."""
    health = database.backend.health
    structure = read_structure(connection, database.backend, same_kind=True)
    return [found for table in structure.tables for found in health.misfits(connection, table)]


def _require_known(kind: str, names: Collection[str], known: Collection[str]) -> None:
    for name in sorted(names):
        if name not in known:
            raise UnknownNameError(kind, name, sorted(known))


def portable(kind: _Type) -> _Type | None:
    """Return the type that means the same everywhere, None where there is none."""
    for known, make in _PORTABLE:
        if isinstance(kind, known):
            return make(kind)
    return None


# The first that fits counts: a Float is a Numeric to SQLAlchemy, and an Enum a String.
_PORTABLE: tuple[tuple[type[_Type], Callable[[Any], _Type | None]], ...] = (
    (Boolean, lambda _: Boolean()),
    (BigInteger, lambda _: BigInteger()),
    (SmallInteger, lambda _: SmallInteger()),
    (Integer, lambda _: Integer()),
    (Float, lambda _: Double()),
    (Numeric, lambda kind: ExactNumber(kind.precision, kind.scale)),
    (Enum, lambda _: None),
    (Text, lambda _: LongText),
    (String, lambda kind: text(kind.length) if kind.length else LongText),
    (DateTime, lambda kind: None if kind.timezone else Moment()),
    (Date, lambda _: Date()),
    (Time, lambda kind: None if kind.timezone else Time()),
    (LargeBinary, lambda _: LargeBinary()),
)

"""Alembic on Access: each operation in place by Jackcess, or by a rebuild of the one table.

Through Microsoft's driver the operations are sent as SQL. Import this module before Alembic
looks for the implementation of a dialect named "access"; importing it registers the class.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002, SLF001

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import schema as sa_schema
from sqlalchemy import types as sqltypes

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access import rebuild
from vrtracker.backends.access.alembic_sql import (
    SqlOperations,
    check_no_null,
    check_required,
    log,
)
from vrtracker.backends.access.conversion import (
    key_name,
    key_names,
    new_column,
    new_indexes,
    relationship_of,
    without_extras,
)
from vrtracker.backends.access.inspection import Column, read_table
from vrtracker.backends.caseless import is_caseless
from vrtracker.errors import BackendError


class AccessImpl(SqlOperations):
    """Operations on Access files; a schema change is final at once."""

    __dialect__ = "access"

    # --- Which road ---

    def _by_jackcess(self) -> bool:
        return not self.as_sql and self.dialect.driver == "ucanaccess"

    def _alter(self, change: Callable[[Any], object]) -> None:
        connection = self.connection
        if connection is None:
            raise BackendError("A schema change of an Access file needs a connection to it.")
        opened = connection.connection.dbapi_connection
        opened.alter(change)  # type: ignore[union-attr]

    def _rebuild(self, table: str, change: rebuild.Change) -> None:
        self._alter(lambda file: rebuild.rebuild(file, table, change))

    # --- Tables ---

    def create_table(self, table: Any, *, if_not_exists: bool = False, **kw: Any) -> None:
        """Make a table; CHECK constraints, comments and server defaults are left to others."""
        if not self._by_jackcess():
            super().create_table(table, **kw)
            return
        if if_not_exists and self._has_table(str(table.name)):
            return
        portable = without_extras(table)
        # The compiler knows what Access can hold.
        sa_schema.CreateTable(portable).compile(dialect=self.dialect)
        counter = portable._autoincrement_column
        columns = [
            new_column(self.dialect, column, autonumber=column is counter)
            for column in portable.columns
        ]
        self._alter(
            lambda file: ops.create_table(file, str(portable.name), columns, new_indexes(portable))
        )
        for key in sorted(portable.foreign_key_constraints, key=lambda one: str(one.name)):
            self.add_constraint(key)

    def drop_table(self, table: Any, *, if_exists: bool = False, **kw: Any) -> None:
        """Remove a table and its relationships."""
        if not self._by_jackcess():
            super().drop_table(table, **kw)
        elif not if_exists or self._has_table(str(table.name)):
            self._alter(lambda file: rebuild.drop_table(file, str(table.name)))

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Give a table another name."""
        if self._by_jackcess():
            new_name = str(new_table_name)
            self._alter(lambda file: rebuild.rename_table(file, old_table_name, new_name))
        else:
            super().rename_table(old_table_name, new_table_name)

    # --- Columns ---

    def add_column(
        self,
        table_name: str,
        column: Any,
        *,
        schema: Any = None,
        if_not_exists: bool | None = None,
        **kw: Any,
    ) -> None:
        """Add a column; a required one only where no rows lack it."""
        if column.server_default is not None:
            log.warning("server default of %s.%s left out", table_name, column.name)
            column.server_default = None
        if not self._by_jackcess():
            super().add_column(table_name, column, if_not_exists=if_not_exists)
            return
        self.dialect.identifier_preparer.quote(str(column.name))
        wanted = new_column(self.dialect, column)

        def change(file: Any) -> None:
            table = read_table(file.getTable(table_name))
            if if_not_exists and _find(table.columns, wanted.name) is not None:
                return
            if wanted.required:
                check_required(table_name, wanted.name, table.rows)
            ops.add_column(file, table_name, wanted)

        self._alter(change)

    def drop_column(
        self,
        table_name: str,
        column: Any,
        *,
        schema: Any = None,
        if_exists: bool | None = None,
        **kw: Any,
    ) -> None:
        """Remove a column with the indexes and relationships that use it."""
        if not self._by_jackcess():
            super().drop_column(table_name, column, if_exists=if_exists)
            return

        def change(file: Any) -> None:
            found = _find(read_table(file.getTable(table_name)).columns, str(column.name))
            if found is None and if_exists:
                return
            name = _known(found, table_name, column.name).name
            rebuild.rebuild(file, table_name, rebuild.Change(drop_columns=frozenset({name})))

        self._alter(change)

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: Any = None,
        schema: Any = None,
        autoincrement: bool | None = None,
        existing_type: Any = None,
        existing_nullable: bool | None = None,
        **kw: Any,
    ) -> None:
        """Change the type, the nullability or the name of a column.

        Raises BackendError if NULL would be forbidden where rows have it; a server default or an
        autonumber was asked for; through Microsoft's driver, a new name, or no type to restate.
        """
        if server_default not in (False, None) or autoincrement:
            raise BackendError(
                f"{table_name}.{column_name}: Access columns get no server default and cannot "
                "become autonumbers later; use a Python default, or make a new table."
            )
        if nullable is None and name is None and type_ is None:
            log.debug("%s.%s: nothing to change", table_name, column_name)
        elif self._by_jackcess():
            self._rebuild_with(table_name, column_name, nullable=nullable, name=name, type_=type_)
        else:
            super().alter_column(
                table_name,
                column_name,
                nullable=nullable,
                name=name,
                type_=type_,
                existing_type=existing_type,
                existing_nullable=existing_nullable,
            )

    def _rebuild_with(self, table_name: str, column_name: str, **wanted: Any) -> None:
        if wanted["name"] is not None:
            self.dialect.identifier_preparer.quote(wanted["name"])

        def change(file: Any) -> None:
            changed = self._column_change(file, table_name, column_name, **wanted)
            rebuild.rebuild(file, table_name, changed)

        self._alter(change)

    def _column_change(
        self,
        file: Any,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None,
        name: str | None,
        type_: Any,
    ) -> rebuild.Change:
        table = file.getTable(table_name)
        old = _known(_find(read_table(table).columns, column_name), table_name, column_name)
        required = old.required if nullable is None else not nullable
        if required and not old.required:
            _check_no_null(table, old.name)
        name = name or old.name
        renamed = {} if name == old.name else {old.name: name}
        if type_ is None and required == old.required:
            return rebuild.Change(renamed=renamed)
        if type_ is None:
            wanted = ops.NewColumn(
                name=name,
                kind=old.kind,
                length=old.length if old.kind in ("TEXT", "BINARY") else 0,
                precision=old.precision,
                scale=old.scale,
                autonumber=old.autonumber,
                required=required,
            )
        else:
            column = sa_schema.Column(name, sqltypes.to_instance(type_), nullable=not required)
            wanted = new_column(self.dialect, column)
        return rebuild.Change(columns={old.name: wanted}, renamed=renamed)

    # --- Indexes and constraints ---

    def create_index(self, index: Any, *, if_not_exists: bool = False, **kw: Any) -> None:
        """Make an index; one without regard to case is left out, since all of Access's are."""
        if is_caseless(index):
            return
        if not self._by_jackcess():
            super().create_index(index, **kw)
            return
        sa_schema.CreateIndex(index).compile(dialect=self.dialect)
        name, table = str(index.name), str(index.table.name)
        if if_not_exists and self._has_key(table, name):
            return
        wanted = ops.NewIndex(name, key_names(index.columns), unique=bool(index.unique))
        self._alter(lambda file: ops.add_index(file, table, wanted))

    def drop_index(self, index: Any, *, if_exists: bool = False, **kw: Any) -> None:
        """Remove an index."""
        if not self._by_jackcess():
            super().drop_index(index, **kw)
            return
        self._drop(str(index.table.name), str(index.name), if_exists=if_exists)

    def add_constraint(self, const: Any, **kw: Any) -> None:
        """Add a unique, primary or foreign key; a CHECK constraint is left out."""
        if not self._by_jackcess() or isinstance(const, sa_schema.CheckConstraint):
            super().add_constraint(const, **kw)
        elif isinstance(const, sa_schema.ForeignKeyConstraint):
            link = relationship_of(const)
            self._alter(lambda file: ops.add_relationship(file, link))
        else:
            primary = isinstance(const, sa_schema.PrimaryKeyConstraint)
            wanted = ops.NewIndex(
                key_name(const), key_names(const.columns), unique=True, primary=primary
            )
            self.dialect.identifier_preparer.quote(wanted.name)
            self._alter(lambda file: ops.add_index(file, str(const.table.name), wanted))

    def drop_constraint(self, const: Any, *, if_exists: bool = False, **kw: Any) -> None:
        """Remove a unique, primary or foreign key by its name."""
        if not self._by_jackcess() or isinstance(const, sa_schema.CheckConstraint):
            super().drop_constraint(const, **kw)
            return
        self._drop(str(const.table.name), str(const.name), if_exists=if_exists)

    def _drop(self, table: str, name: str, *, if_exists: bool) -> None:
        if self._has_key(table, name):
            names = frozenset({name})
            self._rebuild(table, rebuild.Change(drop_indexes=names, drop_relationships=names))
        elif not if_exists:
            raise BackendError(f"Table {table} has no index or key {name}; look at them first.")


def _find(columns: tuple[Column, ...], name: str) -> Column | None:
    folded = name.casefold()
    return next((column for column in columns if column.name.casefold() == folded), None)


def _known(column: Column | None, table: str, name: object) -> Column:
    if column is None:
        raise BackendError(f"Table {table} has no column {name}; look at its columns first.")
    return column


def _check_no_null(table: Any, name: str) -> None:
    column = table.getColumn(name)
    missing = sum(1 for row in table if column.getRowValue(row) is None)
    check_no_null(str(table.getName()), name, missing)

"""Alembic on Access: each operation in place by Jackcess, or by a rebuild of the one table.

Through Microsoft's driver the operations are sent as SQL. Import this module before Alembic
looks for the implementation of a dialect named "access"; importing it registers the class.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002, SLF001

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from alembic.ddl.impl import DefaultImpl
from sqlalchemy import schema as sa_schema
from sqlalchemy import types as sqltypes

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access import rebuild
from vrtracker.backends.access.conversion import (
    key_names,
    new_column,
    new_indexes,
    relationship_of,
    without_extras,
)
from vrtracker.backends.access.inspection import Column, read_table
from vrtracker.errors import BackendError

__all__ = ["AccessImpl"]

_log = logging.getLogger(__name__)


class AccessImpl(DefaultImpl):
    """Operations on Access files; a schema change is final at once."""

    __dialect__ = "access"
    transactional_ddl = False
    command_terminator = ";"
    type_synonyms = (
        *DefaultImpl.type_synonyms,
        {"INTEGER", "LONG", "COUNTER", "SMALLINT"},
        {"LONGCHAR", "MEMO", "TEXT", "LONGTEXT", "CLOB"},
        {"VARCHAR", "SHORTTEXT", "CHAR"},
        {"YESNO", "BIT", "BOOLEAN"},
        {"FLOAT", "DOUBLE", "BIGINT", "REAL"},
        {"DATE", "DATETIME", "TIMESTAMP"},
        {"DECIMAL", "NUMERIC", "CURRENCY"},
        {"BLOB", "OLE", "LONGBINARY"},
    )

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

    def create_table(self, table: Any, **kw: Any) -> None:
        """Make a table; CHECK constraints, comments and server defaults are left to others."""
        portable = without_extras(table)
        if not self._by_jackcess():
            super().create_table(portable, **kw)
            return
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

    def drop_table(self, table: Any, **kw: Any) -> None:
        """Remove a table and its relationships."""
        if self._by_jackcess():
            self._alter(lambda file: rebuild.drop_table(file, str(table.name)))
        else:
            super().drop_table(table, **kw)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Give a table another name."""
        if not self._by_jackcess():
            raise BackendError("Microsoft's SQL has no rename: create, copy and drop instead.")
        self._alter(lambda file: rebuild.rename_table(file, old_table_name, str(new_table_name)))

    def create_table_comment(self, table: Any) -> None:
        """Leave the comment out; Access has no SQL for it."""
        _log.debug("comment of table %s left out", table.name)

    def drop_table_comment(self, table: Any) -> None:
        """Do nothing."""

    def create_column_comment(self, column: Any) -> None:
        """Leave the comment out; Access has no SQL for it."""
        _log.debug("comment of column %s left out", column.name)

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
            _log.warning("server default of %s.%s left out", table_name, column.name)
            column.server_default = None
        if not self._by_jackcess():
            super().add_column(table_name, column, schema=schema)
            return
        wanted = new_column(self.dialect, column)

        def change(file: Any) -> None:
            table = read_table(file.getTable(table_name))
            if if_not_exists and _find(table.columns, wanted.name) is not None:
                return
            if wanted.required and table.rows:
                raise BackendError(
                    f"{table_name} has {table.rows} rows, which would lack the required column "
                    f"{wanted.name}. Add it as nullable, fill it, then alter it."
                )
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
            super().drop_column(table_name, column, schema=schema, **kw)
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

        Raises
        ------
        BackendError
            NULL would be forbidden where rows have it; a server default or an autonumber was
            asked for; through Microsoft's driver, a new name, or no type to restate.
        """
        if server_default not in (False, None) or autoincrement:
            raise BackendError(
                f"{table_name}.{column_name}: Access columns get no server default and cannot "
                "become autonumbers later; use a Python default, or make a new table."
            )
        if not self._by_jackcess():
            self._alter_by_sql(
                table_name,
                column_name,
                type_=type_ if type_ is not None else existing_type,
                nullable=existing_nullable if nullable is None else nullable,
                new_name=name,
            )
            return
        self._alter(
            lambda file: rebuild.rebuild(
                file,
                table_name,
                self._column_change(
                    file, table_name, column_name, nullable=nullable, new_name=name, type_=type_
                ),
            )
        )

    def _column_change(
        self,
        file: Any,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None,
        new_name: str | None,
        type_: Any,
    ) -> rebuild.Change:
        table = file.getTable(table_name)
        old = _known(_find(read_table(table).columns, column_name), table_name, column_name)
        required = old.required if nullable is None else not nullable
        if required and not old.required:
            _check_no_null(table, old.name)
        name = new_name or old.name
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

    def _alter_by_sql(
        self,
        table: str,
        column: str,
        *,
        type_: Any,
        nullable: bool | None,
        new_name: str | None,
    ) -> None:
        if new_name is not None:
            raise BackendError("Microsoft's SQL has no rename: add, copy and drop the column.")
        if type_ is None:
            raise BackendError(
                f"{table}.{column}: Access restates the whole column; give existing_type and "
                "existing_nullable."
            )
        quote = self.dialect.identifier_preparer.quote
        kind = self.dialect.type_compiler_instance.process(sqltypes.to_instance(type_))
        null = " NOT NULL" if nullable is False else ""
        self._exec(f"ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)} {kind}{null}")

    # --- Indexes and constraints ---

    def create_index(self, index: Any, **kw: Any) -> None:
        """Make an index."""
        if self._by_jackcess():
            wanted = ops.NewIndex(
                str(index.name), key_names(index.columns), unique=bool(index.unique)
            )
            self._alter(lambda file: ops.add_index(file, str(index.table.name), wanted))
        else:
            super().create_index(index, **kw)

    def drop_index(self, index: Any, **kw: Any) -> None:
        """Remove an index."""
        if self._by_jackcess():
            self._rebuild(
                str(index.table.name), rebuild.Change(drop_indexes=frozenset({str(index.name)}))
            )
        else:
            super().drop_index(index, **kw)

    def add_constraint(self, const: Any, **kw: Any) -> None:
        """Add a unique, primary or foreign key; a CHECK constraint is left out."""
        if isinstance(const, sa_schema.CheckConstraint):
            _log.warning("CHECK constraint %s left out: Access has none", const.name)
        elif not self._by_jackcess():
            super().add_constraint(const, **kw)
        elif isinstance(const, sa_schema.ForeignKeyConstraint):
            link = relationship_of(const)
            self._alter(lambda file: ops.add_relationship(file, link))
        else:
            primary = isinstance(const, sa_schema.PrimaryKeyConstraint)
            wanted = ops.NewIndex(
                str(const.name), key_names(const.columns), unique=True, primary=primary
            )
            self._alter(lambda file: ops.add_index(file, str(const.table.name), wanted))

    def drop_constraint(self, const: Any, **kw: Any) -> None:
        """Remove a unique, primary or foreign key by its name."""
        if isinstance(const, sa_schema.CheckConstraint):
            return
        if not self._by_jackcess():
            super().drop_constraint(const, **kw)
            return
        name = frozenset({str(const.name)})
        self._rebuild(
            str(const.table.name), rebuild.Change(drop_indexes=name, drop_relationships=name)
        )

    # --- Autogenerate ---

    def compare_server_default(self, *_: Any, **kw: Any) -> bool:
        """Report no difference: Access has no server defaults here."""
        return False

    def requires_recreate_in_batch(self, batch_op: Any) -> bool:
        """Never let Alembic copy the table: each operation keeps its content by itself."""
        return False


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
    if missing:
        raise BackendError(
            f"{missing} rows of {table.getName()} have no {name}; fill them before forbidding NULL."
        )

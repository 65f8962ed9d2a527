"""Alembic on Access by SQL, which Microsoft's engine takes, and what both drivers share."""

# The signatures and the names are the library's.
# ruff: noqa: ARG002

from __future__ import annotations

import logging
from typing import Any

from alembic.ddl.impl import DefaultImpl
from sqlalchemy import exc, inspect
from sqlalchemy import func as sa_func
from sqlalchemy import schema as sa_schema
from sqlalchemy import types as sqltypes
from sqlalchemy.sql import Select, column, table

from vrtracker.backends.access.conversion import without_extras
from vrtracker.backends.access.ddl import LONGEST_NAME
from vrtracker.backends.caseless import is_caseless
from vrtracker.errors import BackendError

log = logging.getLogger(__name__)


class SqlOperations(DefaultImpl):
    """Operations as SQL; each is final at once."""

    transactional_ddl = False
    command_terminator = ";"

    # --- How statements are run ---

    def emit_begin(self) -> None:
        """Write nothing: the SQL of Access has no BEGIN."""

    def emit_commit(self) -> None:
        """Write nothing: the SQL of Access has no COMMIT."""

    def _exec(self, construct: Any, *args: Any, **kw: Any) -> Any:
        """Run a statement; Microsoft's engine locks tables against DDL in a transaction."""
        if (
            self.connection is None
            or self.dialect.driver != "pyodbc"
            or not isinstance(construct, sa_schema.ExecutableDDLElement)
        ):
            return super()._exec(construct, *args, **kw)
        opened: Any = self.connection.connection.dbapi_connection
        opened.commit()
        opened.autocommit = True
        try:
            return super()._exec(construct, *args, **kw)
        finally:
            opened.autocommit = False

    # --- Tables ---

    def version_table_impl(self, **kw: Any) -> Any:
        """Return Alembic's own table, with room for the longest names of revisions."""
        versions = super().version_table_impl(**kw)
        versions.c.version_num.type = sqltypes.String(LONGEST_NAME)
        return versions

    def create_table(self, table: Any, **kw: Any) -> None:
        """Make a table; CHECK constraints, comments and server defaults are left to others."""
        super().create_table(without_extras(table), **kw)

    def drop_table(self, table: Any, **kw: Any) -> None:
        """Remove a table, after the relationships of others to it."""
        for child in self._tables():
            for key in self._inspected().get_foreign_keys(child):
                if _same(key["referred_table"], table.name):
                    self._drop_key(child, key["name"])
        super().drop_table(table, **kw)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Refuse: the SQL has no such statement."""
        raise BackendError(
            f"Microsoft's SQL cannot rename {old_table_name}: make a table {new_table_name}, "
            "copy the rows and drop the old one."
        )

    def create_table_comment(self, table: Any) -> None:
        """Leave the comment out; Access has no SQL for it."""
        log.debug("comment of table %s left out", table.name)

    def drop_table_comment(self, table: Any) -> None:
        """Do nothing."""

    def create_column_comment(self, column: Any) -> None:
        """Leave the comment out; Access has no SQL for it."""
        log.debug("comment of column %s left out", column.name)

    # --- Columns ---

    def add_column(
        self, table_name: str, column: Any, *, if_not_exists: bool | None = None, **kw: Any
    ) -> None:
        """Add a column; a required one only where no rows lack it."""
        if if_not_exists and self._has_column(table_name, column.name):
            return
        if not column.nullable:
            check_required(table_name, str(column.name), self._count(table_name))
        super().add_column(table_name, column)

    def drop_column(
        self, table_name: str, column: Any, *, if_exists: bool | None = None, **kw: Any
    ) -> None:
        """Remove a column with the indexes and relationships that use it."""
        if if_exists and not self._has_column(table_name, column.name):
            return
        if self._has_table(table_name):
            inspector = self._inspected()
            for key in inspector.get_foreign_keys(table_name):
                if column.name in key["constrained_columns"]:
                    self._drop_key(table_name, key["name"])
            for index in inspector.get_indexes(table_name):
                if column.name in index["column_names"]:
                    self._drop_key(table_name, index["name"], index=not index["unique"])
        super().drop_column(table_name, column)

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        name: str | None = None,
        type_: Any = None,
        existing_type: Any = None,
        existing_nullable: bool | None = None,
        **kw: Any,
    ) -> None:
        """Restate a column with its new type and nullability."""
        if name is not None:
            raise BackendError(
                f"Microsoft's SQL cannot rename {table_name}.{column_name}: add a column {name}, "
                "copy the values and drop the old one."
            )
        wanted = existing_type if type_ is None else type_
        if wanted is None:
            raise BackendError(
                f"{table_name}.{column_name}: Access restates the whole column; give "
                "existing_type and existing_nullable."
            )
        if nullable is False:
            check_no_null(table_name, column_name, self._count(table_name, missing=column_name))
        required = not (existing_nullable if nullable is None else nullable)
        known = nullable is not None or existing_nullable is not None
        quote = self.dialect.identifier_preparer.quote
        kind = self.dialect.type_compiler_instance.process(sqltypes.to_instance(wanted))
        null = " NOT NULL" if required and known else ""
        self._run(f"ALTER TABLE {quote(table_name)} ALTER COLUMN {quote(column_name)} {kind}{null}")

    # --- Constraints ---

    def add_constraint(self, const: Any, **kw: Any) -> None:
        """Add a unique, primary or foreign key; a CHECK constraint is left out."""
        if isinstance(const, sa_schema.CheckConstraint):
            log.warning("CHECK constraint %s left out: Access has none", const.name)
        else:
            super().add_constraint(const, **kw)

    def drop_constraint(self, const: Any, **kw: Any) -> None:
        """Remove a unique, primary or foreign key by its name."""
        if not isinstance(const, sa_schema.CheckConstraint):
            super().drop_constraint(const, **kw)

    def _drop_key(self, table_name: str, name: str | None, *, index: bool = False) -> None:
        quote = self.dialect.identifier_preparer.quote
        if index:
            self._run(f"DROP INDEX {quote(str(name))} ON {quote(table_name)}")
        else:
            self._run(f"ALTER TABLE {quote(table_name)} DROP CONSTRAINT {quote(str(name))}")

    def _run(self, text: str) -> None:
        # DDL fills in what stands after %.
        make: Any = sa_schema.DDL
        self._exec(make(text.replace("%", "%%")))

    # --- Batches ---

    def requires_recreate_in_batch(self, batch_op: Any) -> bool:
        """Never let Alembic copy the table: each operation keeps its content by itself."""
        return False

    def prep_table_for_batch(self, batch_impl: Any, table: Any) -> None:
        """Refuse the copy that recreate="always" asks for: it would renumber the rows.

        Raises BackendError always.
        """
        raise BackendError(
            f'{table.name}: a copy by SQL loses the autonumbers; leave out recreate="always".'
        )

    # --- Autogenerate ---

    def compare_type(self, inspector_column: Any, metadata_column: Any) -> bool:
        """Tell whether Access would make another column of the one type than of the other."""
        process = self.dialect.type_compiler_instance.process
        try:
            found = process(inspector_column.type)
        except exc.CompileError:
            # A kind of Access's own, such as attachments.
            return True
        return bool(found != process(metadata_column.type))

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: set[Any],
        conn_indexes: set[Any],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[Any],
    ) -> None:
        """Look for no index without regard to case: each of Access's is."""
        metadata_indexes -= {index for index in metadata_indexes if is_caseless(index)}

    def compare_server_default(self, *_: Any, **kw: Any) -> bool:
        """Report no difference: Access has no server defaults here."""
        return False

    # --- What the database holds; nothing is known when SQL is only written down ---

    def _inspected(self) -> Any:
        return inspect(self.connection)

    def _tables(self) -> list[str]:
        return [] if self.as_sql else list(self._inspected().get_table_names())

    def _has_table(self, name: str) -> bool:
        return any(_same(table, name) for table in self._tables())

    def _has_key(self, table_name: str, name: str) -> bool:
        inspector = self._inspected()
        keys = [
            inspector.get_pk_constraint(table_name),
            *inspector.get_indexes(table_name),
            *inspector.get_foreign_keys(table_name),
        ]
        return any(_same(key["name"], name) for key in keys)

    def _has_column(self, table_name: str, name: str) -> bool:
        return self._has_table(table_name) and any(
            _same(column["name"], name) for column in self._inspected().get_columns(table_name)
        )

    def _count(self, table_name: str, *, missing: str | None = None) -> int:
        if self.connection is None or self.as_sql:
            return 0
        statement: Any = Select(sa_func.count()).select_from(table(table_name))
        if missing is not None:
            statement = statement.where(column(missing).is_(None))
        return int(self.connection.scalar(statement) or 0)


def check_required(table_name: str, name: str, rows: int) -> None:
    """Refuse a new required column while there are rows that would lack it."""
    if rows:
        raise BackendError(
            f"{table_name} has {rows} rows, which would lack the required column {name}. Add it "
            "as nullable, fill it, then alter it."
        )


def check_no_null(table_name: str, name: str, missing: int) -> None:
    """Refuse to forbid NULL while there are rows that have it."""
    if missing:
        raise BackendError(
            f"{missing} rows of {table_name} have no {name}; fill them before forbidding NULL."
        )


def _same(one: Any, other: Any) -> bool:
    return str(one).casefold() == str(other).casefold()

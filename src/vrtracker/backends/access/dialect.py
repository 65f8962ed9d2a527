"""The SQLAlchemy dialect `access+ucanaccess`, and what it shares with `access+pyodbc`.

URLs: ``access+ucanaccess:///C:/data/lab.accdb``, ``access+ucanaccess:////data/lab.accdb``;
options: ``?readonly=true``, ``?create=true``, ``?timeout_s=60``.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from sqlalchemy import exc
from sqlalchemy.dialects import registry
from sqlalchemy.engine import default, reflection

from vrtracker.backends.access import types as access_types
from vrtracker.backends.access.compiler import AccessCompiler
from vrtracker.backends.access.ddl import (
    LONGEST_NAME,
    AccessDDLCompiler,
    AccessIdentifierPreparer,
    AccessTypeCompiler,
)
from vrtracker.backends.access.inspection import own_tables, read_relationships, read_table
from vrtracker.backends.access.java_errors import translated


def register() -> None:
    """Make both dialects known to SQLAlchemy; repeating it does no harm."""
    registry.register("access", "vrtracker.backends.access.dialect", "UcanaccessDialect")
    registry.register("access.ucanaccess", "vrtracker.backends.access.dialect", "UcanaccessDialect")
    registry.register("access.pyodbc", "vrtracker.backends.access.odbc", "PyodbcDialect")


class AccessDialectMixin:
    """What holds for the file format and for the SQL, whichever the driver."""

    name = "access"
    statement_compiler = AccessCompiler
    ddl_compiler = AccessDDLCompiler
    type_compiler_cls = AccessTypeCompiler
    preparer = AccessIdentifierPreparer
    colspecs: ClassVar[dict[Any, Any]] = dict(access_types.COLSPECS)

    max_identifier_length = LONGEST_NAME
    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = False
    supports_schemas = False
    supports_sequences = False
    supports_comments = False
    supports_default_values = False
    supports_empty_insert = False
    supports_multivalues_insert = False
    supports_simple_order_by_label = False
    supports_is_distinct_from = False
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    use_insertmanyvalues = False
    insert_returning = update_returning = delete_returning = False
    postfetch_lastrowid = True
    div_is_floordiv = False
    tuple_in_values = False
    # Appended to a SELECT that names no table.
    from_for_constants = ""
    # Microsoft's engine knows no LIKE ... ESCAPE.
    like_takes_escape = False
    # UCanAccess runs out of stack on lists of some thousand texts in the SQL, not on parameters.
    lists_are_parameters = False
    # The two engines share no word for it.
    binary_type = "LONGBINARY"
    # Microsoft's engine joins two at a time; HSQLDB joins all rows of what is in parentheses
    # before it looks at WHERE.
    nests_joins = True

    @reflection.cache
    def get_unique_constraints(
        self: Any, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the unique indexes."""
        return [
            {"name": index["name"], "column_names": index["column_names"]}
            for index in self.get_indexes(connection, table_name, schema, **kw)
            if index["unique"]
        ]


_DefaultDialect: Any = default.DefaultDialect


class UcanaccessDialect(AccessDialectMixin, _DefaultDialect):  # type: ignore[misc]
    """Access files through UCanAccess, in the Java machine of this process."""

    driver = "ucanaccess"
    supports_statement_cache = True
    default_paramstyle = "qmark"
    from_for_constants = " FROM DUAL"
    binary_type = "OLE"
    nests_joins = False
    like_takes_escape = True
    lists_are_parameters = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver; it starts nothing before it connects."""
        return importlib.import_module("vrtracker.backends.access.ucanaccess")

    def create_connect_args(self, url: Any) -> Any:
        """Take the path and the options out of the URL."""
        if not url.database:
            raise exc.ArgumentError(
                "The URL names no file; write access+ucanaccess:////folder/lab.accdb."
            )
        options: dict[str, Any] = dict(url.query)
        for flag in ("readonly", "create"):
            if flag in options:
                options[flag] = options[flag].casefold() in ("1", "true", "yes")
        if "timeout_s" in options:
            options["timeout_s"] = float(options["timeout_s"])
        return ([url.database], options)

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Tell whether the connection is open."""
        return not dbapi_connection.java.isClosed()

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Tell whether an error means that the connection is of no further use."""
        return str(getattr(e, "sqlstate", None) or "").startswith("08")

    # --- Reflection, from the file's own catalogue ---

    def has_table(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> bool:
        """Tell whether there is a table of this name, in whatever case."""
        folded = table_name.casefold()
        names = self.get_table_names(connection, schema, **kw)
        return any(name.casefold() == folded for name in names)

    @reflection.cache
    def get_table_names(self, connection: Any, schema: Any = None, **kw: Any) -> list[str]:
        """Return the names of the tables, without those of Access itself and of other files."""
        with translated():
            return own_tables(_file(connection))

    @reflection.cache
    def get_view_names(self, connection: Any, schema: Any = None, **kw: Any) -> list[str]:
        """Return the names of the saved SELECT queries."""
        with translated():
            queries = list(_file(connection).getQueries())
        return [
            str(query.getName())
            for query in queries
            if str(query.getType().name()) in ("SELECT", "UNION") and not query.isHidden()
        ]

    @reflection.cache
    def get_columns(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> Any:
        """Return the columns in the order of the table."""
        table = read_table(_table(connection, table_name))
        key = {name for index in table.indexes if index.primary for name in index.columns}
        return [
            {
                "name": column.name,
                "type": access_types.reflected_type(column),
                "nullable": not (
                    column.required
                    or column.autonumber
                    or column.name in key
                    or column.kind == "BOOLEAN"
                ),
                "default": None,
                "autoincrement": column.autonumber,
            }
            for column in table.columns
        ]

    @reflection.cache
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the primary key."""
        for index in read_table(_table(connection, table_name)).indexes:
            if index.primary:
                return {"constrained_columns": list(index.columns), "name": index.name}
        return {"constrained_columns": [], "name": None}

    @reflection.cache
    def get_foreign_keys(
        self, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the enforced relationships in which the table is the child."""
        table = _table(connection, table_name)
        with translated():
            found = read_relationships(_file(connection), table)
        return [
            {
                "name": relationship.name,
                "constrained_columns": list(relationship.child_columns),
                "referred_schema": None,
                "referred_table": relationship.parent,
                "referred_columns": list(relationship.parent_columns),
            }
            for relationship in found
            if relationship.child == str(table.getName()) and relationship.enforced
        ]

    @reflection.cache
    def get_indexes(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> Any:
        """Return the indexes but the primary key and those of foreign keys.

        A unique constraint and a unique index are one thing in Access; it is given as both.
        """
        found = []
        for index in read_table(_table(connection, table_name)).indexes:
            if index.primary or index.foreign:
                continue
            entry = {
                "name": index.name,
                "column_names": list(index.columns),
                "unique": index.unique,
            }
            if index.unique:
                entry["duplicates_constraint"] = index.name
            found.append(entry)
        return found


def _file(connection: Any) -> Any:
    opened = connection.connection.dbapi_connection
    opened.begin(write=False)
    return opened.java.getDbIO()


def _table(connection: Any, name: str) -> Any:
    file = _file(connection)
    with translated():
        metadata = file.getTableMetaData(name)
        table = None if metadata is None or metadata.isLinked() else file.getTable(name)
    if table is None:
        raise exc.NoSuchTableError(name)
    return table

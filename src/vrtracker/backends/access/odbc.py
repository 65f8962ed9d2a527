"""The SQLAlchemy dialect `access+pyodbc`: Microsoft's own driver, on Windows.

Import it only there: the dialect that it builds on needs pyodbc and pywin32.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from sqlalchemy import exc
from sqlalchemy.engine import reflection

from vrtracker.backends.access import types as access_types
from vrtracker.backends.access.ddl import AccessTypeCompiler
from vrtracker.backends.access.dialect import AccessDialectMixin, register

__all__ = ["PyodbcDialect"]

DRIVER = "Microsoft Access Driver (*.mdb, *.accdb)"
_PRIMARY_KEY_PREFIXES = ("primarykey", "pk_")
# No types are published, and it is absent elsewhere than on Windows.
published: Any = importlib.import_module("sqlalchemy_access.base")
_Published: Any = importlib.import_module("sqlalchemy_access.pyodbc").AccessDialect_pyodbc
# Importing it has given it the name access+pyodbc.
register()


class PyodbcDialect(AccessDialectMixin, _Published):  # type: ignore[misc]
    """The published dialect with the SQL, types and names that UCanAccess shares."""

    supports_statement_cache = True
    # The published one has it under the older name, which goes before the newer.
    type_compiler = AccessTypeCompiler
    colspecs: ClassVar[dict[Any, Any]] = {**_Published.colspecs, **access_types.COLSPECS}

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return pyodbc, with its pooling off, which linked tables need."""
        module = importlib.import_module("pyodbc")
        module.pooling = False  # type: ignore[attr-defined]
        return module

    def create_connect_args(self, url: Any) -> Any:
        """Build the driver's connection string from a URL that names a file."""
        if "odbc_connect" in url.query or not url.database:
            return super().create_connect_args(url)
        parts = [f"Driver={{{DRIVER}}}", f"DBQ={url.database}", "ExtendedAnsiSQL=1"]
        if url.password:
            parts.append(f"PWD={url.password}")
        if url.query.get("readonly", "").casefold() in ("1", "true", "yes"):
            parts.append("ReadOnly=1")
        return ([";".join(parts)], {})

    @reflection.cache
    def get_columns(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> Any:
        """Return the columns; a type that the published dialect lacks is no reason to fail."""
        published.ischema_names.setdefault("BIGINT", published.types.BIGINT)
        published.ischema_names.setdefault("BINARY", published.types.LargeBinary)
        published.ischema_names.setdefault("VARBINARY", published.types.LargeBinary)
        columns = super().get_columns(connection, table_name, schema, **kw)
        if not columns:
            raise exc.NoSuchTableError(table_name)
        return columns

    @reflection.cache
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the primary key, found by the name of its index, without DAO where it can."""
        for index in self._statistics(connection, table_name):
            if index["name"].casefold().startswith(_PRIMARY_KEY_PREFIXES):
                return {"constrained_columns": index["column_names"], "name": index["name"]}
        return super().get_pk_constraint(connection, table_name, schema, **kw)

    @reflection.cache
    def get_indexes(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> Any:
        """Return the indexes but the primary key and those of foreign keys."""
        hidden = {key["name"] for key in self.get_foreign_keys(connection, table_name, **kw)}
        hidden.add(self.get_pk_constraint(connection, table_name, **kw)["name"])
        found = self._statistics(connection, table_name)
        for index in found:
            if index["unique"]:
                index["duplicates_constraint"] = index["name"]
        return [index for index in found if index["name"] not in hidden]

    @reflection.cache
    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the unique indexes."""
        return [
            {"name": index["name"], "column_names": index["column_names"]}
            for index in self.get_indexes(connection, table_name, schema, **kw)
            if index["unique"]
        ]

    def _statistics(self, connection: Any, table_name: str) -> list[dict[str, Any]]:
        cursor = connection.connection.cursor()
        found: dict[str, dict[str, Any]] = {}
        for row in cursor.statistics(table_name).fetchall():
            if row.index_name is None:
                continue
            index = found.setdefault(
                row.index_name,
                {"name": row.index_name, "unique": row.non_unique == 0, "column_names": []},
            )
            index["column_names"].append(row.column_name)
        return list(found.values())

"""The SQLAlchemy dialect `access+pyodbc`: Microsoft's own driver, on Windows.

Import it only there: the dialect that it builds on needs pyodbc and pywin32.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import exc
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import reflection

from vrtracker.backends.access import types as access_types
from vrtracker.backends.access.blank import make_blank
from vrtracker.backends.access.ddl import AccessTypeCompiler
from vrtracker.backends.access.dialect import AccessDialectMixin, register

DRIVER = "Microsoft Access Driver (*.mdb, *.accdb)"
_PRIMARY_KEY_PREFIXES = ("primarykey", "pk_")
# No types are published, and it is absent elsewhere than on Windows.
published: Any = importlib.import_module("sqlalchemy_access.base")
_Published: Any = importlib.import_module("sqlalchemy_access.pyodbc").AccessDialect_pyodbc
# Importing it has given it the name access+pyodbc.
register()


class _Types(dict[str, Any]):
    """Types by the driver's names for them; one without a name here is no reason to fail."""

    def __missing__(self, _name: str) -> Any:
        return sqltypes.NullType


# The published dialect looks here; it gives a length to String alone.
published.ischema_names = _Types(
    BIGINT=sqltypes.BigInteger,
    BINARY=sqltypes.LargeBinary,
    BIT=sqltypes.Boolean,
    BYTE=sqltypes.SmallInteger,
    CHAR=sqltypes.String,
    COUNTER=sqltypes.Integer,
    CURRENCY=lambda: sqltypes.Numeric(19, 4),
    DATETIME=sqltypes.DateTime,
    DECIMAL=sqltypes.Numeric,
    DOUBLE=sqltypes.Double,
    GUID=lambda: sqltypes.String(38),
    INTEGER=sqltypes.Integer,
    LONGBINARY=sqltypes.LargeBinary,
    LONGCHAR=sqltypes.Text,
    REAL=sqltypes.REAL,
    SMALLINT=sqltypes.SmallInteger,
    VARBINARY=sqltypes.LargeBinary,
    VARCHAR=sqltypes.String,
)


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
            parts.append(f"PWD={_in_braces(url.password)}")
        if _is_on(url, "readonly"):
            parts.append("ReadOnly=1")
        options = {"create_file": url.database} if _is_on(url, "create") else {}
        return ([";".join(parts)], options)

    def connect(self, *parts: Any, create_file: str | None = None, **options: Any) -> Any:
        """Connect, to a new file where one is wanted and there is none."""
        if create_file is not None:
            make_blank(Path(create_file))
        return super().connect(*parts, **options)

    @reflection.cache
    def get_columns(self, connection: Any, table_name: str, schema: Any = None, **kw: Any) -> Any:
        """Return the columns, of portable types; what Access has as a default is no SQL."""
        columns = super().get_columns(connection, table_name, schema, **kw)
        if not columns:
            raise exc.NoSuchTableError(table_name)
        return [{**column, "default": None} for column in columns]

    @reflection.cache
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: Any = None, **kw: Any
    ) -> Any:
        """Return the primary key, found by the name of its index, without DAO where it can."""
        for index in self._statistics(connection, table_name):
            if index["name"].casefold().startswith(_PRIMARY_KEY_PREFIXES):
                return {"constrained_columns": index["column_names"], "name": index["name"]}
        found = super().get_pk_constraint(connection, table_name, schema, **kw)
        return found or {"constrained_columns": [], "name": None}

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


def _is_on(url: Any, option: str) -> bool:
    return url.query.get(option, "").casefold() in ("1", "true", "yes")


def _in_braces(value: str) -> str:
    """Quote a value of a connection string, where ; and braces have a meaning."""
    return "{" + value.replace("}", "}}") + "}" if set(value) & set(";{} ") else value

"""Tables, indexes, names and column types in the DDL of Access."""

# The signatures and the names are the library's.
# ruff: noqa: ARG002, D102, N802, SLF001

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, exc
from sqlalchemy.sql import compiler

from vrtracker.backends.access.refusals import refuse

# Limits of the file format: Access specifications, "Table".
LONGEST_NAME = 64
LONGEST_TEXT = 255
MOST_COLUMNS = 255
MOST_INDEXES = 32
MOST_DIGITS = 28
_FORBIDDEN_IN_NAMES = frozenset('[].!`"')


class AccessIdentifierPreparer(compiler.IdentifierPreparer):
    """Puts every name in brackets, so that none can be a reserved word."""

    def __init__(self, dialect: Any) -> None:
        super().__init__(dialect, initial_quote="[", final_quote="]")

    def _requires_quotes(self, value: str) -> bool:
        return True

    def quote_identifier(self, value: str) -> str:
        if len(value) > LONGEST_NAME:
            raise exc.IdentifierError(
                f"Access allows names of {LONGEST_NAME} characters; {value!r} has {len(value)}. "
                "Choose a shorter one."
            )
        if not _FORBIDDEN_IN_NAMES.isdisjoint(value):
            raise exc.IdentifierError(f'Access allows none of [ ] . ! ` " in a name: {value!r}.')
        return f"[{value}]"


class AccessTypeCompiler(compiler.GenericTypeCompiler):
    """Names the column types by the words that both engines know."""

    def visit_INTEGER(self, type_: Any, **kw: Any) -> str:
        # INTEGER means 16 bits to UCanAccess, 32 to Microsoft's ODBC driver.
        return "LONG"

    visit_SMALLINT = visit_INTEGER

    def visit_BIGINT(self, type_: Any, **kw: Any) -> str:
        # Exact up to 2**53; Access has no 64-bit integer that both engines know.
        return "DOUBLE"

    visit_FLOAT = visit_REAL = visit_DOUBLE = visit_DOUBLE_PRECISION = visit_BIGINT

    def visit_NUMERIC(self, type_: Any, **kw: Any) -> str:
        precision = MOST_DIGITS if type_.precision is None else type_.precision
        scale = 0 if type_.scale is None else type_.scale
        if precision > MOST_DIGITS:
            refuse("a DECIMAL of more than 28 digits")
        return f"DECIMAL({precision}, {scale})"

    visit_DECIMAL = visit_NUMERIC

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:
        if type_.length is None or type_.length > LONGEST_TEXT:
            return "MEMO"
        return f"TEXT({type_.length})"

    visit_CHAR = visit_NVARCHAR = visit_NCHAR = visit_VARCHAR

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:
        return "MEMO"

    visit_CLOB = visit_TEXT

    def visit_uuid(self, type_: Any, **kw: Any) -> str:
        return "TEXT(32)"

    visit_UUID = visit_uuid

    def visit_BOOLEAN(self, type_: Any, **kw: Any) -> str:
        return "YESNO"

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:
        return "DATETIME"

    visit_DATE = visit_TIMESTAMP = visit_DATETIME

    def visit_TIME(self, type_: Any, **kw: Any) -> str:
        refuse("a column for times of day")

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:
        return str(getattr(self.dialect, "binary_type", "LONGBINARY"))

    visit_BLOB = visit_BINARY = visit_VARBINARY = visit_large_binary

    def visit_JSON(self, type_: Any, **kw: Any) -> str:
        refuse("a JSON column")


# SQLAlchemy's compilers carry no annotations.
_DDLCompiler: Any = compiler.DDLCompiler


class AccessDDLCompiler(_DDLCompiler):  # type: ignore[misc]
    """Compiles CREATE, ALTER and DROP."""

    def get_column_specification(self, column: Any, **kw: Any) -> str:
        if column.server_default is not None:
            refuse("a computed column" if column.computed is not None else "a server default")
        name = self.preparer.format_column(column)
        if column.table is not None and column is column.table._autoincrement_column:
            return f"{name} COUNTER NOT NULL"
        kind = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        return f"{name} {kind}" if column.nullable else f"{name} {kind} NOT NULL"

    def visit_create_table(self, create: Any, **kw: Any) -> str:
        table = create.element
        if create.if_not_exists:
            refuse("IF EXISTS")
        if table._prefixes:
            refuse("a temporary table")
        if table.schema:
            refuse("a schema name")
        if len(table.columns) > MOST_COLUMNS:
            refuse("more than 255 columns")
        if len(table.indexes) + len(table.constraints) > MOST_INDEXES:
            refuse("more than 32 indexes")
        return str(super().visit_create_table(create, **kw))

    def visit_drop_table(self, drop: Any, **kw: Any) -> str:
        if drop.if_exists:
            refuse("IF EXISTS")
        return str(super().visit_drop_table(drop, **kw))

    def visit_check_constraint(self, constraint: Any, **kw: Any) -> str:
        refuse("a CHECK constraint")

    visit_column_check_constraint = visit_check_constraint

    def visit_foreign_key_constraint(self, constraint: Any, **kw: Any) -> str:
        if constraint.ondelete or constraint.onupdate or constraint.deferrable is not None:
            refuse("ON DELETE, ON UPDATE or DEFERRABLE")
        return str(super().visit_foreign_key_constraint(constraint, **kw))

    def visit_create_index(self, create: Any, **kw: Any) -> str:
        index = create.element
        self._verify_index_table(index)
        if create.if_not_exists:
            refuse("IF EXISTS")
        if not all(isinstance(expression, Column) for expression in index.expressions):
            refuse("an index on an expression")
        if any(value for options in index.dialect_options.values() for value in options.values()):
            refuse("a partial or covering index")
        columns = ", ".join(self.preparer.format_column(column) for column in index.columns)
        unique = "UNIQUE " if index.unique else ""
        name, table = self._names(index)
        return f"CREATE {unique}INDEX {name} ON {table} ({columns})"

    def visit_drop_index(self, drop: Any, **kw: Any) -> str:
        if drop.if_exists:
            refuse("IF EXISTS")
        name, table = self._names(drop.element)
        return f"DROP INDEX {name} ON {table}"

    def _names(self, index: Any) -> tuple[str, str]:
        return (
            self._prepared_index_name(index, include_schema=False),
            self.preparer.format_table(index.table),
        )

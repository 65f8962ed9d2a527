"""A text column without regard to the case of letters, as what a unique index is on.

It counts as the column itself where indexes are compared: SQLite reports an index on a column
whatever its collation, and a difference in the expression alone is PostgreSQL's to find.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Index
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import UnaryExpression


class Caseless(UnaryExpression[str]):
    """A column whose values are one where they differ in the case of the 26 letters alone."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[str]) -> None:
        super().__init__(column, type_=column.type)


def is_caseless(index: Index) -> bool:
    """Tell whether an index takes letters of either case for one."""
    return any(isinstance(expression, Caseless) for expression in index.expressions)


@compiles(Caseless, "sqlite")
def _collated(element: Caseless, compiler: Any, **options: Any) -> str:
    return f"{compiler.process(element.element, **options)} COLLATE NOCASE"


@compiles(Caseless, "postgresql")
def _lowered(element: Caseless, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.element, **options)})"

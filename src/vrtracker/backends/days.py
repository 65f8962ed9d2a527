"""Days in SQL, which each database counts and writes in its own way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["DayText", "DaysBetween"]


class DaysBetween(FunctionElement[int]):
    """Whole days from one calendar date to a later one; NULL where either is missing."""

    inherit_cache = True
    name = "days_between"
    type = Integer()

    def __init__(self, earlier: ColumnElement[Any], later: ColumnElement[Any]) -> None:
        super().__init__(earlier, later)


class DayText(FunctionElement[str]):
    """A calendar date as text, such as ``2023-01-20``."""

    inherit_cache = True
    name = "day_text"
    type = String()

    def __init__(self, day: ColumnElement[Any]) -> None:
        super().__init__(day)


def _parts(element: FunctionElement[Any], compiler: Any, **options: Any) -> list[str]:
    return [compiler.process(clause, **options) for clause in element.clauses]


@compiles(DaysBetween, "sqlite")
def _of_julian_days(element: DaysBetween, compiler: Any, **options: Any) -> str:
    earlier, later = _parts(element, compiler, **options)
    return f"(julianday(substr({later}, 1, 10)) - julianday(substr({earlier}, 1, 10)))"


@compiles(DaysBetween, "postgresql")
def _of_dates(element: DaysBetween, compiler: Any, **options: Any) -> str:
    earlier, later = _parts(element, compiler, **options)
    return f"(CAST({later} AS DATE) - CAST({earlier} AS DATE))"


@compiles(DaysBetween, "access")
def _of_date_diff(element: DaysBetween, compiler: Any, **options: Any) -> str:
    earlier, later = _parts(element, compiler, **options)
    return f"DateDiff('d', {earlier}, {later})"


@compiles(DayText, "sqlite")
def _first_letters(element: DayText, compiler: Any, **options: Any) -> str:
    return f"substr({_parts(element, compiler, **options)[0]}, 1, 10)"


@compiles(DayText, "postgresql")
def _to_char(element: DayText, compiler: Any, **options: Any) -> str:
    return f"to_char({_parts(element, compiler, **options)[0]}, 'YYYY-MM-DD')"


@compiles(DayText, "access")
def _format(element: DayText, compiler: Any, **options: Any) -> str:
    return f"Format({_parts(element, compiler, **options)[0]}, 'yyyy-mm-dd')"

"""Days and keys of sessions in SQL, which each database counts and writes in its own way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement


class DaysBetween(FunctionElement[int]):
    """Whole days from one calendar date to a later one; NULL where either is missing."""

    inherit_cache = True
    name = "days_between"
    type = Integer()

    def __init__(self, earlier: ColumnElement[Any], later: ColumnElement[Any]) -> None:
        super().__init__(earlier, later)


class KeyText(FunctionElement[str]):
    """The key of a session as text, such as ``ATL012.2023-01-20.702``."""

    inherit_cache = True
    name = "key_text"
    type = String()

    def __init__(
        self, mouse: ColumnElement[Any], day: ColumnElement[Any], number: ColumnElement[Any]
    ) -> None:
        super().__init__(mouse, day, number)


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


@compiles(KeyText, "sqlite")
def _of_letters(element: KeyText, compiler: Any, **options: Any) -> str:
    mouse, day, number = _parts(element, compiler, **options)
    return f"({mouse} || '.' || substr({day}, 1, 10) || '.' || {number})"


@compiles(KeyText, "postgresql")
def _of_to_char(element: KeyText, compiler: Any, **options: Any) -> str:
    mouse, day, number = _parts(element, compiler, **options)
    return f"({mouse} || '.' || to_char({day}, 'YYYY-MM-DD') || '.' || {number})"


@compiles(KeyText, "access")
def _of_format(element: KeyText, compiler: Any, **options: Any) -> str:
    mouse, day, number = _parts(element, compiler, **options)
    return f"({mouse} & '.' & Format({day}, 'yyyy-mm-dd') & '.' & {number})"

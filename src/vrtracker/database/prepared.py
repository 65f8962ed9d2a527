"""Statements that are compiled once and handed to the driver as they are.

A statement whose text never changes is compiled once for its dialect; that is what makes a
look-up and a transition cost little more than the driver's own time. Listeners of SQLAlchemy's
``before_cursor_execute`` see these statements too.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, Dialect, Select

from vrtracker.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy.sql.base import Executable as CompilableExecutable

_PART_ROWS = 2000


class Prepared:
    """A statement compiled once: its SQL, its parameters, how to read its rows."""

    def __init__(self, statement: CompilableExecutable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        given_later = {name: None for name, bind in compiled.binds.items() if bind.required}
        # Writes out the lists that the statement holds.
        state = compiled.construct_expanded_state(given_later, escape_names=False)
        self.sql: str = state.statement
        self._names: list[str] | None = state.positiontup
        self._to_driver = dict(state.processors) | {
            name: processor
            for name, bind in compiled.binds.items()
            # A truth value is passed on as it is: every driver takes Python's own.
            if not isinstance(bind.type, Boolean)
            and (processor := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        escaped: Mapping[str, str] = compiled.escaped_bind_names or {}
        self._spelled = {name: escaped.get(name, name) for name in state.parameters}
        # A parameter with a name of its own may be given anew, whatever the statement holds of it.
        named = {name for name, bind in compiled.binds.items() if not bind.unique}
        held = {name: v for name, v in state.parameters.items() if name not in given_later}
        self._held = {name: value for name, value in held.items() if name in named}
        fixed = {name: value for name, value in held.items() if name not in named}
        self._template, self._places = self._filled(fixed)
        self._types = (
            [column.type.dialect_impl(dialect) for column in statement.selected_columns]
            if isinstance(statement, Select)
            else []
        )
        self._dialect = dialect
        self._from_driver: list[tuple[int, Any]] | None = None

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters in the form that the driver takes."""
        filled = self._template.copy()
        if self._held:
            values = {**self._held, **values}
        for place, name, processor in self._places:
            value = values[name]
            filled[place] = value if processor is None else processor(value)
        return filled

    def _filled(self, fixed: Mapping[str, Any]) -> tuple[Any, list[tuple[Any, str, Any]]]:
        """Return the parameters that never change, and where which others go, and through what."""
        of_place: dict[Any, str] = (
            {spelled: name for name, spelled in self._spelled.items()}
            if self._names is None
            else dict(enumerate(self._names))
        )
        template: Any = {} if self._names is None else [None] * len(of_place)
        places = []
        for place, name in of_place.items():
            processor = self._to_driver.get(name)
            if name in fixed:
                template[place] = processor(fixed[name]) if processor else fixed[name]
            else:
                places.append((place, name, processor))
        return template, places

    def parameter_rows(
        self, columns: Mapping[str, Iterable[Any]], shared: Mapping[str, Any]
    ) -> Iterator[Any]:
        """Yield the parameters of many runs from columns of values, and from what all share."""
        names = self._names or [*columns, *shared]
        rows = zip(*(self._converted(name, columns, shared) for name in names), strict=False)
        if self._names is not None:
            return rows
        spelled = [self._spelled[name] for name in names]
        return (dict(zip(spelled, row, strict=True)) for row in rows)

    def _converted(
        self, name: str, columns: Mapping[str, Iterable[Any]], shared: Mapping[str, Any]
    ) -> Iterable[Any]:
        """Return the values of a parameter as the driver takes them; one that is shared, ever."""
        processor = self._to_driver.get(name)
        if name in shared:
            return itertools.repeat(processor(shared[name]) if processor else shared[name])
        return map(processor, columns[name]) if processor else columns[name]

    def read(self, cursor: Any) -> list[list[Any]]:
        """Fetch all rows of a cursor that ran this statement, as Python values."""
        processors = self._processors(cursor)
        rows = [list(row) for row in cursor.fetchall()]
        for row in rows:
            for position, processor in processors:
                value = row[position]
                if value is None:
                    # Which is None on every backend, in every type.
                    continue
                try:
                    row[position] = processor(value)
                except (TypeError, ValueError) as error:
                    raise _misfit(cursor, position, value, row[0]) from error
        return rows

    def read_columns(self, cursor: Any) -> list[list[Any]]:
        """Fetch all rows of a cursor that ran this statement, as columns of Python values.

        Of many rows no more than some are in memory as such: Python looks again and again through
        all that hold others, in search of what can be freed.
        """
        columns: list[list[Any]] = [[] for _ in cursor.description]
        while rows := cursor.fetchmany(_PART_ROWS):
            for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                column.extend(values)
        for position, processor in self._processors(cursor):
            column = columns[position]
            for row, value in enumerate(column):
                if value is None:
                    continue
                try:
                    column[row] = processor(value)
                except (TypeError, ValueError) as error:
                    raise _misfit(cursor, position, value, columns[0][row]) from error
        return columns

    def _processors(self, cursor: Any) -> list[tuple[int, Any]]:
        """Return what to do to which column, given the driver's types of the columns."""
        if self._from_driver is None:
            kinds = enumerate(zip(self._types, cursor.description, strict=True))
            self._from_driver = [
                (position, processor)
                for position, (kind, column) in kinds
                if (processor := kind.result_processor(self._dialect, column[1]))
            ]
        return self._from_driver


def _misfit(cursor: Any, position: int, value: Any, first: Any) -> BackendError:
    return misfit(cursor.description[position][0], value, cursor.description[0][0], first)


def misfit(name: str, value: Any, first_name: str, first: Any) -> BackendError:
    """Return the error for a value that does not fit its column, in the row of the first value."""
    return BackendError(
        f"The column {name} holds {value!r} where {first_name} is {first!r}, "
        "which does not fit it; correct it in the database (vrtracker doctor tells how)."
    )


def with_values(statement: Select[Any], dialect: Dialect) -> str:
    """Return a SELECT as SQL with its values in it, for people to read; never to be run."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    # Where a parameter is written %s, SQLAlchemy doubles every other per cent sign.
    doubled = dialect.paramstyle in {"format", "pyformat"}
    return str(compiled).replace("%%", "%") if doubled else str(compiled)


def run(
    engine: Any,
    cursor: Any,
    sql: str,
    parameters: Any,
    *,
    connection: Any = None,
    many: bool = False,
) -> None:
    """Have a driver's cursor run a statement, or close it where that fails.

    The error's traceback holds it otherwise, and whichever thread drops that last has to wait for
    the connection: in SQLite as long as another thread waits there for a lock on the database.
    """
    announce(engine, sql, parameters, connection=connection, cursor=cursor, many=many)
    try:
        (cursor.executemany if many else cursor.execute)(sql, parameters)
    except BaseException:
        # The connection may be lost, and the error says so.
        with contextlib.suppress(Exception):
            cursor.close()
        raise


def announce(
    engine: Any,
    sql: str,
    parameters: Any,
    *,
    connection: Any = None,
    cursor: Any = None,
    many: bool = False,
) -> None:
    """Tell SQLAlchemy's listeners of a statement that did not go through SQLAlchemy."""
    for listener in engine.dispatch.before_cursor_execute:
        listener(connection, cursor, sql, parameters, None, many)


@functools.lru_cache(maxsize=8)
def compiled(statement: Select[Any], dialect: Dialect) -> Any:
    """Return a SELECT compiled; the last few are kept, for those that hold on to the statement."""
    return statement.compile(dialect=dialect)


def in_parts(
    statement: Select[Any], number: Column[Any], dialect: Dialect
) -> tuple[tuple[str, str], str]:
    """Return the table and the number of a column, and SQL of a part of a SELECT in its order."""
    part = statement.where(number.between(0, 0)).compile(dialect=dialect)
    return (number.table.name, number.name), expanded(part, dialect)[0]


def expanded(compiled: Any, dialect: Any) -> tuple[str, list[Any]]:
    """Return SQL with its lists written out, and its parameters in order, in the driver's form."""
    state = compiled.construct_expanded_state()
    processors = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in compiled.binds.items()
    } | dict(state.processors)
    parameters = []
    for name in state.positiontup or ():
        processor = processors.get(name)
        value = state.parameters[name]
        parameters.append(processor(value) if processor else value)
    return state.statement, parameters

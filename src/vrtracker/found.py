"""What a call finds: a frame for those who analyse, plain rows for the shell.

pandas takes longer to import than most commands to run; `framed` gives each method that returns
a frame a way around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from vrtracker.database import Database
from vrtracker.reading import read_records

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Select

P = ParamSpec("P")
S = TypeVar("S")


class Found:
    """Rows that were put together in Python.

    `rows`: values as declared in `vrtracker.reading`. `dtypes`: the dtype of each column in a
    frame, in order.
    """

    def __init__(self, rows: list[dict[str, Any]], dtypes: Mapping[str, str]) -> None:
        self._rows = rows
        self._dtypes = dtypes

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._dtypes)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts of plain values."""
        return self._rows

    def frame(self) -> pd.DataFrame:
        """Return the rows as a frame."""
        from vrtracker.frames import frame_of

        return frame_of(self._rows, self._dtypes)


class Selected(Found):
    """The rows of SELECTs of the same columns, one after the other; read when they are asked for.

    `database`: where they run. `*statements`: at least one.
    """

    def __init__(self, database: Database, *statements: Select[Any]) -> None:
        self._database = database
        self._statements = statements

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._statements[0].selected_columns.keys())

    def records(self) -> list[dict[str, Any]]:
        """Read the rows as dicts of plain values."""
        return read_records(self._database, *self._statements)

    def frame(self) -> pd.DataFrame:
        """Read the rows as a frame."""
        from vrtracker.frames import read_frame

        return read_frame(self._database, *self._statements)


class Framed(Generic[P]):
    """A method that returns a frame of what it finds; `records` returns the rows alone.

    `find`: finds them; it stays at hand as `found`.
    """

    def __init__(self, find: Callable[P, Found]) -> None:
        self.found = find
        functools.update_wrapper(self, find)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        """Return a frame."""
        return self.found(*args, **kwargs).frame()

    def records(self, *args: P.args, **kwargs: P.kwargs) -> list[dict[str, Any]]:
        """Return the rows as dicts of plain values, None where one is missing, without pandas."""
        return self.found(*args, **kwargs).records()


class framed(Generic[S, P]):  # noqa: N801 -- a decorator
    """Make a method that finds rows one that returns a frame of them, with `records` beside it.

    ``tracker.workflow.needs("suite2p")`` is a frame, ``tracker.workflow.needs.records("suite2p")``
    a list of dicts. The method's docstring tells of the frame.
    """

    def __init__(self, find: Callable[Concatenate[S, P], Found]) -> None:
        self._find = find
        self.__doc__ = find.__doc__

    @overload
    def __get__(self, service: None, kind: type[S]) -> Self: ...

    @overload
    def __get__(self, service: S, kind: type[S]) -> Framed[P]: ...

    def __get__(self, service: S | None, kind: type[S]) -> Self | Framed[P]:
        return self if service is None else Framed(MethodType(self._find, service))

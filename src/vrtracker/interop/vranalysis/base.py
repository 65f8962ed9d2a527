"""What the old module offered for any table: read, look up, update, add, cursors."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.backends import backend_for
from vrtracker.domain.dates import parse_date, plain
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.interop.vranalysis.metadata import file_of, metadata_of, settings_of, url_of
from vrtracker.interop.vranalysis.printing import say, shown_key
from vrtracker.models.types import CalendarDate, LabTime
from vrtracker.opening import tracker_of
from vrtracker.services.entries.editing import Update
from vrtracker.services.entries.rows import RowService
from vrtracker.tracker import Tracker
from vrtracker.unit_of_work import driver_cursor

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Table

    from vrtracker.services.administration.backups import Backup

_MARKS = {"qmark": "?", "format": "%s", "pyformat": "%s"}


class BaseDatabase:
    """One of the lab's tables, by the name of its database.

    Parameters
    ----------
    db_name
        ``vrSessions``, ``vrMice``, or a name declared in the settings.

    Attributes
    ----------
    db_path, db_name, db_ext, table_name, uid, backup_path, unique_fields, default_conditions
        As `get_database_metadata` gives them.
    host_type : str
        Kind of database: ``access``, ``sqlite`` or ``postgresql``.
    """

    def __init__(self, db_name: str) -> None:
        # The object stays with this database, whatever becomes of the environment.
        declared, self._settings = settings_of(db_name)
        metadata = metadata_of(declared, self._settings)
        self._asked = db_name
        self.db_path: str = metadata["db_path"]
        self.db_name: str = metadata["db_name"]
        self.db_ext: str = metadata["db_ext"]
        self.table_name: str = metadata["table_name"]
        self.uid: str = metadata["uid"]
        self.backup_path: str | None = metadata["backup_path"]
        self.unique_fields = self.process_unique_fields(metadata["unique_fields"])
        self.default_conditions: dict[str, Any] = metadata["default_conditions"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._asked!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A password stays in the process, as that of the tracker does.
        url = self._settings.database
        shown = str(url_of(self._settings)) if "://" in url else url
        return {**vars(self), "_settings": replace(self._settings, url=shown)}

    @cached_property
    def tracker(self) -> Tracker:
        """The tracker behind this object, opened on first use."""
        return tracker_of(self._settings)

    @property
    def host_type(self) -> str:
        """Kind of database: ``access``, ``sqlite`` or ``postgresql``."""
        return backend_for(url_of(self._settings)).name

    @property
    def _rows(self) -> RowService[Any, Any]:
        return self.tracker.mice if self.uid == "uMouseID" else self.tracker.sessions

    @property
    def _table(self) -> Table:
        tables = self.tracker.database.tables
        return tables.mice if self.uid == "uMouseID" else tables.sessions

    # -- the database as a whole ---------------------------------------------------------------

    def process_unique_fields(
        self, fields: Sequence[str | tuple[str, type]]
    ) -> list[tuple[str, type]]:
        """Return each field with its type; a name alone stands for text.

        Raises
        ------
        InvalidValueError
            If a field is neither a name nor a name and a type.
        """
        pairs = [(field, str) if isinstance(field, str) else field for field in fields]
        for pair in pairs:
            match pair:
                case (str(), type()):
                    continue
                case _:
                    raise InvalidValueError(
                        f"{pair!r} is no unique field; give a column, or (column, type)."
                    )
        return pairs

    def get_dbfile(self) -> Path:
        """Return the path of the database file."""
        return file_of(vars(self))

    def save_backup(self, return_out: bool = False) -> Backup | None:
        """Write a dated, verified copy of the database to `backup_path`.

        Parameters
        ----------
        return_out
            Return the `Backup`, which says where and how large it is.
        """
        backup = self.tracker.back_up(self.backup_path)
        return backup if return_out else None

    def connect(self) -> Any:
        """Return a connection of the driver (PEP 249), which the caller commits and closes.

        What is changed through it has no event; prefer `update_database_field`.
        """
        database = self.tracker.database.handle
        with database.translating():
            return database.backend.driver_connection(database.write_engine)

    @contextlib.contextmanager
    def open_cursor(self, commit_changes: bool = False) -> Iterator[Any]:
        """Open a cursor of the driver (PEP 249).

        Parameters
        ----------
        commit_changes
            Commit at the end of the block. Without, the cursor can only read. After an error
            nothing is kept, and the driver's own error is raised.
        """
        try:
            with driver_cursor(self.tracker.database.handle, commit=commit_changes) as cursor:
                yield cursor
        except Exception as error:
            say(f"An exception occurred while using {self.db_name}!")
            say(error)
            raise

    def show_metadata(self) -> None:
        """Print where the database is, and which filters hold by default."""
        say(f"{self.host_type} database located at {self.db_path}")
        say(
            f"Database name: {self.db_name}{self.db_ext}, table name: {self.table_name}, "
            f"with uid: {self.uid}"
        )
        if self.backup_path is None:
            say("No backup path specified...")
        else:
            say(f"Backup path located at: {self.backup_path}")
        say("Default database filters:" if self.default_conditions else "No default filters.")
        for key, value in self.default_conditions.items():
            say("  ", self.construct_filter_string(key, self.process_filter_value(value)))

    # -- reading -------------------------------------------------------------------------------

    def table_column_info(self) -> tuple[list[str], list[type], list[bool]]:
        """Return the names of the columns, the Python types of their values, and where NULL may be.

        The types are the same on every database; dates are `datetime.datetime` at midnight.
        """
        columns = list(self._table.c)
        names = [column.name for column in columns]
        return (
            names,
            [_python_type(column) for column in columns],
            [bool(column.nullable) for column in columns],
        )

    def table_data(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the names of the columns and every row, in order of `uid`; NULL is None."""
        frame = self._frame({})
        columns = [list(map(plain, frame[name])) for name in frame.columns]
        return list(frame.columns), list(zip(*columns, strict=True))

    def get_table(self, use_default: bool = True, **kw_conditions: Any) -> pd.DataFrame:
        """Return the rows that pass all conditions, in order of `uid`, numbered from 0.

        Parameters
        ----------
        use_default
            Apply `default_conditions` too, but for the columns in `kw_conditions`.
        **kw_conditions
            ``column=value``, ``column=(value, operator)`` with ``==``, ``!=``, ``<``, ``<=``,
            ``>``, ``>=``, ``in``, ``not in``, ``between``, ``like``; ``column=[…]`` for any of
            several; ``column=None`` for an empty one; ``mouse__column`` for the mouse's.

        Raises
        ------
        UnknownNameError
            If there is no such column or operator.
        InvalidValueError
            If a value does not fit its column.
        """
        return self._frame(self._conditions(kw_conditions, use_default=use_default))

    def _frame(self, conditions: Mapping[str, Any]) -> pd.DataFrame:
        return self._rows.frame(conditions, include_scratched=True, show_blinded=True)

    def _conditions(self, given: Mapping[str, Any], *, use_default: bool) -> dict[str, Any]:
        return {**(self.default_conditions if use_default else {}), **given}

    def process_filter_value(self, val: Any) -> tuple[Any, str]:
        """Return a condition as (value, operator)."""
        return val if isinstance(val, tuple) else (val, "==")

    def construct_filter_string(self, key: str, val_op_tuple: tuple[Any, str]) -> str:
        """Return a condition as text for people; nothing evaluates it."""
        value, operator = val_op_tuple
        return f"`{key}`{operator}{value!r}"

    def get_record(self, *unique_values: Any, verbose: bool = True) -> pd.Series[Any] | None:
        """Return the row with this key, scratched or not, or None.

        Parameters
        ----------
        *unique_values
            A value for each of `unique_fields`, in any spelling; or one session, or its key as
            text such as ``ATL012.2023-01-20.702``.
        verbose
            Print that there is none.

        Raises
        ------
        InvalidValueError
            If the values are too many or too few, fit no key, or fit several rows.
        """
        wanted = self._key_columns(unique_values)
        found = self._frame({name: (value, "==") for name, value in wanted.items()})
        shown = shown_key(wanted)
        if len(found) > 1:
            raise InvalidValueError(f"Multiple records found under: {shown}")
        if found.empty:
            if verbose:
                say(f"No session found under: {shown}")
            return None
        return found.iloc[0]

    def _key_columns(self, values: Sequence[Any]) -> dict[str, Any]:
        names = [name for name, _ in self.unique_fields]
        if len(values) == 1 < len(names):
            columns = SessionKey.parse(values[0]).columns
            return {name: columns.get(name) for name in names}
        if len(values) != len(names):
            raise InvalidValueError(
                f"get_record takes values for {', '.join(names)}; {len(values)} were given."
            )
        given = dict(zip(names, values, strict=True))
        # A time of the day is left out: the old module's callers give what they have.
        return {
            **given,
            **{name: parse_date(given[name]) for name in given.keys() & {"sessionDate"}},
        }

    # -- writing -------------------------------------------------------------------------------

    def create_update_statement(self, field: str, uid: Any) -> str:
        """Return SQL for a driver's cursor that sets one field of one row; it takes the value."""
        number = self._rows.coercer.value(self.uid, uid)
        if number is None:
            raise InvalidValueError(f"{self.uid} is missing; give the number of a row.")
        return f"{self._update(field)} {int(number)}"

    def create_update_many_statement(self, field: str) -> str:
        """Return SQL for a driver's cursor that sets one field; it takes value and uid."""
        return f"{self._update(field)} {self._mark}"

    @property
    def _mark(self) -> str:
        return _MARKS[self.tracker.database.read_engine.dialect.paramstyle]

    def _update(self, field: str) -> str:
        self._require(field)
        quote = self.tracker.database.read_engine.dialect.identifier_preparer.quote_identifier
        table, column, number = quote(self.table_name), quote(field), quote(self.uid)
        return f"UPDATE {table} SET {column} = {self._mark} WHERE {number} ="  # noqa: S608

    def _require(self, field: str) -> None:
        if field not in self._rows.columns:
            raise UnknownNameError("column", field, self._rows.columns)

    def update_database_field(
        self,
        field: str,
        val: Any,
        *,
        where: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        **kw_conditions: Any,
    ) -> Update:
        """Set a field of every row that passes the conditions, scratched ones too.

        `sessionQC` and `scratchJustification` are kept in step: a session without a
        justification is not scratched, one with it is.

        Parameters
        ----------
        where
            Conditions on columns whose names are parameters here.
        dry_run
            Report what would change, and write nothing.
        **kw_conditions
            As `get_table`; all rows without any. ``use_default=True`` leaves out what the
            default conditions leave out.

        Returns
        -------
        Update
            How many rows matched and changed, and what changed.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such field, or the value does not fit it.
        """
        use_default = bool(kw_conditions.pop("use_default", False))
        conditions = self._conditions({**(where or {}), **kw_conditions}, use_default=use_default)
        self._require(field)
        values = _in_step(field, val)
        if not dry_run:
            say(f"Setting {field}={val} for all requested records...")
        update = self._rows.update(values, conditions, dry_run=dry_run, all_rows=True)
        say(update)
        return update

    def add_record(
        self, insert_statement: str | None, columns: Sequence[str], values: Sequence[Any]
    ) -> str:
        """Add one row.

        Parameters
        ----------
        insert_statement
            Not looked at: columns and values say it all.

        Returns
        -------
        str
            That it was added.

        Raises
        ------
        DuplicateError
            If the key is taken, by a scratched session too.
        UnknownMouseError, UnknownNameError, InvalidValueError
            If a session names a mouse that does not exist, or a value does not fit.
        """
        del insert_statement
        if len(columns) != len(values):
            raise InvalidValueError(
                f"{len(columns)} columns and {len(values)} values; give a value for each column."
            )
        given = dict(zip(columns, values, strict=True))
        self._rows.add(**given)
        wanted = {name: given.get(name) for name, _ in self.unique_fields}
        say(f"Successfully added new record for {shown_key(wanted)}")
        return "Successfully added new record"


def _python_type(column: Any) -> type:
    if isinstance(column.type, CalendarDate | LabTime):
        return dt.datetime
    try:
        found: type = column.type.python_type
    except NotImplementedError:
        return object
    return found


def _in_step(field: str, value: Any) -> dict[str, Any]:
    """Return the field together with the one that says the same in other words."""
    value = plain(value)
    if field == "sessionQC" and value == 1:
        return {"sessionQC": True, "scratchJustification": None}
    if field == "scratchJustification":
        return {"sessionQC": not value, "scratchJustification": value or None}
    return {field: value}

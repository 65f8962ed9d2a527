"""What can be done with the rows of one of the lab's tables."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from vrtracker.domain.mice import BLINDED, ENVIRONMENTS, tells_genotype
from vrtracker.errors import ImportFileError, InvalidValueError
from vrtracker.files.tables import TableOptions
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.values import Coercer
from vrtracker.services.context import LabContext
from vrtracker.services.entries.adding import add_rows, fitted
from vrtracker.services.entries.deleting import RowDeletion
from vrtracker.services.entries.editing import Update, update_rows
from vrtracker.services.entries.imports import ImportPlan, plan_import
from vrtracker.services.entries.rules import Key, Record, TableRules

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RowService"]


class RowService(RowDeletion, Generic[Record, Key]):
    """Lists, looks up, adds, edits and deletes rows; `rules` say what the table's own are."""

    def __init__(self, lab: LabContext, rules: TableRules[Record, Key]) -> None:
        self._lab = lab
        self.rules = rules

    @property
    def columns(self) -> list[str]:
        """Names of the columns, the lab's own at the end."""
        return list(self.rules.look_ups.table.c.keys())

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the columns that make up the key."""
        return self.rules.repository.key_columns

    @property
    def coercer(self) -> Coercer:
        """What fits values to the columns."""
        return self.rules.look_ups.coercer

    # -- reading ------------------------------------------------------------------------------

    def frame(
        self,
        where: Any = None,
        /,
        *,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        show_blinded: bool = False,
        parse_environments: bool = False,
        **filters: Any,
    ) -> pd.DataFrame:
        """Return the rows that pass the filters.

        Parameters
        ----------
        where
            A key, a condition such as ``"imaging and mouse.KO"``, filters as a mapping, a condition
            of SQLAlchemy's, or a query. See ``docs/selecting.md``.
        columns
            Names of columns, also ``mouse__column`` for sessions; all when not given.
        order_by
            Names of columns, ``-`` before one for descending order, missing values last; rows
            that agree, and all rows by default, are in order of their number.
        limit
            Number of rows at most.
        include_scratched
            Include scratched sessions. They are left out unless this is set, `sessionQC` is
            filtered, or the session is named by its key.
        show_blinded
            Show the genotype of blinded mice. It is missing unless this is set: KO, genotype,
            strain, and columns of the lab's own that are named for it. A column that is never
            missing otherwise, such as KO, is then a nullable one. Filters and order go by the
            true values.
        parse_environments
            Give `environmentOrder` as a tuple of numbers, None where it is missing.
        **filters
            ``column=value``; ``column=(value, operator)`` with ``==``, ``!=``, ``<``, ``<=``,
            ``>``, ``>=``, ``in``, ``not_in``, ``between``, ``like``, ``is_null``;
            ``column=[…]`` for any of several; ``column=None`` for a missing value. Of sessions
            also ``state={stage: …}``, ``qc={check: …}``, ``qc_lte={check: …}``, ``age_weeks``,
            ``days_since_last``, ``nth_session``, ``has_dataset``, ``changed_since``.

        Returns
        -------
        pandas.DataFrame
            One row a match; columns and dtypes as declared in `vrtracker.frames`, also when
            there are no rows.

        Raises
        ------
        UnknownNameError
            If a column or operator does not exist; it carries the nearest ones.
        InvalidValueError
            If a value does not fit its column; as a `ConditionError`, also if a condition cannot
            be read.
        """
        # With the first frame: pandas takes longer to import than most commands to run.
        from vrtracker.frames import hide, parse_orders, read_frame

        flag = f"{self.rules.mouse_prefix}{BLINDED}"
        secret = [] if show_blinded else self._secret(columns)
        is_added = bool(secret) and columns is not None and flag not in columns
        wanted = [*(columns or ()), flag] if is_added else columns
        listing = self._listing(where, filters, wanted, order_by, limit, include_scratched)
        table = self.rules.look_ups.table
        statement = listing_statement(self._lab.database.tables, table, listing)
        frame = read_frame(self._lab.database, statement)
        if secret:
            hide(frame, secret, where=frame[flag])
        if parse_environments:
            parse_orders(frame, f"{self.rules.mouse_prefix}{ENVIRONMENTS}")
        return frame.drop(columns=flag) if is_added else frame

    def _secret(self, columns: Sequence[str] | None) -> list[str]:
        """Return the columns that give a mouse's genotype away."""
        if isinstance(columns, str):
            return []
        prefix = self.rules.mouse_prefix
        return [
            name
            for name in (self.columns if columns is None else dict.fromkeys(columns))
            if name.startswith(prefix) and tells_genotype(name.removeprefix(prefix))
        ]

    def iter(
        self,
        where: Any = None,
        /,
        *,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        **filters: Any,
    ) -> Iterator[Any]:
        """Yield the rows that pass the filters, in the same order as `frame`."""
        listing = self._listing(where, filters, None, order_by, limit, include_scratched)
        with self._lab.unit(readonly=True) as unit:
            records = list(self.rules.of(unit).records(listing))
        return (self.rules.in_hand(record) for record in records)

    def count(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> int:
        """Return the number of rows that pass the filters."""
        listing = self._listing(where, filters, None, None, None, include_scratched)
        with self._lab.unit(readonly=True) as unit:
            return self.rules.of(unit).count(listing)

    def get(self, key: Any) -> Any:
        """Return the row with this key, scratched or not.

        Raises
        ------
        NotFoundError
            If there is none; it carries the nearest keys.
        InvalidKeyError, InvalidValueError
            If it is no key, or no name of a mouse.
        """
        found = self.find(key)
        if found is None:
            wanted = self.rules.key(key)
            subject, near = self.rules.look_ups.subject, self.rules.near(wanted)
            raise self._lab.not_found(subject, wanted, near)
        return found

    def find(self, key: Any) -> Any:
        """Return the row with this key, scratched or not, or None."""
        columns = self.rules.columns_of(self.rules.key(key))
        record = self.rules.look_ups.by_key(**columns)
        return None if record is None else self.rules.in_hand(record)

    def _listing(self, where: Any, filters: Mapping[str, Any], *asked: Any) -> Listing:
        """Return what is asked for; a session named by its key is looked up, scratched or not."""
        return Listing(self._where(where, filters), *asked)

    def _where(self, where: Any, filters: Mapping[str, Any]) -> Selection:
        def key(value: Any) -> Mapping[str, Any]:
            return self.rules.columns_of(self.rules.key(value))

        return self._lab.selection(where, filters, key=key)

    # -- writing ------------------------------------------------------------------------------

    def add(self, key: Any = None, /, **values: Any) -> Any:
        """Add one row and return it.

        Parameters
        ----------
        key
            The key, in place of its columns.
        **values
            Columns; those not given get their default.

        Raises
        ------
        DuplicateError
            If the key is taken, by a scratched session too.
        UnknownMouseError
            If a session names a mouse that does not exist.
        InvalidValueError
            If a value does not fit its column, or one is missing.
        """
        given = {
            **values,
            **(self.rules.columns_of(self.rules.key(key)) if key is not None else {}),
        }
        columns = self.coercer.columns({name: [value] for name, value in given.items()}, 1)
        self.rules.check_new(columns)
        return self.get(self.add_fitted(columns)[0])

    def add_many(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> list[Key]:
        """Add rows, all or none, and return their keys in order.

        A column of autonumbers, when every row has one, is kept.

        Raises
        ------
        DuplicateError, UnknownMouseError, InvalidValueError
            As `add`; the message names the row.
        """
        columns = fitted(self.rules, rows)
        return self.add_fitted(columns) if any(columns.values()) else []

    def add_fitted(self, columns: Mapping[str, Sequence[Any]]) -> list[Key]:
        """Add rows that the coercer has fitted, all or none, each with its event."""
        return add_rows(self.rules, columns)

    def read_table(
        self,
        path: str | os.PathLike[str],
        *,
        sheet: str | None = None,
        map: Mapping[str, str] | None = None,  # noqa: A002
        delimiter: str | None = None,
        encoding: str | None = None,
        decimal: str | None = None,
        date_format: str | None = None,
        missing: Collection[str] = (),
    ) -> ImportPlan:
        """Read a file of rows to be added; ``.apply()`` adds them, all or none.

        How it is written is found out and told (`ImportPlan.notes`); what can be meant in two
        ways is a problem that names the option which says it.

        Parameters
        ----------
        path
            ``.csv``, ``.tsv``, ``.txt``, ``.xlsx``, ``.xls``, ``.ods`` or ``.parquet``, with
            the names of the columns in its first row.
        sheet
            Name of the sheet of a workbook that has several.
        map
            ``{"Animal": "mouseName"}``: columns by header; ``""`` leaves a column out.
        delimiter, encoding
            Of a text file: one character, or comma, semicolon, tab, pipe; as Python names it.
        decimal
            ``,`` or ``.``.
        date_format
            How texts show dates: ``%d/%m/%Y``. ``iso``: dates begin with the year.
        missing
            Words that mean a missing value in texts too, such as ``NA``.

        Raises
        ------
        ImportFileError
            If it is not such a file at all: missing, of another kind, without rows.
        InvalidValueError, UnknownNameError
            If an option is wrong.
        MissingDependencyError
            If what reads this kind of file is not installed.
        """
        options = TableOptions(
            sheet, dict(map or {}), delimiter, encoding, decimal, date_format, tuple(missing)
        )
        plan = plan_import(self.rules, Path(path), options)
        if not plan.rows and not plan.problems:
            raise ImportFileError(f"{path} has a header and no rows; nothing is to be imported.")
        return plan

    def update(
        self,
        values: Mapping[str, Any],
        where: Any = None,
        /,
        *,
        dry_run: bool = False,
        reason: str | None = None,
        all_rows: bool = False,
        seen: Update | None = None,
        **filters: Any,
    ) -> Update:
        """Set columns of the rows that pass the filters, scratched ones too.

        Before several rows change, the database is copied, unless the lab wants no copies.

        Parameters
        ----------
        values
            New values by column; None empties a column.
        where
            As `frame`.
        dry_run
            Report what would change, and write nothing.
        reason
            Why, for the history.
        all_rows
            Allow an update without any filter.
        seen
            What a dry run of the same update showed. If it would not show that any more,
            nothing is written.

        Returns
        -------
        Update
            How many rows matched and changed, and what changed. A row that holds the values
            already is left alone and gets no event.

        Raises
        ------
        UnknownNameError, InvalidValueError
            As `frame`; also for values that would contradict each other.
        DuplicateError, UnknownMouseError
            If new values of the key are taken, or name no mouse.
        EditConflictError
            If somebody else changed what `seen` shows; it holds both versions.
        """
        wanted = self._where(where, filters)
        if not wanted and not all_rows:
            raise InvalidValueError(
                "An update without a filter changes every row; give a key or filter, or "
                "all_rows=True."
            )
        repository = self.rules.look_ups
        if repository.id_column.name in values:
            raise InvalidValueError(f"{repository.id_column.name} is counted by the database.")
        fitted_values = repository.coercer.changes(values)
        self.rules.check_update(fitted_values)
        return update_rows(
            self.rules, fitted_values, wanted, dry_run=dry_run, reason=reason, seen=seen
        )

"""What can be done with the rows of one of the lab's tables."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.errors import ImportFileError, InvalidValueError
from vrtracker.services.entries.adding import add_rows, fitted
from vrtracker.services.entries.deleting import RowDeletion
from vrtracker.services.entries.editing import Update, update_rows
from vrtracker.services.entries.reading import RowReading
from vrtracker.services.entries.rules import Key, Record

if TYPE_CHECKING:
    import pandas as pd

    from vrtracker.services.entries.imports import ImportPlan


class RowService(RowReading[Record, Key], RowDeletion):
    """Lists, looks up, adds, edits and deletes rows; `rules` say what the table's own are."""

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

        Examples
        --------
        >>> tracker.mice.add("ATL012", sex="F", KO=True).mouseName
        'ATL012'
        >>> tracker.sessions.add("ATL012.2023-01-20.702", imaging=True)
        Session('ATL012.2023-01-20.702')
        """
        given = {
            **values,
            **(self.rules.columns_of(self.rules.key(key)) if key is not None else {}),
        }
        columns = self.coercer.columns({name: [value] for name, value in given.items()}, 1)
        self.rules.check_new(columns)
        return self.get(add_rows(self.rules, columns)[0])

    def add_many(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> list[Key]:
        """Add rows, all or none, and return their keys in order.

        A column of autonumbers, when every row has one, is kept.

        Raises
        ------
        DuplicateError, UnknownMouseError, InvalidValueError
            As `add`; the message names the row.

        Examples
        --------
        >>> tracker.mice.add_many([{"mouseName": "ATL012", "sex": "F"}, {"mouseName": "ATL013"}])
        ['ATL012', 'ATL013']
        """
        columns = fitted(self.rules, rows)
        return add_rows(self.rules, columns) if any(columns.values()) else []

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

        Examples
        --------
        >>> pd.DataFrame({"Animal": ["ATL012"], "sex": ["F"]}).to_csv("mice.csv", index=False)
        >>> tracker.mice.read_table("mice.csv", map={"Animal": "mouseName"}).apply()
        1
        """
        from vrtracker.files.tables.table import TableOptions
        from vrtracker.services.entries.imports import plan_import

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
        dry_run
            Report what would change, and write nothing.
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

        Examples
        --------
        >>> tracker.sessions.update({"numPlanes": 3}, "mouseName = DEMO001", dry_run=True)
        Update(matched=4, rows=4, dry_run=True)
        >>> tracker.mice.update({"strain": None}, "DEMO001", reason="not genotyped")
        Update(matched=1, rows=1, dry_run=False)
        """
        wanted = self.rules.selection(where, filters)
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

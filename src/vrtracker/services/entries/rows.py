"""Adding, editing and deleting rows of one of the lab's tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.errors import (
    DependentRowsError,
    EditConflictError,
    InvalidValueError,
    NotFoundError,
)
from vrtracker.models.types import JSONDocument, to_json
from vrtracker.repositories.listing import Listing
from vrtracker.services.context import conflicts, old_and_new, values_of
from vrtracker.services.entries.reads import Key, Record, RowReader
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RowService", "Update"]


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did, or would do.

    Attributes
    ----------
    matched : int
        Rows that the filters matched.
    rows : int
        Rows that changed.
    changes : mapping
        For each row that changed, by its key: old and new value of each column.
    dry_run : bool
        Whether nothing was written.
    """

    matched: int
    rows: int
    changes: Mapping[str, Mapping[str, Sequence[Any]]] = field(repr=False)
    dry_run: bool

    def __str__(self) -> str:
        verb = "would change" if self.dry_run else "changed"
        return f"{self.rows} of {self.matched} matching rows {verb}"


class RowService(RowReader[Record, Key]):
    """Reads and writes the rows of one table."""

    # -- what the two tables answer differently -----------------------------------------------

    def _keys_of(self, columns: Mapping[str, Sequence[Any]]) -> list[Key]:
        raise NotImplementedError

    def _check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Raise InvalidValueError, with `row`, if the columns of a row contradict each other."""

    def check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if new values contradict each other."""

    def check_imported(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if a row from a file is not fit to be added."""

    def _explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        raise NotImplementedError

    def _dependents(self, unit: UnitOfWork, record: Record) -> dict[str, int]:
        raise NotImplementedError

    def _delete_dependents(self, unit: UnitOfWork, record: Record, reason: str) -> None:
        raise NotImplementedError

    def _check_rekeyed(self, unit: UnitOfWork, number: int, changes: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if a row may not get its new key."""

    def _settle(self, unit: UnitOfWork, number: int, reason: str | None) -> None:
        """Mend what other rows say of a row that got another key or is gone."""

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
        given = {**values, **(self._columns_of(self._key(key)) if key is not None else {})}
        columns = self.coercer.columns({name: [value] for name, value in given.items()}, 1)
        self._check_new(columns)
        return self.get(self.add_fitted(columns)[0])

    def add_many(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> list[Key]:
        """Add rows, all or none, and return their keys in order.

        A column of autonumbers, when every row has one, is kept.

        Raises
        ------
        DuplicateError, UnknownMouseError, InvalidValueError
            As `add`; the message names the row.
        """
        fitted = self.fitted(rows)
        return self.add_fitted(fitted) if any(fitted.values()) else []

    def add_fitted(self, columns: Mapping[str, Sequence[Any]]) -> list[Key]:
        """Add rows that the coercer has fitted, all or none, each with its event."""
        try:
            with self._lab.unit() as unit:
                keys = self.insert(unit, columns)
                unit.commit()
        except ViolationError as error:
            raise self.explained(error, columns) from error
        return keys

    def insert(self, unit: UnitOfWork, columns: Mapping[str, Sequence[Any]]) -> list[Key]:
        """Add fitted rows with their events inside a unit, whose errors the caller explains."""
        number = self._look_ups.id_column.name
        if None in columns.get(number, ()):
            raise InvalidValueError(f"Give {number} for every row, or for none.", column=number)
        keys = self._keys_of(columns)
        event = self._lab.event("", "added", subject_kind=self._look_ups.subject)
        self._of(unit).insert_columns(columns)
        documents = _documents(columns, self.coercer.defaults)
        unit.events.append_each(event, map(str, keys), documents)
        return keys

    def explained(self, error: ViolationError, columns: Mapping[str, Sequence[Any]]) -> Exception:
        """Return what stood in the way of adding rows."""
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        return self._explain(error, [dict(zip(names, row, strict=True)) for row in rows])

    def fitted(self, rows: Any) -> dict[str, list[Any]]:
        """Return rows, given as a frame or as mappings, fitted to the columns.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If they do not fit; the message names the row.
        """
        columns, count = _columns(rows)
        try:
            fitted = self.coercer.columns(columns, count)
            self._check_new(fitted)
        except InvalidValueError as error:
            if error.row is not None and count > 1:
                error.args = (f"Row {error.row + 1}: {error}",)
            raise
        return fitted

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

        Parameters
        ----------
        values
            New values by column; None empties a column.
        where
            A key, or filters as a mapping.
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
        wanted = self._filters(where, filters)
        if not wanted and not all_rows:
            raise InvalidValueError(
                "An update without a filter changes every row; give a key or filter, or "
                "all_rows=True."
            )
        repository = self._look_ups
        if repository.id_column.name in values:
            raise InvalidValueError(f"{repository.id_column.name} is counted by the database.")
        fitted = repository.coercer.changes(values)
        self.check_update(fitted)
        try:
            return self._update(fitted, wanted, dry_run=dry_run, reason=reason, seen=seen)
        except ViolationError as error:
            raise self._explain(error, self._moved(fitted, wanted)) from error

    def _moved(self, values: Mapping[str, Any], filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the key that an update meant to give, as a row, or an empty row for none."""
        names = self.key_columns
        with self._lab.unit(readonly=True) as unit:
            found = self._of(unit).present(Listing(filters, include_scratched=True))
        old = [{name: row[name] for name in names} for row in found]
        new = {name: values[name] for name in names if name in values}
        return [{**row, **new} for row in old if {**row, **new} != row] or [{}]

    def delete(self, key: Any, *, force: bool = False, reason: str | None = None) -> None:
        """Delete one row.

        Parameters
        ----------
        force
            Delete it together with the history that hangs on it. Its events, which hold its
            last values, stay.
        reason
            Why; needed with `force`.

        Raises
        ------
        DependentRowsError
            If history depends on it and `force` is not set.
        """
        if force and not (reason and reason.strip()):
            raise InvalidValueError("A forced deletion needs a reason; give reason=….")
        wanted = self._key(key)
        with self._lab.unit() as unit:
            repository = self._of(unit)
            columns = self._columns_of(wanted)
            # Once the row is locked, nobody can hang anything on it or delete it first.
            repository.present(Listing(columns, include_scratched=True), lock=True)
            record = repository.by_key(**columns)
            if record is None:
                raise NotFoundError(repository.subject, wanted)
            dependents = self._dependents(unit, record)
            if dependents and not force:
                raise DependentRowsError(repository.subject, wanted, dependents)
            self._delete_dependents(unit, record, reason or "")
            number = getattr(record, repository.id_column.name)
            repository.delete(number)
            gone: Any = wanted
            changes = old_and_new(values_of(record), {})
            event = self._lab.event(gone, "deleted", changes=changes, reason=reason)
            unit.events.append([event])
            self._settle(unit, number, reason)
            unit.commit()

    # -- helpers ------------------------------------------------------------------------------

    def _update(
        self,
        values: dict[str, Any],
        filters: dict[str, Any],
        *,
        dry_run: bool,
        reason: str | None,
        seen: Update | None,
    ) -> Update:
        with self._lab.unit(readonly=dry_run) as unit:
            repository = self._of(unit)
            found = repository.present(
                Listing(filters, include_scratched=True), list(values), lock=not dry_run
            )
            moved = set(values) & set(repository.key_columns)
            if moved and len(found) > 1:
                raise InvalidValueError(
                    f"{', '.join(sorted(moved))} is part of the key; change it for one row at a "
                    f"time ({len(found)} match)."
                )
            changed = {
                row[repository.id_column.name]: (row, difference)
                for row in found
                if (difference := old_and_new({name: row[name] for name in values}, values))
            }
            changes = {
                str(self._key_of_row(row)): difference for row, difference in changed.values()
            }
            if seen is not None and seen.changes != changes:
                present = {str(self._key_of_row(row)) for row in found}
                raise EditConflictError(conflicts(seen.changes, changes, values, present))
            rekeyed = {number: changed[number][1] for number in changed if moved}
            for number, difference in rekeyed.items():
                self._check_rekeyed(unit, number, difference)
            update = Update(len(found), len(changed), changes, dry_run)
            if dry_run or not changed:
                return update
            repository.set_values(list(changed), values)
            events: list[Any] = []
            for row, difference in changed.values():
                events += self._edited(row, values, difference, bool(moved), reason)
            unit.events.append(events)
            for number in rekeyed:
                self._settle(unit, number, reason)
            unit.commit()
        return update

    def _edited(
        self,
        row: Mapping[str, Any],
        values: Mapping[str, Any],
        changes: Mapping[str, Any],
        moved: bool,  # noqa: FBT001
        reason: str | None,
    ) -> list[Any]:
        """Return the event of an edit; a new key gets one too, which names the old one."""
        old_key: Any = self._key_of_row(row)
        events = [self._lab.event(old_key, "edited", changes=changes, reason=reason)]
        new_key: Any = self._key_of_row({**row, **values})
        if moved and new_key != old_key:
            named = {"key": [str(old_key), str(new_key)]}
            events.append(self._lab.event(new_key, "rekeyed", changes=named, reason=reason))
        return events


def _documents(
    columns: Mapping[str, Sequence[Any]], defaults: Mapping[str, Any]
) -> Iterator[JSONDocument]:
    """Yield what adding each row changed, as JSON; a column at its default is left out."""
    parts = [
        _members(name, values, defaults.get(name))
        for name, values in columns.items()
        if values.count(defaults.get(name)) < len(values)
    ]
    for members in zip(*parts, strict=True):
        yield JSONDocument(f"{{{','.join(filter(None, members))}}}")


def _members(name: str, values: Sequence[Any], default: Any) -> list[str]:
    """Return the member of a JSON object for each value, empty for the default."""
    start = f"{to_json(name)}:[null,"
    members = {value: f"{start}{_json(value)}]" for value in set(values)}
    members[default] = ""
    return [members[value] for value in values]


def _json(value: Any) -> str:
    return f'"{value}"' if isinstance(value, dt.date) else to_json(value)


def _columns(rows: Any) -> tuple[dict[str, Sequence[Any]], int]:
    """Return rows as columns of Python values, and their number."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        return {name: _python_values(rows[name]) for name in rows.columns}, len(rows)
    if isinstance(rows, Mapping):
        raise InvalidValueError("add_many takes a DataFrame or a list of rows; use add for one.")
    mappings = list(rows) if isinstance(rows, Iterable) else [rows]
    if not all(isinstance(row, Mapping) for row in mappings):
        raise InvalidValueError(
            "add_many takes a DataFrame or a list of rows; a row is a mapping of columns to values."
        )
    names = dict.fromkeys(name for row in mappings for name in row)
    return {name: [row.get(name) for row in mappings] for name in names}, len(mappings)


def _python_values(column: pd.Series[Any]) -> Sequence[Any]:
    """Return the values of a column as Python's own, missing times as None."""
    if column.dtype.kind == "M" and getattr(column.dtype, "tz", None) is None:
        values: list[Any] = column.to_numpy("datetime64[us]").astype(object).tolist()
        return values
    return column.tolist()

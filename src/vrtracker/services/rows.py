"""Adding, editing and deleting rows of one of the lab's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.errors import DependentRowsError, InvalidValueError, NotFoundError
from vrtracker.repositories.listing import Listing
from vrtracker.services.lab import old_and_new
from vrtracker.services.reads import Key, Record, RowReader
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

    def _check_new(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if the columns of a new row contradict each other."""

    def _check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if new values contradict each other."""

    def _explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        raise NotImplementedError

    def _dependents(self, unit: UnitOfWork, record: Record) -> dict[str, int]:
        raise NotImplementedError

    def _delete_dependents(self, unit: UnitOfWork, record: Record, reason: str) -> None:
        raise NotImplementedError

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
        row = self._look_ups.coercer.row(given)
        self._check_new(row)
        self.add_fitted([row])
        return self.get(self._key_of_row(row))

    def add_many(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> list[Key]:
        """Add rows, all or none, and return their keys in order.

        A column of autonumbers, when every row has one, is kept.

        Raises
        ------
        DuplicateError, UnknownMouseError, InvalidValueError
            As `add`; the message names the row.
        """
        fitted = [self._fit(position, row) for position, row in enumerate(_mappings(rows), start=1)]
        self.add_fitted(fitted)
        return [self._key_of_row(row) for row in fitted]

    def update(
        self,
        values: Mapping[str, Any],
        where: Any = None,
        /,
        *,
        dry_run: bool = False,
        reason: str | None = None,
        all_rows: bool = False,
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
        self._check_update(fitted)
        try:
            return self._update(fitted, wanted, dry_run=dry_run, reason=reason)
        except ViolationError as error:
            raise self._explain(error, [fitted]) from error

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
            record = repository.by_key(**self._columns_of(wanted))
            if record is None:
                raise NotFoundError(repository.subject, wanted)
            dependents = self._dependents(unit, record)
            if dependents and not force:
                raise DependentRowsError(repository.subject, wanted, dependents)
            self._delete_dependents(unit, record, reason or "")
            repository.delete(getattr(record, repository.id_column.name))
            old = {name: getattr(record, name) for name in record.__slots__ if name != "extra"}  # type: ignore[attr-defined]
            gone: Any = wanted
            changes = old_and_new(old, {})
            event = self._lab.event(gone, "deleted", changes=changes, reason=reason)
            unit.events.append([event])
            unit.commit()

    # -- helpers ------------------------------------------------------------------------------

    def _fit(self, position: int, values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            row = self._look_ups.coercer.row(values)
            self._check_new(row)
        except InvalidValueError as error:
            raise InvalidValueError(
                f"Row {position}: {error}", column=error.column, value=error.value
            ) from error
        return row

    def add_fitted(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows that the coercer has fitted, all or none, each with its event."""
        number = self._look_ups.id_column.name
        with_number = sum(number in row for row in rows)
        if with_number not in {0, len(rows)}:
            raise InvalidValueError(f"Give {number} for every row, or for none.", column=number)
        now = self._lab.now()
        try:
            with self._lab.unit() as unit:
                self._of(unit).insert_many(rows)
                unit.events.append([self._added(row, now) for row in rows])
                unit.commit()
        except ViolationError as error:
            raise self._explain(error, rows) from error

    def _added(self, row: Mapping[str, Any], now: Any) -> Any:
        changes = {name: [None, value] for name, value in row.items() if value is not None}
        key: Any = self._key_of_row(row)
        return self._lab.event(key, "added", at=now, changes=changes)

    def _update(
        self,
        values: dict[str, Any],
        filters: dict[str, Any],
        *,
        dry_run: bool,
        reason: str | None,
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
            update = Update(len(found), len(changed), changes, dry_run)
            if dry_run or not changed:
                return update
            repository.set_values(list(changed), values)
            events: list[Any] = []
            for row, difference in changed.values():
                events += self._edited(row, values, difference, bool(moved), reason)
            unit.events.append(events)
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


def _mappings(rows: Any) -> Iterable[Mapping[str, Any]]:
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        names = list(rows.columns)
        return (
            dict(zip(names, values, strict=True))
            for values in rows.itertuples(index=False, name=None)
        )
    if isinstance(rows, Mapping):
        raise InvalidValueError("add_many takes a DataFrame or a list of rows; use add for one.")
    return rows  # type: ignore[no-any-return]

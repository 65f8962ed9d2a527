"""Delete a row so that it can come back, restore it, or remove it for good."""

from __future__ import annotations

from typing import Any

from vrtracker.backends.base import ViolationError
from vrtracker.domain.roles import Role
from vrtracker.errors import (
    DependentRowsError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    UnknownNameError,
)
from vrtracker.found import Found, framed
from vrtracker.reading import INSTANT
from vrtracker.repositories.deletions import Deletion
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.entries.removing import KEY_TAKEN, bring_back, remove
from vrtracker.services.entries.rules import TableRules
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

_DELETED = {
    "key": "str",
    "deleted_at": INSTANT,
    **dict.fromkeys(("actor", "reason", "hanging"), "str"),
    "deletion": "int64",
}


class RowDeletion:
    """The verbs of `RowService` that take rows away and bring them back."""

    rules: TableRules[Any, Any]

    def get(self, key: Any) -> Any:
        """Return the row with this key."""
        raise NotImplementedError

    def delete(self, key: Any, *, force: bool = False, reason: str | None = None) -> None:
        """Delete one row with all that hangs on it; both can be restored, the key is free at once.

        Parameters
        ----------
        force
            Delete a mouse together with its sessions.
        reason
            Why; needed with `force`.

        Raises
        ------
        DependentRowsError
            If a mouse has sessions and `force` is not set.
        InvalidTransitionError
            If a session is being worked on.
        InvalidValueError
            If `force` comes without a reason.

        Examples
        --------
        >>> tracker.sessions.delete("DEMO003.2023-03-16.1", reason="a test of the rig")
        >>> tracker.mice.delete("DEMO001")
        Traceback (most recent call last):
            ...
        vrtracker.errors.DependentRowsError: The mouse 'DEMO001' has ... 4 sessions. ...
        """
        rules = self.rules
        if force and not (reason and reason.strip()):
            raise InvalidValueError("A forced deletion needs a reason; give reason=….")
        wanted = rules.key(key)
        with rules.lab.unit() as unit:
            repository = rules.of(unit)
            columns = rules.columns_of(wanted)
            # Once the row is locked, nobody can hang anything on it or delete it first.
            repository.present(Listing(Selection.of(columns), include_scratched=True), lock=True)
            record = repository.by_key(**columns)
            if record is None:
                raise rules.lab.not_found(repository.subject, wanted, unit=unit)
            dependents = rules.dependents(unit, record)
            if dependents and not force:
                raise DependentRowsError(repository.subject, wanted, dependents)
            rules.delete_dependents(unit, record, reason or "")
            remove(rules.lab, unit, [record], reason=reason)
            rules.settle(unit, getattr(record, repository.id_column.name), reason)
            unit.commit()

    def restore(self, key: Any, *, deletion: int | None = None, reason: str | None = None) -> Any:
        """Bring a deleted row back, with its number and all that hung on it; return it.

        A mouse comes with the sessions that were deleted together with it, all of them or none.

        Parameters
        ----------
        deletion
            Which one, by its number in `deleted`; the newest when not given.

        Raises
        ------
        NotFoundError, InvalidValueError
            If no such row was deleted, or it is there.
        DuplicateError, InvalidTransitionError
            If another row has its key, or its number, or that of one of a mouse's sessions, by
            now; or has the key and is worked on.
        MissingParentError
            If the session's mouse is not there.

        Examples
        --------
        >>> tracker.sessions.delete("DEMO003.2023-03-16.1")
        >>> tracker.sessions.restore("DEMO003.2023-03-16.1")
        Session('DEMO003.2023-03-16.1')
        """
        rules = self.rules
        wanted = rules.key(key)
        try:
            with rules.lab.unit() as unit:
                entry = _entry(rules, unit, wanted, deletion)
                _check_free(rules, unit, wanted, entry)
                bring_back(rules.lab, unit, [entry], reason=reason)
                rules.restore_dependents(unit, entry, reason)
                rules.settle(unit, entry.row_number, reason)
                unit.commit()
        except ViolationError as error:
            raise rules.explain(error, [rules.columns_of(wanted)]) from error
        return self.get(wanted)

    @framed
    def deleted(self) -> Found:
        """Return what can be restored, newest first.

        Returns
        -------
        pandas.DataFrame
            key, deleted_at (UTC), actor, reason, hanging (what hung on it, in words),
            deletion (int64).

        Examples
        --------
        >>> tracker.sessions.delete("DEMO001.2023-01-18.701", reason="twice")
        >>> tracker.sessions.deleted()[["key", "actor", "reason", "hanging"]]
                              key actor reason                                hanging
        0  DEMO001.2023-01-18.701   ada  twice  1 attempt, 1 stage state, 17 datasets
        """
        rules = self.rules
        with rules.lab.unit(readonly=True) as unit:
            entries = unit.deletions.of(rules.repository.subject)
            hanging = rules.hanging(unit, entries)
        rows = [
            {
                "key": each.subject_key,
                "deleted_at": each.deleted_at,
                "actor": each.actor,
                "reason": each.reason,
                "hanging": with_it,
                "deletion": each.deletion_id,
            }
            for each, with_it in zip(entries, hanging, strict=True)
        ]
        return Found(rows, _DELETED)

    def purge(self, key: Any, *, deletion: int | None = None, reason: str | None = None) -> None:
        """Remove a deleted row for good, with all that hung on it; its events stay.

        The sessions that were deleted with a mouse are purged by themselves.

        Parameters
        ----------
        deletion
            Which one, as in `restore`; needed if the key was deleted more than once.

        Raises
        ------
        NotFoundError, InvalidValueError
            If no such row was deleted; one that is there must be deleted first.

        Examples
        --------
        >>> tracker.sessions.delete("DEMO003.2023-03-16.1")
        >>> tracker.sessions.purge("DEMO003.2023-03-16.1", reason="another lab's")
        >>> len(tracker.sessions.deleted())
        0
        """
        rules = self.rules
        wanted = rules.key(key)
        with rules.lab.unit(needs=Role.ADMIN) as unit:
            entries = unit.deletions.of(rules.repository.subject, str(wanted))
            if len(entries) > 1 and deletion is None:
                numbers = ", ".join(str(each.deletion_id) for each in entries)
                raise InvalidValueError(
                    f"{wanted} was deleted {len(entries)} times; say which one goes: deletion "
                    f"{numbers}."
                )
            entry = _entry(rules, unit, wanted, deletion)
            unit.deletions.purge([entry.deletion_id])
            unit.events.append([rules.lab.event(wanted, "purged", reason=reason)])
            unit.commit()


def _check_free(rules: TableRules[Any, Any], unit: UnitOfWork, key: Any, entry: Deletion) -> None:
    """Refuse an entry whose key is taken by now, or whose mouse is not there.

    Raises DuplicateError, InvalidTransitionError if by a session that is worked on, or
    MissingParentError.
    """
    repository = rules.of(unit)
    there = repository.by_key(**rules.columns_of(key))
    if there is not None:
        rules.check_gives_way(unit, there)
        raise DuplicateError(repository.subject, key, KEY_TAKEN)
    rules.check_keys(unit, [key])
    rules.check_parent(unit, entry.row)


def _entry(
    rules: TableRules[Any, Any], unit: UnitOfWork, key: Any, deletion: int | None
) -> Deletion:
    """Return the newest deletion of a key, or the one that is meant."""
    subject = rules.repository.subject
    entries = {each.deletion_id: each for each in unit.deletions.of(subject, str(key))}
    if not entries:
        if rules.of(unit).by_key(**rules.columns_of(key)) is not None:
            raise InvalidValueError(
                f"{key} is not deleted. To delete it: vrtracker {rules.plural} delete {key}"
            )
        known = [each.subject_key for each in unit.deletions.of(subject)]
        raise NotFoundError(f"deleted {subject}", key, nearest(str(key), known))
    if deletion is None:
        return next(iter(entries.values()))
    if deletion not in entries:
        raise UnknownNameError(f"deletion of {key}", deletion, map(str, entries))
    return entries[deletion]

"""Every exception that vrtracker raises on purpose.

Each class answers one question: what can the caller do now? The message states the
fact and then the remedy; the values behind it are attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vrtracker.spelling import did_you_mean, known_ones, nearest, on_one_line, pointed

__all__ = [
    "BackendError",
    "BudgetError",
    "ClaimHeldError",
    "ConcurrentUpdateError",
    "ConditionError",
    "ConfigurationError",
    "DatabaseAwayError",
    "DatabaseUnavailableError",
    "DependentRowsError",
    "DuplicateError",
    "EditConflictError",
    "ForeignSchemaError",
    "ImportFileError",
    "InvalidKeyError",
    "InvalidTransitionError",
    "InvalidValueError",
    "LostClaimError",
    "MissingDependencyError",
    "MissingParentError",
    "NoRegistrarError",
    "NotEmptyError",
    "NotFoundError",
    "NotUndoableError",
    "ReadOnlyError",
    "RegistrarError",
    "RoleError",
    "RootUnavailableError",
    "SchemaError",
    "SchemaOutOfDateError",
    "SchemaTooNewError",
    "SessionTimeoutError",
    "UnknownMouseError",
    "UnknownNameError",
    "UnknownUserError",
    "VrtrackerError",
    "WorkerDiedError",
    "WorkersError",
]


class VrtrackerError(Exception):
    """Base of every error of this package."""

    def __reduce__(self) -> Any:
        # Python would call the class with the message alone; a worker's error would break its pool.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[VrtrackerError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidKeyError(VrtrackerError, ValueError):
    """The text or tuple does not name a session; spell it ``ATL012.2023-01-20.702``."""


class InvalidValueError(VrtrackerError, ValueError):
    """A value does not fit its column; `column`, `value` and `row` (from 0) say which."""

    def __init__(
        self, message: str, *, column: str | None = None, value: Any = None, row: int | None = None
    ) -> None:
        super().__init__(message)
        self.column, self.value, self.row = column, value, row


class ConditionError(InvalidValueError):
    """A condition is wrong at `at`: `expected` could stand there, `nearest` may be meant."""

    def __init__(
        self,
        problem: str,
        text: str,
        at: int,
        expected: Iterable[str] = (),
        near: Sequence[str] = (),
    ) -> None:
        super().__init__(f"{on_one_line(problem)}\n{pointed(text, at)}")
        self.text, self.at, self.expected, self.nearest = text, at, tuple(expected), tuple(near)


class UnknownNameError(VrtrackerError, ValueError):
    """A column, operator, stage or the like does not exist; `nearest` holds the likely ones."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        self.nearest = nearest(str(name), self.known)
        hint = did_you_mean(self.nearest) or known_ones(self.known)
        super().__init__(f"There is no {kind} {name!r}.{hint}")


class NotFoundError(VrtrackerError, LookupError):
    """Nothing has this key; `key` is what was asked for, `nearest` what exists like it."""

    def __init__(
        self, kind: str, key: object, near: Sequence[str] = (), remedy: str = "", at: str = ""
    ) -> None:
        self.kind, self.key, self.nearest = kind, key, tuple(near)
        hint = f" {remedy}" if remedy else did_you_mean(near)
        super().__init__(f"There is no {kind} {str(key)!r} in {at or 'the database'}.{hint}")


class UnknownMouseError(NotFoundError):
    """A session names a mouse that is not in the database; add it first, or spell it right."""

    def __init__(self, mouse: str, near: Sequence[str] = ()) -> None:
        super().__init__("mouse", mouse, near)
        remedy = f" Add it first: vrtracker mice add {mouse}"
        if near and near[0].casefold() == mouse.casefold():
            remedy = f" Write it as {near[0]!r}: the case of letters alone tells no mice apart."
        self.args = (f"{self.args[0]}{remedy}",)


class UnknownUserError(NotFoundError):
    """The server has no such user; have it made first."""

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__("user", name, near)
        quoted = name.replace('"', '""')
        remedy = f"Its administrator makes it: CREATE ROLE \"{quoted}\" LOGIN PASSWORD '…'"
        said = f"The server of the database has no user {name!r}.{did_you_mean(near)} {remedy}"
        self.args = (said,)


class MissingParentError(NotFoundError):
    """A session cannot come back while its mouse is not there; `key` is the mouse."""

    def __init__(self, mouse: str, *, can_return: bool) -> None:
        super().__init__("mouse", mouse)
        remedy = f"vrtracker mice {'restore' if can_return else 'add'} {mouse}"
        verb = "Restore" if can_return else "Add"
        self.args = (f"The session's mouse {mouse!r} is not there. {verb} it first: {remedy}",)


class DuplicateError(VrtrackerError):
    """The key is taken; `key` is the one that exists, `note` says more (such as: scratched)."""

    def __init__(self, kind: str, key: object, note: str = "") -> None:
        self.kind, self.key, self.note = kind, key, note
        detail = f" ({note})" if note else ""
        remedy = (
            "Edit it, or use another key" if kind in {"mouse", "session"} else "Use another name"
        )
        article = "an" if kind.startswith("e") else "a"
        super().__init__(f"There is {article} {kind} {str(key)!r} already{detail}. {remedy}.")


class NotEmptyError(VrtrackerError):
    """What is to be filled holds something already; `found` says what."""

    def __init__(self, database: object, found: Sequence[str]) -> None:
        self.found = tuple(found)
        super().__init__(
            f"{database} is not empty, it holds {', '.join(found)}; nothing was written. Give the "
            "path of a new file, or an empty database."
        )


class DependentRowsError(VrtrackerError):
    """Deleting would lose history; `dependents` counts what hangs on the row, by table."""

    def __init__(self, kind: str, key: object, dependents: dict[str, int]) -> None:
        self.kind, self.key, self.dependents = kind, key, dependents
        listing = ", ".join(f"{count} {name}" for name, count in dependents.items())
        super().__init__(
            f"The {kind} {str(key)!r} has history that depends on it: {listing}. "
            "Delete those first, or all together with force=True and a reason."
        )


class InvalidTransitionError(VrtrackerError):
    """The state does not allow this transition; `allowed` lists what it does allow."""

    def __init__(
        self,
        key: object,
        stage: str | None,
        transition: str,
        *,
        current: str,
        allowed: Iterable[str],
        why: str = "",
    ) -> None:
        self.key, self.stage, self.transition = key, stage, transition
        self.current, self.allowed = current, tuple(allowed)
        where = f"{stage} of {key}" if stage else f"{key}"
        # The others only the process that works on the session makes.
        theirs = [one for one in self.allowed if one not in {"succeed", "fail", "cancel"}]
        choices = ", ".join(theirs) or "nothing"
        because = f" {why}" if why else ""
        super().__init__(
            f"Cannot {transition}: {where} is {current}.{because} Allowed now: {choices}."
        )


class ConcurrentUpdateError(VrtrackerError):
    """Somebody else changed the row meanwhile, nothing was written; read again and retry."""

    def __init__(self, key: object, what: str = "changed", who: str = "somebody else") -> None:
        self.key = key
        super().__init__(
            f"{key} was {what} by {who} in the meantime; nothing was written. "
            "Read it again and retry."
        )


class NotUndoableError(VrtrackerError):
    """Something stands in the way of undoing; `problems` lists it, with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more} Nothing was undone.")


class EditConflictError(ConcurrentUpdateError):
    """Rows that were to be edited were changed by somebody else since they were shown.

    `conflicts` holds, by key and column: the value that was shown, the one that is there now,
    and the one that was to be written.
    """

    def __init__(self, conflicts: Mapping[str, Mapping[str, tuple[Any, Any, Any]]]) -> None:
        self.conflicts = {key: dict(columns) for key, columns in conflicts.items()}
        shown = "; ".join(
            f"{key} {column}: was {was!r}, is {now!r} now, was to be {wanted!r}"
            for key, columns in self.conflicts.items()
            for column, (was, now, wanted) in columns.items()
        )
        super().__init__(next(iter(self.conflicts)))
        message = (
            f"Somebody else changed what is to be edited ({shown}); nothing was written. "
            "Look at both versions, and repeat the edit if it is still right."
        )
        self.args = (message,)


class LostClaimError(ConcurrentUpdateError):
    """The claim on a session expired and was taken over; the late result is refused."""

    def __init__(self, key: object, stage: str) -> None:
        super().__init__(key, f"taken over (its claim on {stage} expired)")
        self.stage = stage


class ReadOnlyError(VrtrackerError):
    """The tracker was opened read-only, or is of the past; write with one that is neither."""


class RoleError(VrtrackerError):
    """You may not do this; `who` has the `role` (None: none, or not told), not what is `needed`."""

    def __init__(
        self, message: str, *, who: str, role: str | None = None, needed: str | None = None
    ) -> None:
        self.who, self.role, self.needed = who, role, needed
        super().__init__(message)


class BackendError(VrtrackerError):
    """The database refused or failed; the driver's error is the cause."""


class DatabaseUnavailableError(BackendError):
    """The database cannot be opened: missing, not permitted, wrong password, unreachable."""


class DatabaseAwayError(DatabaseUnavailableError):
    """The database does not answer just now, or somebody else holds it; try again in a moment."""


class SchemaError(BackendError):
    """The database's schema is not the one that this version works with."""


class SchemaOutOfDateError(SchemaError):
    """The database is older than this vrtracker; upgrade the database."""

    def __init__(self, found: str | None, expected: str, command: str) -> None:
        self.found, self.expected, self.command = found, expected, command
        super().__init__(
            f"The database is at schema revision {found or 'none'}, this vrtracker needs "
            f"{expected}. Upgrade it: {command}"
        )


class SchemaTooNewError(SchemaError):
    """The database was upgraded by a newer vrtracker; upgrade the package."""

    def __init__(self, found: str, expected: str, version: str) -> None:
        self.found = found
        self.expected = expected
        self.command = "pip install --upgrade vrtracker"
        super().__init__(
            f"The database is at schema revision {found}, which vrtracker {version} does not know "
            f"(it knows up to {expected}). Upgrade the package: {self.command}"
        )


class ForeignSchemaError(SchemaError):
    """The database holds other tables, not the tracker's."""


class MissingDependencyError(VrtrackerError, ImportError):
    """An optional part is not installed; the message is the line that installs it."""

    def __init__(self, what: str, extra: str, *, install: str | None = None) -> None:
        self.extra = extra
        command = install or f'pip install "vrtracker[{extra}]"'
        super().__init__(f"{what} needs an optional part: {command}")


class ConfigurationError(VrtrackerError):
    """A setting, profile or declared stage is wrong or missing."""


class NoRegistrarError(ConfigurationError):
    """Nothing is configured that does this stage."""


class RootUnavailableError(VrtrackerError):
    """The folder that holds the sessions is missing, empty or not mounted; nothing was changed."""


class ImportFileError(VrtrackerError):
    """A file to import has problems; `problems` lists all of them, nothing was written."""

    def __init__(self, message: str, problems: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class RegistrarError(VrtrackerError):
    """A registrar cannot be found, or did not do what it must."""


class ClaimHeldError(VrtrackerError):
    """Somebody may still work on the session."""

    def __init__(self, key: object, stage: str, holder: str, seen: object) -> None:
        self.key = key
        self.stage = stage
        super().__init__(
            f"{stage} of {key} is worked on by {holder}, who last showed a sign of life at {seen}. "
            "Wait for it; or take it away, its result is refused then: "
            f"vrtracker release {key} --force --reason WHY"
        )


class WorkerDiedError(VrtrackerError):
    """The process that worked on a session was gone before it had recorded how that ended."""

    def __init__(self, key: object, stage: str, why: str) -> None:
        super().__init__(
            f"{why[0].upper()}{why[1:]} before {stage} of {key} ended. Look at what the work needs "
            f"(memory?), then try again: vrtracker register {key}"
        )


class SessionTimeoutError(VrtrackerError, TimeoutError):
    """The work on a session took longer than it may, and was ended with all that it started."""

    def __init__(self, key: object, minutes: float) -> None:
        self.key = key
        self.minutes = minutes
        super().__init__(
            f"The work on {key} took longer than {minutes:g} minutes and was ended. See what "
            f"holds it up, or give it more time: vrtracker register {key} --timeout MINUTES"
        )

    def __reduce__(self) -> Any:
        return type(self), (self.key, self.minutes)


class WorkersError(VrtrackerError):
    """The workers of a run end before they do anything, or none can be placed any more."""


class BudgetError(VrtrackerError):
    """A result would exceed the budget of the run; it was discarded and the run stopped."""

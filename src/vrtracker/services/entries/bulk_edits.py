"""Edit many sessions from a CSV file: every change is shown first, then all are made or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import EditConflictError, ImportFileError, InvalidValueError, NotFoundError
from vrtracker.files.tables.table import PLAIN_CSV
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabContext, old_and_new
from vrtracker.services.entries.editing import Update
from vrtracker.services.entries.entering import odd_words
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.entries.table_rows import Problem, TableReading
from vrtracker.services.history.outside import absorb_few

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = "uSessionID"
_SCRATCH = ("sessionQC", "scratchJustification")


@dataclass(frozen=True, slots=True)
class _Edit:
    """The changes of one session; `seen` holds the file's columns as they were."""

    number: int
    key: SessionKey
    seen: Mapping[str, Any]
    new: Mapping[str, Any]

    @property
    def changes(self) -> dict[str, list[Any]]:
        return {name: [self.seen[name], value] for name, value in self.new.items()}


@dataclass(frozen=True, slots=True, repr=False)
class EditPlan(Shown):
    """What a file would change.

    `matched`: sessions that the file names. `problems`: all of them, in order of lines; `apply`
    refuses while there are any. `warnings`: values that no session has yet.
    """

    path: Path
    matched: int
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    edits: tuple[_Edit, ...] = field(repr=False)
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would change, and what stands in the way."""
        said = f"{len(self.edits)} of {self.matched} sessions to edit: .apply() does it."
        if self.problems:
            said = f"nothing is edited before {counted(len(self.problems), 'problem')} went."
        rows = [
            (key, column, *pair)
            for key, columns in self.changes.items()
            for column, pair in columns.items()
        ]
        notes = [*map(str, self.problems), *self.warnings]
        return Facts(f"{self.path}: {said}", rows, ("key", "column", "old", "new"), notes=notes)

    @property
    def changes(self) -> dict[str, dict[str, list[Any]]]:
        """For each session that would change, by its key: old and new value of each column."""
        return {str(edit.key): edit.changes for edit in self.edits}

    def frame(self) -> pd.DataFrame:
        """Return the changes: key, column, old, new (object)."""
        import pandas as pd

        rows = [
            (key, column, old, new)
            for key, changes in self.changes.items()
            for column, (old, new) in changes.items()
        ]
        return pd.DataFrame(rows, columns=["key", "column", "old", "new"], dtype=object)

    def apply(self, *, reason: str | None = None) -> Update:
        """Make all changes in one transaction, each session with its event.

        Raises ImportFileError if there are problems; nothing is written. Raises EditConflictError
        if somebody else changed one of the sessions since; it holds both versions.
        """
        done: Update = self._service.apply(self, reason)
        return done


class BulkEditService:
    """Compares files with what the database holds."""

    def __init__(self, lab: LabContext, sessions: SessionService) -> None:
        self._lab = lab
        self._sessions = sessions

    def plan(self, path: str | Path, *, base: str | Path | None = None) -> EditPlan:
        """Read a file and return what it would change; see `vrtracker.tracker.Tracker.edit_csv`."""
        reading = TableReading(self._sessions.rules, Path(path), PLAIN_CSV, new=False)
        rows = list(reading.rows())
        found = self._present(Listing(include_scratched=True), reading.columns)
        before = {} if base is None else self._base(Path(base))
        problems, edits, seen = reading.problems, [], set()
        for line, row in zip(reading.lines, rows, strict=True):
            key = SessionKey.parse(row)
            try:
                edit = self._edit(key, row, found, before.get(key), is_again=key in seen)
            except (InvalidValueError, NotFoundError) as error:
                problems.append(Problem(line, getattr(error, "column", None), str(error)))
                continue
            finally:
                seen.add(key)
            if edit.new:
                edits.append(edit)
        problems.sort(key=lambda problem: problem.line)
        words = odd_words(self._lab, self._sessions, [edit.new for edit in edits])
        return EditPlan(Path(path), len(rows), tuple(problems), tuple(words), tuple(edits), self)

    def apply(self, plan: EditPlan, reason: str | None) -> Update:
        """Make the changes of a plan, all or none."""
        if plan.problems:
            raise ImportFileError(
                f"{plan.path}: {plan.problems[0]} Nothing was changed.", plan.problems
            )
        if not plan.edits:
            return Update(plan.matched, 0, {}, dry_run=False)
        keep_copy(self._lab, "edit")
        numbers = [edit.number for edit in plan.edits]
        with self._lab.unit() as unit:
            found = self._present(
                Listing(Selection.of({_NUMBER: numbers}), include_scratched=True),
                plan.edits[0].seen,
                unit,
            )
            conflicts = {
                str(edit.key): versions
                for edit in plan.edits
                if (versions := _versions(edit, found.get(edit.key)))
            }
            if conflicts:
                raise EditConflictError(conflicts)
            absorb_few(self._lab, unit, unit.sessions, numbers)
            for values, alike in _alike(plan.edits):
                unit.sessions.set_values(alike, values)
            unit.events.append(
                [
                    self._lab.event(edit.key, "edited", changes=edit.changes, reason=reason)
                    for edit in plan.edits
                ]
            )
            unit.commit()
        return Update(plan.matched, len(plan.edits), plan.changes, dry_run=False)

    def _present(
        self, listing: Listing, names: Any, unit: Any = None
    ) -> dict[SessionKey, dict[str, Any]]:
        if unit is None:
            with self._lab.unit(readonly=True) as reader:
                rows = reader.sessions.present(listing, list(names))
        else:
            rows = unit.sessions.present(listing, list(names), lock=True)
        return {SessionKey.parse(row): row for row in rows}

    def _base(self, path: Path) -> dict[SessionKey, dict[str, Any]]:
        reading = TableReading(self._sessions.rules, path, PLAIN_CSV, new=False)
        rows = {SessionKey.parse(row): row for row in reading.rows()}
        if reading.problems:
            raise ImportFileError(f"{path}: {reading.problems[0]}", reading.problems)
        return rows

    def _edit(
        self,
        key: SessionKey,
        row: Mapping[str, Any],
        found: Mapping[SessionKey, Mapping[str, Any]],
        base: Mapping[str, Any] | None,
        *,
        is_again: bool,
    ) -> _Edit:
        """Return what one row of the file changes, or raise what is wrong with it."""
        if is_again:
            raise InvalidValueError(f"{key} stands in the file twice.")
        if key not in found:
            # Looked up for the sake of the nearest keys that its error names.
            self._sessions.get(key)
        present = found[key]
        if row.get(_NUMBER, present[_NUMBER]) != present[_NUMBER]:
            raise InvalidValueError(
                f"the number of {key} is {present[_NUMBER]}, not {row[_NUMBER]}.", column=_NUMBER
            )
        seen = {name: present[name] for name in row if name != _NUMBER}
        wanted = {name: row[name] for name in _touched(row, base) if name in seen}
        values = {name: new for name, (_, new) in old_and_new(seen, {**seen, **wanted}).items()}
        before = base or {}
        for name in values:
            if name in before and before[name] != present[name]:
                raise InvalidValueError(
                    f"{key} was changed by somebody else: it was {before[name]!r}, is "
                    f"{present[name]!r} now, and the file says {row[name]!r}.",
                    column=name,
                )
        self._check(values, seen)
        return _Edit(present[_NUMBER], key, seen, values)

    def _check(self, values: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
        self._sessions.coercer.changes(values)
        pair = {name: seen[name] for name in _SCRATCH if name in seen}
        self._sessions.rules.check_update(
            {**pair, **values} if set(_SCRATCH) & set(values) else values
        )


def _touched(row: Mapping[str, Any], base: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the columns of a row that differ from the file as it was before people edited it."""
    for name, value in row.items():
        if base is None or name not in base or base[name] != value:
            yield name


def _versions(edit: _Edit, present: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any, Any]]:
    """Return the columns that changed meanwhile: as they were, as they are, as is wanted."""
    if present is None:
        return {"key": (str(edit.key), None, str(edit.key))}
    return {
        name: (old, present[name], edit.new.get(name, old))
        for name, old in edit.seen.items()
        if present[name] != old
    }


def _alike(edits: Sequence[_Edit]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Yield the different sets of new values, each with the sessions that get it."""
    groups: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for edit in edits:
        groups.setdefault(tuple(edit.new.items()), []).append(edit.number)
    for values, numbers in groups.items():
        yield dict(values), numbers

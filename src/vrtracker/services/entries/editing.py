"""Edit rows: every change with its event, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from vrtracker.backends.base import ViolationError
from vrtracker.display import Facts, Shown
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import EditConflictError, InvalidValueError
from vrtracker.models.types import JSONDocument, to_json
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import conflicts, old_and_new
from vrtracker.services.entries.rules import TableRules
from vrtracker.services.history.outside import absorb_few


@dataclass(frozen=True, slots=True)
class Update(Shown):
    """What an update did, or would do.

    `matched`: rows that the filters matched. `rows`: rows that changed. `changes`: for each row
    that changed, by its key: old and new value of each column. `dry_run`: whether nothing was
    written.
    """

    matched: int
    rows: int
    changes: Mapping[str, Mapping[str, Sequence[Any]]] = field(repr=False)
    dry_run: bool

    def facts(self) -> Facts:
        """Return how many rows changed, and their values; those of genotypes are not shown."""
        verb = "would change" if self.dry_run else "changed"
        title = f"{self.rows} of {self.matched} matching rows {verb}"
        return Facts(title, _shown(self.changes), ("key", "column", "old", "new"))

    def __str__(self) -> str:
        """Return the sentence alone, which scripts print and log."""
        return self.facts().title


def _shown(changes: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[tuple[Any, ...]]:
    return [
        (key, column, *(("hidden", "hidden") if tells_genotype(column) else pair))
        for key, columns in changes.items()
        for column, pair in columns.items()
    ]


def update_rows(
    rules: TableRules[Any, Any],
    values: Mapping[str, Any],
    filters: Selection,
    *,
    dry_run: bool,
    reason: str | None,
    seen: Update | None,
) -> Update:
    """Set fitted values of the rows that pass the filters; see `RowService.update`."""
    lab = rules.lab
    from vrtracker.services.administration.backups import keep_copy, keeps_copies

    options: Any = {"dry_run": dry_run, "reason": reason, "seen": seen}
    try:
        update, is_held = _update(rules, values, filters, **options, copied=not keeps_copies(lab))
        if is_held:
            # After the transaction that found several rows: a copy waits for whoever writes.
            keep_copy(lab, "update")
            update, _ = _update(rules, values, filters, **options, copied=True)
    except ViolationError as error:
        raise rules.explain(error, _moved(rules, values, filters)) from error
    return update


def _update(
    rules: TableRules[Any, Any],
    values: Mapping[str, Any],
    filters: Selection,
    *,
    dry_run: bool,
    reason: str | None,
    seen: Update | None,
    copied: bool,
) -> tuple[Update, bool]:
    """Return what changed, and whether that was held back until the database is copied."""
    with rules.lab.unit(readonly=dry_run) as unit:
        repository = rules.of(unit)
        listing = Listing(filters, include_scratched=True)
        found = repository.present_columns(listing, list(values), lock=not dry_run)
        matched = len(found[repository.id_column.name])
        moved = set(values) & set(repository.key_columns)
        if moved and matched > 1:
            raise InvalidValueError(
                f"{', '.join(sorted(moved))} is part of the key; change it for one row at a "
                f"time ({matched} match)."
            )
        differing = _differing(found, values)
        changed = {name: list(compress(column, differing)) for name, column in found.items()}
        numbers = changed[repository.id_column.name]
        keys = map(str, rules.keys_of(changed))
        changes = dict(zip(keys, filter(None, differing), strict=True))
        if seen is not None and seen.changes != changes:
            raise EditConflictError(
                conflicts(seen.changes, changes, values, {*map(str, rules.keys_of(found))})
            )
        rekeyed = numbers if moved else []
        for number, difference in zip(rekeyed, changes.values(), strict=False):
            rules.check_rekeyed(unit, number, difference)
        update = Update(matched, len(changes), changes, dry_run)
        is_held = len(changes) > 1 and not copied
        if dry_run or not changes or is_held:
            return update, is_held and not dry_run
        absorb_few(rules.lab, unit, repository, numbers)
        repository.set_values(numbers, values)
        edited = rules.lab.event("", "edited", subject_kind=repository.subject, reason=reason)
        unit.events.append_each(edited, changes, _documents(changes.values()))
        if moved:
            unit.events.append(_rekeyed(rules, changed, values, reason))
        for number in rekeyed:
            rules.settle(unit, number, reason)
        unit.commit()
    return update, False


def _differing(
    found: Mapping[str, Sequence[Any]], values: Mapping[str, Any]
) -> list[Mapping[str, list[Any]]]:
    """Return what the values change of each row, given as columns; nothing of some.

    Rows that were alike share what changes of them.
    """
    rows = list(zip(*(found[name] for name in values), strict=True))
    differences = {
        old: old_and_new(dict(zip(values, old, strict=True)), values) for old in set(rows)
    }
    return [differences[old] for old in rows]


def _documents(changes: Collection[Mapping[str, Any]]) -> Iterator[JSONDocument]:
    """Yield what changed of each row as JSON, which those that share it share too."""
    different = {id(each): each for each in changes}
    written = {number: JSONDocument(to_json(each)) for number, each in different.items()}
    return (written[id(each)] for each in changes)


def _rekeyed(
    rules: TableRules[Any, Any],
    changed: Mapping[str, Sequence[Any]],
    values: Mapping[str, Any],
    reason: str | None,
) -> list[NewEvent]:
    """Return the event of the new key, which names the old one."""
    after = {name: [values[name]] if name in values else old for name, old in changed.items()}
    pairs = zip(rules.keys_of(changed), rules.keys_of(after), strict=True)
    return [
        rules.lab.event(new, "rekeyed", changes={"key": [str(old), str(new)]}, reason=reason)
        for old, new in pairs
        if new != old
    ]


def _moved(
    rules: TableRules[Any, Any], values: Mapping[str, Any], filters: Selection
) -> list[dict[str, Any]]:
    """Return the key that an update meant to give, as a row, or an empty row for none."""
    names = rules.repository.key_columns
    with rules.lab.unit(readonly=True) as unit:
        found = rules.of(unit).present(Listing(filters, include_scratched=True))
    old = [{name: row[name] for name in names} for row in found]
    new = {name: values[name] for name in names if name in values}
    return [{**row, **new} for row in old if {**row, **new} != row] or [{}]

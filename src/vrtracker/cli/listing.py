"""What `sessions` and `mice` have in common: list, show, add, edit, delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.as_json import KEY, KEY_COLUMNS, chosen, plain_value, records
from vrtracker.cli.output import answer, note, say, write_json, write_listing, write_table
from vrtracker.cli.shell import agree
from vrtracker.cli.values import names_of
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from pathlib import Path

    from vrtracker.cli.filters import Listing
    from vrtracker.repositories.selecting import Selection
    from vrtracker.services.entries.editing import Update
    from vrtracker.services.entries.rows import RowService


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return ``1 session`` or ``3 sessions``."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def list_rows(
    service: RowService[Any, Any],
    *,
    filters: Selection,
    columns: Sequence[str] | None,
    order_by: Sequence[str] | None,
    limit: int | None,
    include_scratched: bool = False,
    unblind: bool = False,
) -> list[dict[str, Any]]:
    """Return the rows of a listing; `key` among the columns stands for a session's three."""
    wanted = columns
    if columns is not None and KEY in columns and KEY not in service.columns:
        rest = [name for name in columns if name not in {KEY, *KEY_COLUMNS}]
        wanted = [*service.key_columns, *rest]
    found = service.records(
        filters,
        columns=wanted,
        order_by=order_by,
        limit=limit,
        include_scratched=include_scratched,
        show_blinded=unblind,
    )
    rows = records(found)
    return rows if columns is None else chosen(rows, columns)


def write_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    json: bool,
    default: Sequence[str],
    all_columns: bool,
    columns: Sequence[str] | None,
    what: tuple[str, str] = ("session", "sessions"),
    to: Path | None = None,
) -> None:
    """Write the rows of a listing, and to standard error how many they are."""
    shown = columns if columns is not None or (all_columns and rows) else default
    if shown is default and rows:
        shown = [name for name in default if name in rows[0]]
    write_listing(rows, shown, json=json, to=to, nothing=f"There are no such {what[1]}.")
    if rows and not json and to is None:
        note(counted(len(rows), *what))


def show(
    service: RowService[Any, Any],
    filters: Selection,
    listing: Listing,
    default: Sequence[str],
    *,
    include_scratched: bool = False,
    what: tuple[str, str] = ("session", "sessions"),
) -> None:
    """Read the rows that pass filters, and write them as they are asked for."""
    names = names_of(listing.columns)
    rows = list_rows(
        service,
        filters=filters,
        columns=names,
        order_by=names_of(listing.order_by),
        limit=listing.limit,
        include_scratched=include_scratched,
        unblind=listing.unblind,
    )
    write_rows(
        rows,
        json=listing.json,
        default=default if rows else _all_of(service),
        all_columns=listing.all_columns,
        columns=names,
        what=what,
        to=listing.to,
    )


def _all_of(service: RowService[Any, Any]) -> list[str]:
    """Return the columns of a listing that names none, as its rows have them."""
    is_of_sessions = set(KEY_COLUMNS) <= set(service.columns)
    return [KEY, *service.columns] if is_of_sessions else service.columns


def added(keys: Sequence[Any], *, json: bool) -> None:
    """Report what was added."""
    if json:
        write_json({"added": [str(key) for key in keys]})
    for key in () if json else keys:
        say(f"added {key}")


def deleted(key: Any, *, json: bool) -> None:
    """Report what was deleted."""
    answer({"deleted": str(key)}, f"deleted {key}", json=json)


def edit(
    service: RowService[Any, Any],
    values: Mapping[str, Any],
    where: Any,
    *,
    dry_run: bool,
    yes: bool,
    reason: str | None,
    json: bool,
    blinded: Collection[str] = (),
) -> None:
    """Set columns of the rows that a key or filters name, after asking if they are several.

    `blinded`: mice whose genotype is not to be seen.
    """
    if not values:
        raise InvalidValueError("Nothing is to be set; give --set column=value.")
    everything = not where
    preview = service.update(values, where, dry_run=True, all_rows=everything)
    if dry_run:
        _report(preview, blinded, json=json)
        return
    if preview.rows > 1:
        if not yes and not json:
            _report(preview, blinded, json=False)
        agree(f"This changes {preview.rows} rows.", yes=yes)
    done = service.update(values, where, reason=reason, all_rows=everything, seen=preview)
    _report(done, blinded, json=json)


def _report(update: Update, blinded: Collection[str], *, json: bool) -> None:
    shown = {
        key: _without_genotype(changes) if key in blinded else changes
        for key, changes in update.changes.items()
    }
    if json:
        write_json(
            {
                "matched": update.matched,
                "rows": update.rows,
                "dry_run": update.dry_run,
                "changes": plain_value(shown),
            }
        )
        return
    rows = [{"key": key, "changes": changes} for key, changes in shown.items()]
    write_table(rows)
    note(str(update))


def _without_genotype(changes: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    return {
        column: ("(blinded)", new) if tells_genotype(column) else (old, new)
        for column, (old, new) in changes.items()
    }

"""``vrtracker freeze``, ``selections`` and ``verify``: the sessions behind a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vrtracker.cli.exits import Exit
from vrtracker.cli.filters import Filters, IncludeScratched
from vrtracker.cli.options import Columns, Json, Yes, argument, option
from vrtracker.cli.output import answer, write_listing
from vrtracker.cli.shell import agree, shell_of
from vrtracker.cli.values import names_of
from vrtracker.errors import InvalidValueError

_COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda frozen: frozen.name,
    "sessions": lambda frozen: len(frozen.digests),
    "frozen_at": lambda frozen: frozen.frozen_at.isoformat(),
    "actor": lambda frozen: frozen.actor,
    "hash": lambda frozen: frozen.hash,
    "note": lambda frozen: frozen.note,
}
_Name = Annotated[str, argument("NAME", "Name of the selection: fig3.")]


def freeze(
    context: typer.Context,
    name: _Name,
    *,
    filters: Filters,
    include_scratched: IncludeScratched = False,
    columns: Columns = None,
    note: Annotated[str | None, option("--note TEXT", "What for.")] = None,
    json: Json = False,
) -> None:
    """Keep which sessions pass the filters now, and a digest of each, under a name.

    All columns count, or those of --columns, also mouse__KO and the like.

    Example: vrtracker freeze fig3 --imaging --where "sessionID>=701" --columns imaging,numPlanes
    """
    with shell_of(context).open() as tracker:
        made = tracker.freeze(
            name,
            filters,
            columns=names_of(columns),
            include_scratched=include_scratched,
            note=note,
        )
    _tell(made, "frozen", json=json)


def selections(
    context: typer.Context,
    *,
    export: Annotated[
        str | None, option("--export NAME", "Write this one as JSON, to --to.")
    ] = None,
    to: Annotated[
        Path | None, option("--to FILE", "Where --export writes, or the list as a table.")
    ] = None,
    take: Annotated[Path | None, option("--import FILE", "Take in what --export wrote.")] = None,
    delete: Annotated[
        str | None, option("--delete NAME", "Delete this one; asks, or wants --yes.")
    ] = None,
    rename: Annotated[str | None, option("--rename NAME", "Rename this one, to --as.")] = None,
    new: Annotated[str | None, option("--as NAME", "The new name, for --rename.")] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """List the frozen selections, oldest first; or export, import, rename or delete one.

    Example: vrtracker selections --export fig3 --to fig3.json

    Example: vrtracker selections --rename fig3 --as fig4
    """
    if (rename is None) is not (new is None):
        raise InvalidValueError("--rename names the selection and --as its new name; give both.")
    if export is not None and to is None:
        raise InvalidValueError("--export names the selection and --to the file; give both.")
    reads = (take, delete, rename) == (None, None, None)
    with shell_of(context).open(readonly=reads) as tracker:
        if delete is not None:
            agree(f"The selection {delete} goes for good.", yes=yes)
            tracker.delete_selection(delete)
            said = f"{delete} was deleted; the history keeps its hash"
            answer({"deleted": delete}, said, json=json)
            return
        if rename is not None and new is not None:
            _tell(tracker.rename_selection(rename, new), f"renamed; it was {rename}", json=json)
            return
        if take is not None:
            _tell(tracker.import_selection(take), "imported", json=json)
            return
        if export is not None and to is not None:
            found = tracker.selection(export)
            found.export(to)
            _tell(found, f"written to {to}", json=json)
            return
        rows = [_row(found) for found in tracker.selections()]
    write_listing(rows, [*_COLUMNS], json=json, to=to, nothing="No selection was frozen yet.")


def verify(context: typer.Context, name: _Name, *, json: Json = False) -> None:
    """Run a frozen selection's query again; exit code 1 if a row or a cell differs.

    What stood in a changed cell is known from the history.

    Example: vrtracker verify fig3 --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        found = tracker.selection(name).verify()
    answer(found.document(), str(found), json=json)
    if not found.is_same:
        raise typer.Exit(Exit.NO)


def _row(found: Any) -> dict[str, Any]:
    return {name: of(found.frozen) for name, of in _COLUMNS.items()}


def _tell(found: Any, done: str, *, json: bool) -> None:
    said = f"{found.name} with {len(found.keys)} sessions was {done}; SHA-256 {found.hash}"
    answer(_row(found), said, json=json)

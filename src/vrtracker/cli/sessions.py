"""``vrtracker sessions``: list, show, add, edit, delete."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vrtracker.cli import listing
from vrtracker.cli.options import (
    AllColumns,
    Columns,
    Date,
    Imaging,
    Json,
    Key,
    Limit,
    Mouse,
    Reason,
    Set,
    Since,
    Until,
    Where,
    Yes,
)
from vrtracker.cli.output import say, write_json, write_pairs
from vrtracker.cli.records import of_record
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import filters_of, names_of, values_of
from vrtracker.errors import InvalidValueError

__all__ = ["commands"]

commands = typer.Typer(help="List, show, add, edit and delete sessions.")

_COLUMNS = (
    "key",
    "imaging",
    "numPlanes",
    "suite2p",
    "suite2pQC",
    "vrRegistration",
    "redCellQC",
    "experimentType",
    "sessionNotes",
)
_SCRATCHED = ("key", "sessionQC", "scratchJustification", *_COLUMNS[1:])


@commands.command("list")
def list_sessions(
    context: typer.Context,
    *,
    where: Where = None,
    mouse: Mouse = None,
    date: Date = None,
    since: Since = None,
    until: Until = None,
    imaging: Imaging = None,
    include_scratched: Annotated[
        bool,
        typer.Option("--include-scratched", help="Scratched ones too.", rich_help_panel="Filters"),
    ] = False,
    columns: Columns = None,
    all_columns: AllColumns = False,
    order_by: Annotated[
        str | None,
        typer.Option(
            "--order-by",
            metavar="A,-B",
            help="Sort by these columns, - for descending; by row number when not given.",
        ),
    ] = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """List sessions.

    Example: vrtracker sessions list --mouse ATL012 --imaging --where "sessionID>=701"

    Example: vrtracker sessions list --columns key,mouse__KO --order-by -sessionDate --json
    """
    filters = filters_of(where, mouse=mouse, date=date, since=since, until=until, imaging=imaging)
    names = names_of(columns)
    with shell_of(context).open(readonly=True) as tracker:
        rows = listing.list_rows(
            tracker.sessions,
            filters=filters,
            columns=names,
            order_by=names_of(order_by),
            limit=limit,
            include_scratched=include_scratched,
        )
    scratched = include_scratched or "sessionQC" in filters
    listing.write_rows(
        rows,
        json=json,
        default=_SCRATCHED if scratched else _COLUMNS,
        all_columns=all_columns,
        columns=names,
    )


@commands.command()
def show(context: typer.Context, key: Key, *, json: Json = False) -> None:
    """Show all that is known of one session, scratched or not, and its state in each stage.

    Example: vrtracker sessions show ATL012.2023-01-20.702
    """
    with shell_of(context).open(readonly=True) as tracker:
        session = tracker.sessions.get(key)
        states = {stage: state.value for stage, state in tracker.workflow.states(key).items()}
        path = None if tracker.root is None else str(session.path)
    document = {"key": str(session.key), **of_record(session.record), "path": path}
    if json:
        write_json({**document, "states": states})
        return
    write_pairs(document)
    say()
    write_pairs(states)


@commands.command()
def add(
    context: typer.Context,
    keys: Annotated[
        list[str],
        typer.Argument(metavar="KEY...", help="Sessions to add.", show_default=False),
    ],
    *,
    values: Set = None,
    json: Json = False,
) -> None:
    """Add sessions, all or none; --set holds for each of them.

    Example: vrtracker sessions add ATL012.2023-01-20.702 --set imaging=true --set numPlanes=5
    """
    from vrtracker.domain.keys import SessionKey

    given = values_of(values)
    parsed = [SessionKey.parse(key) for key in keys]
    with shell_of(context).open() as tracker:
        if len(parsed) == 1:
            tracker.sessions.add(parsed[0], **given)
        else:
            tracker.sessions.add_many([{**given, **key.columns} for key in parsed])
    listing.added(parsed, json=json)


@commands.command()
def edit(
    context: typer.Context,
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="One session; or give filters.", show_default=False),
    ] = None,
    *,
    values: Set = None,
    where: Where = None,
    mouse: Mouse = None,
    date: Date = None,
    since: Since = None,
    until: Until = None,
    imaging: Imaging = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every session.", rich_help_panel="Filters")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    reason: Reason = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Set columns of one session, or of all that pass the filters, scratched ones too.

    Asks before it changes more than one row.

    Example: vrtracker sessions edit ATL012.2023-01-20.702 --set sessionNotes="ran well"

    Example: vrtracker sessions edit --mouse ATL012 --set numPlanes=5 --dry-run
    """
    filters = filters_of(where, mouse=mouse, date=date, since=since, until=until, imaging=imaging)
    chosen = _chosen(key, filters, everything=everything)
    with shell_of(context).open(readonly=dry_run) as tracker:
        if key is not None:
            chosen = tracker.sessions.get(key).key
        listing.edit(
            tracker.sessions,
            values_of(values),
            chosen,
            dry_run=dry_run,
            yes=yes,
            reason=reason,
            json=json,
        )


def _chosen(key: str | None, filters: dict[str, Any], *, everything: bool) -> Any:
    """Return the key or the filters, of which exactly one must be given."""
    ways = (key is not None, bool(filters), everything)
    if sum(ways) != 1:
        raise InvalidValueError(
            "Say which sessions: a KEY, or filters (--where, --mouse, ...), or --all; one of these."
        )
    return key if key is not None else filters


@commands.command()
def delete(
    context: typer.Context,
    key: Key,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Together with the history that depends on it.")
    ] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Delete a session that was entered by mistake; a bad one is better scratched.

    Refused while attempts, decisions or datasets depend on it, unless with --force and --reason.

    Example: vrtracker sessions delete ATL012.2023-01-20.702 --force --reason "entered twice"
    """
    with shell_of(context).open() as tracker:
        found = tracker.sessions.get(key).key
        tracker.sessions.delete(found, force=force, reason=reason)
    listing.deleted(found, json=json)

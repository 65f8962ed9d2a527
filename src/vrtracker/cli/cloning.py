"""``vrtracker clone``: a whole database in another file, or on another server."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import DryRun, Json, Yes, argument, option
from vrtracker.cli.output import answer, say, write_json, write_table
from vrtracker.cli.progress import copying
from vrtracker.cli.shell import agree, shell_of, without_password
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.services.administration.cloning import Clone

_Destination = Annotated[str, argument("DEST", "Path of a new file, or URL of an empty database.")]


def clone(
    context: typer.Context,
    source: Annotated[str, argument("SRC", "Path, URL or profile of the database.")],
    destination: Annotated[
        str, argument("DEST", "Path of a new file (.accdb: Access), or URL of an empty database.")
    ],
    *,
    filters: Filters,
    skip_tables: Annotated[
        list[str] | None, option("--skip-table TABLE", "Leave its rows out; repeat it.")
    ] = None,
    skip_columns: Annotated[
        list[str] | None, option("--skip-column COLUMN", "Leave it empty; repeat it.")
    ] = None,
    update: Annotated[
        bool, option("--update", "DEST is an earlier copy: write what differs alone.")
    ] = False,
    resume: Annotated[
        bool, option("--resume", "Keep what is written; go on where it was interrupted.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Copy a database between Access, SQLite and PostgreSQL, in any direction.

    Every row comes along with its number, also the columns and tables that the lab has added.
    Then both are compared; the new one is there complete, or not at all. With filters, the sessions
    that pass come with their mice and all that hangs on them.

    Example: vrtracker clone lab.accdb lab.db

    Example: vrtracker clone lab.db postgresql://ada@server/lab
    """
    from vrtracker.transfers import clone as clone_database

    if shell_of(context).url is not None:
        raise InvalidValueError("clone takes both databases after the command; leave out --url.")
    how: dict[str, Any] = {
        "skip_tables": skip_tables or (),
        "skip_columns": skip_columns or (),
        "update": update,
        "resume": resume,
    }
    asked = source, destination, filters or None
    if update and filters and not (dry_run or yes):
        _agree_to_removing(clone_database(*asked, dry_run=True, **how))
    with copying() as progress:
        made = clone_database(*asked, progress=progress, dry_run=dry_run, **how)
    _tell(made, json=json)


def _agree_to_removing(plan: Clone) -> None:
    """Ask before rows leave a copy that has more than the part that is asked for."""
    removed = sum(table.removed for table in plan.tables)
    if removed:
        fact = f"{counted(removed, 'row')} of {plan.destination} are not of what passes, and go."
        agree(fact, yes=False)


def bake(
    context: typer.Context,
    destination: _Destination,
    *,
    size: Annotated[
        str,
        option(
            "--size SIZE",
            "small: the last 30 days before the newest session; medium: 365; full: all; or "
            "one of sizes in the profile.",
        ),
    ] = "full",
    json: Json = False,
) -> None:
    """Copy the database in a size that is handy elsewhere, with all that hangs on its sessions.

    Example: vrtracker --url lab.accdb bake small.db --size small
    """
    from vrtracker.transfers import bake as bake_database

    with copying() as progress:
        made = bake_database(shell_of(context).url, destination, size=size, progress=progress)
    _tell(made, json=json)


def migrate_to(
    context: typer.Context,
    destination: _Destination,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Move the database to another place or kind: off Access, onto a server, or back.

    It is looked at, copied and compared; then the profile that names it is changed, and the old
    file is marked as moved and only read. Nobody may work meanwhile. Asks, or wants --yes.

    Example: vrtracker --url lab migrate-to postgresql://ada@server/lab --yes
    """
    from vrtracker.moving import migrate

    shell = shell_of(context)
    old = without_password(shell.database_url())
    agree(f"{old} moves to {without_password(destination)}, and is only read then.", yes=yes)
    with copying() as progress:
        made = migrate(shell.url, destination, actor=shell.actor, progress=progress)
    answer(dataclasses.asdict(made), str(made), json=json)


def _tell(made: Clone, *, json: bool) -> None:
    if json:
        write_json(dataclasses.asdict(made))
        return
    columns = ("rows", "added", "changed", "removed")
    write_table(
        [
            {"table": table.name, **{name: getattr(table, name) for name in columns}}
            for table in made.tables
        ]
    )
    was = "would be" if made.dry_run else "was"
    say(f"{made.source} {was} copied to {made.destination}, at revision {made.revision}")

"""``vrtracker clone``: a whole database in another file, or on another server."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from vrtracker.cli.options import Json
from vrtracker.cli.output import say, write_json, write_table
from vrtracker.cli.progress import copying
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError

__all__ = ["clone"]


def clone(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="Path, URL or profile of the database.", show_default=False
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DEST",
            help="Path of a new file (.accdb: Access), or URL of an empty database.",
            show_default=False,
        ),
    ],
    *,
    json: Json = False,
) -> None:
    """Copy a whole database between Access, SQLite and PostgreSQL, in any direction.

    Every row comes along with its number, also the columns and tables that the lab has added.
    Then both are compared; the new one is there complete, or not at all.

    Example: vrtracker clone lab.accdb lab.db

    Example: vrtracker clone lab.db postgresql://ada@server/lab
    """
    from vrtracker.transfers import clone as clone_database

    if shell_of(context).url is not None:
        raise InvalidValueError("clone takes both databases after the command; leave out --url.")
    with copying() as progress:
        made = clone_database(source, destination, progress=progress)
    if json:
        write_json(dataclasses.asdict(made))
        return
    write_table([{"table": table.name, "rows": table.rows} for table in made.tables])
    say(f"{made.source} was copied to {made.destination}, at revision {made.revision}")

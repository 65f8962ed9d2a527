"""``vrtracker admin``: who may do what."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.as_json import records
from vrtracker.cli.commands import Commands
from vrtracker.cli.options import Json, To, argument
from vrtracker.cli.output import answer, note, write_listing
from vrtracker.cli.shell import shell_of

commands = Commands(help="Show, give and take roles: reader, editor, admin.")

_Name = Annotated[str, argument("NAME", "A user of the server.")]


@commands.command()
def grant(
    context: typer.Context,
    name: _Name,
    role: Annotated[str, argument("ROLE", "reader, editor or admin.")],
    *,
    json: Json = False,
) -> None:
    """Give a user of PostgreSQL a role, in place of the one it has. The server holds it to it.

    A reader looks at everything. An editor also works: entries, runs, decisions, undoing. An admin
    also changes the schema, purges, restores and gives roles. Elsewhere roles are in the profile.

    Example: vrtracker admin grant anna editor
    """
    with shell_of(context).open() as tracker:
        tracker.grant(name, role)
    _tell(name, role, json=json)


@commands.command()
def revoke(context: typer.Context, name: _Name, *, json: Json = False) -> None:
    """Take the role of a user of PostgreSQL away.

    Example: vrtracker admin revoke anna
    """
    with shell_of(context).open() as tracker:
        tracker.revoke(name)
    _tell(name, None, json=json)


@commands.command()
def roles(context: typer.Context, *, to: To = None, json: Json = False) -> None:
    """List who has which role: the users of PostgreSQL, elsewhere what the profile says.

    Example: vrtracker admin roles --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.roles.records())
    shown = [{**row, "name": row["name"] or "(all others)"} for row in rows]
    write_listing(rows, json=json, to=to, nothing="Nobody has a role.", shown=shown)
    if not json and not any(row["is_you"] for row in rows):
        note("You are not in the list.")


def _tell(name: str, role: str | None, *, json: bool) -> None:
    said = f"{name} is {role} now" if role else f"{name} has no role now"
    answer({"name": name, "role": role}, said, json=json)

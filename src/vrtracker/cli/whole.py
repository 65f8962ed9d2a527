"""``vrtracker db``: the database as a whole, made, dropped, listed and kept in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json, To, argument, option
from vrtracker.cli.output import answer, note, write_json, write_listing, write_table
from vrtracker.cli.shell import shell_of

if TYPE_CHECKING:
    from vrtracker.services.administration.whole import LabDatabase

_Name = Annotated[str, argument("NAME", "The database's name: it shows that you mean it.")]
_Tables = Annotated[list[str] | None, argument("[TABLE]...", "All when not given.")]
_SomeTables = Annotated[list[str], argument("TABLE...", "Which.")]


def add_to(commands: Commands) -> None:
    """Add these commands to the group."""
    for command in (exists, create, drop, reset, vacuum, analyze, readers, password):
        commands.command()(command)
    commands.command("list")(list_databases)
    commands.command()(tables)
    commands.command()(create_tables)
    commands.command()(drop_tables)


def exists(context: typer.Context, *, json: Json = False) -> None:
    """Say whether the database is there; exit code 1 if not.

    Example: vrtracker --url lab.db db exists
    """
    database = _database(context)
    found = database.exists()
    said = f"{database} is {'there' if found else 'not there'}"
    answer({"url": str(database), "exists": found}, said, json=json)
    if not found:
        raise typer.Exit(Exit.NO)


def create(context: typer.Context, *, json: Json = False) -> None:
    """Make the database with its tables, on a PostgreSQL server too.

    Example: vrtracker --url postgresql://ada@server/lab db create
    """
    database = _database(context)
    revision = database.create()
    made = {"url": str(database), "revision": revision}
    answer(made, f"made {database}, at revision {revision}", json=json)


def drop(context: typer.Context, name: _Name, *, json: Json = False) -> None:
    """Remove the database with all that is in it. Asks for its name, and keeps a copy.

    Example: vrtracker --url old.db db drop old.db
    """
    database = _database(context)
    _tell(database, "was dropped", database.drop(name), json=json)


def reset(context: typer.Context, name: _Name, *, json: Json = False) -> None:
    """Drop all tables, the lab's own too, and make the tracker's anew. Keeps a copy.

    Example: vrtracker --url trial.db db reset trial.db
    """
    database = _database(context)
    _tell(database, "holds new tables", database.reset(name), json=json)


def list_databases(context: typer.Context, *, json: Json = False) -> None:
    """List the databases in the folder, or on the server, of this one.

    Example: vrtracker --url lab.db db list
    """
    database = _database(context)
    beside = f"There is no database where {database} would be."
    _list("name", database.list_databases(), json=json, nothing=beside)


def tables(context: typer.Context, *, json: Json = False) -> None:
    """List all tables, the lab's own too.

    Example: vrtracker db tables
    """
    _list("table", _database(context).table_names(), json=json)


def create_tables(context: typer.Context, names: _Tables = None, *, json: Json = False) -> None:
    """Make those of the tracker's tables that are missing.

    Example: vrtracker db create-tables vrt_dataset
    """
    made = _database(context).create_tables(names or None)
    _list("made", made, json=json, nothing="No table was missing.")


def drop_tables(
    context: typer.Context,
    names: _SomeTables,
    *,
    name: Annotated[str, option("--name NAME", "The database's name: it shows that you mean it.")],
    json: Json = False,
) -> None:
    """Drop tables with all their rows. Asks for the database's name, and keeps a copy.

    Example: vrtracker --url lab.db db drop-tables litters --name lab.db
    """
    _list("dropped", _database(context).drop_tables(names, name=name), json=json)


def vacuum(context: typer.Context, names: _Tables = None, *, json: Json = False) -> None:
    """Give back the room that changed and deleted rows have left.

    Example: vrtracker db vacuum
    """
    database = _database(context)
    database.vacuum(names or ())
    answer({"url": str(database)}, f"{database}: done", json=json)


def analyze(context: typer.Context, names: _Tables = None, *, json: Json = False) -> None:
    """Have the database count its rows, to plan its work by.

    Example: vrtracker db analyze sessiondb
    """
    database = _database(context)
    database.analyze(names or ())
    answer({"url": str(database)}, f"{database}: done", json=json)


def password(
    context: typer.Context,
    *,
    forget: Annotated[bool, option("--forget", "Take it out again.")] = False,
    json: Json = False,
) -> None:
    """Keep the password for this server in the system's keyring; asks for it, unseen.

    Needs vrtracker[keyring].

    Example: vrtracker --url postgresql://ada@server/lab db password
    """
    database = _database(context)
    given = None if forget else typer.prompt("Password", hide_input=True, err=True)
    database.remember_password(given)
    said = f"the keyring {'forgot' if forget else 'keeps'} the password of {database}"
    answer({"url": str(database), "kept": not forget}, said, json=json)


def readers(context: typer.Context, *, to: To = None, json: Json = False) -> None:
    """List who may read the database, and what more each may.

    Example: vrtracker db readers
    """
    rows = _database(context).readers()
    shown = [{**row, "name": row["name"] or "(all others)"} for row in rows]
    names, nothing = ("name", "role", "is_you"), "Nobody is known to read it."
    write_listing(rows, names, json=json, to=to, nothing=nothing, shown=shown)


def _database(context: typer.Context) -> LabDatabase:
    from vrtracker.opening import database_of

    shell = shell_of(context)
    database = database_of(shell.url, actor=shell.actor)
    context.call_on_close(database.dispose)
    return database


def _list(what: str, names: list[str], *, json: bool, nothing: str = "There is none.") -> None:
    if json:
        write_json(names)
    else:
        write_table([{what: name} for name in names])
        if not names:
            note(nothing)


def _tell(database: LabDatabase, what: str, copy: Path | None, *, json: bool) -> None:
    said = f"{database} {what}" + (f"; as it was, it is in {copy}" if copy else "")
    answer({"url": str(database), "copy": copy}, said, json=json)

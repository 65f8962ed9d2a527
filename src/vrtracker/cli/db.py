"""``vrtracker db``: the schema of the database."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.cli import whole
from vrtracker.cli.adopting import adopt
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json, To, Yes, argument, option
from vrtracker.cli.output import answer, note, say, write_json, write_listing, write_table
from vrtracker.cli.shell import agree, shell_of
from vrtracker.errors import BackendError, ConfigurationError, InvalidValueError

if TYPE_CHECKING:
    from vrtracker.database import Database
    from vrtracker.settings import Settings

commands = Commands(help="Make, adopt, show, check, upgrade, tidy and drop a database.")
commands.command()(adopt)
whole.add_to(commands)


@commands.command()
def upgrade(
    context: typer.Context,
    revision: Annotated[str, argument("REVISION", "head is the newest.")] = "head",
    *,
    sql: Annotated[bool, option("--sql", "Show the statements; they are run and undone.")] = False,
    json: Json = False,
) -> None:
    """Bring the database to a revision of the schema; makes a SQLite file that is missing.

    Example: vrtracker --url lab.db db upgrade
    """
    if sql:
        from vrtracker.database.migration import upgrade_sql

        statements = upgrade_sql(shell_of(context).database_url(), revision)
        answer(statements, *(f"{each};" for each in statements), json=json)
        return
    document = make_or_upgrade(shell_of(context).settings(), revision)
    said = [f"made {document['url']}"] if document["created"] else []
    _tell(document, said, json=json)


def make_or_upgrade(settings: Settings, revision: str = "head") -> dict[str, Any]:
    """Bring a database to a revision; return what became of it, for JSON."""
    from vrtracker.services.administration.migrating import upgrade

    with _database(settings.database) as database:
        database.backend.check_target(database.url, create=True)
        missing = not database.backend.exists(database.url)
        made = upgrade(settings, revision)
        return {
            "url": str(database),
            "revision": made.revision,
            "created": missing,
            "copy": made.copy,
        }


@commands.command()
def downgrade(
    context: typer.Context,
    revision: Annotated[str, argument("REVISION", "An earlier revision; base: no tables.")],
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take the database back to an earlier revision; what later ones added is lost.

    Asks, or wants --yes, where there are mice or sessions.

    Example: vrtracker --url lab.db db downgrade 0001 --yes
    """
    from vrtracker.services.administration.migrating import downgrade as migrate

    settings = shell_of(context).settings()
    with _database(settings.database) as database:
        if not _is_empty(database, settings):
            agree(
                f"{database} holds data; what came after revision {revision} will be lost.",
                yes=yes,
            )
        name = str(database)
    made = migrate(settings, revision)
    _tell({"url": name, "revision": made.revision, "copy": made.copy}, [], json=json)


def _tell(made: dict[str, Any], said: list[str], *, json: bool) -> None:
    said += [f"as it was, it is in {made['copy']}"] if made["copy"] else []
    answer(made, *said, f"{made['url']} is at revision {made['revision']}", json=json)


@commands.command()
def current(context: typer.Context, *, json: Json = False) -> None:
    """Show the revision that the database is at, and the newest.

    Example: vrtracker db current
    """
    from vrtracker.database.versions import HEAD, current_revision

    with _database(shell_of(context).database_url(), readonly=True) as database:
        name, found = str(database), current_revision(database)
    said = [f"{name} is at revision {found or 'none'}"]
    if found != HEAD:
        said.append(f"this vrtracker needs {HEAD}: {shell_of(context).command('db upgrade')}")
    answer({"url": name, "revision": found, "head": HEAD}, *said, json=json)


@commands.command()
def check(context: typer.Context, *, json: Json = False) -> None:
    """Compare the database with what this version expects; exit code 1 if they differ.

    Columns and tables that the lab has added are not differences; cells that do not fit their
    columns are. If the clock of this computer
    and that of the database, or of its drive, are 2 s or more apart, a warning says so.

    Example: vrtracker db check
    """
    from vrtracker.database import DatabaseClock, migration
    from vrtracker.database.structure import misfits

    url = shell_of(context).database_url()
    differences = migration.check(url)
    with _database(url) as database:
        name = str(database)
        with database.connect(readonly=True) as connection:
            differences += map(str, misfits(database, connection))
        # A clock that is wrong is warned of.
        DatabaseClock(database).skew()
    said = f"{name}: {len(differences) or 'no'} differences"
    answer({"url": name, "differences": differences}, *differences, said, json=json)
    if differences:
        raise typer.Exit(Exit.NO)


@commands.command()
def history(context: typer.Context, *, to: To = None, json: Json = False) -> None:
    """List every revision of the schema, oldest first, and which one the database is at.

    Example: vrtracker db history
    """
    from vrtracker.database import migration

    try:
        url: str | None = shell_of(context).database_url()
    except ConfigurationError:
        url = None
    rows = [revision._asdict() for revision in migration.history(url)]
    write_listing(rows, json=json, to=to, nothing="There are no revisions.")
    if url is None and not json:
        note("No database is named, so none is marked as current.")


@commands.command()
def schema(
    context: typer.Context,
    *,
    markdown: Annotated[
        bool, option("--markdown", "A page with a diagram of what refers to what.")
    ] = False,
    html: Annotated[
        bool, option("--html", "The same as a page that any browser shows, offline.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the tables: columns, types, units, what refers to what; the lab's own columns too.

    Without a database, those of this version.

    Example: vrtracker db schema --markdown
    """
    from vrtracker.database.description import as_markdown, schema_description
    from vrtracker.database.schema_page import as_html

    if markdown + html + json > 1:
        raise InvalidValueError("Give one of --markdown, --html and --json.")
    try:
        url = shell_of(context).database_url()
    except ConfigurationError:
        tables = schema_description()
    else:
        with _database(url, readonly=True) as database:
            tables = schema_description(database)
    if json:
        write_json([dataclasses.asdict(table) for table in tables])
    elif html:
        say(as_html(tables).rstrip())
    elif markdown:
        say(as_markdown(tables).rstrip())
    else:
        write_table(
            [
                {"table": table.name, **dataclasses.asdict(column)}
                for table in tables
                for column in table.columns
            ]
        )


def _database(url: str, *, readonly: bool = False) -> Database:
    from vrtracker.database import Database

    return Database(url, readonly=readonly)


def _is_empty(database: Database, settings: Settings) -> bool:
    """Return whether there is certainly neither a mouse nor a session, at whatever revision."""
    from vrtracker.database.versions import current_revision
    from vrtracker.services.administration.opening import plain_lab
    from vrtracker.tracker import Tracker

    if current_revision(database) is None:
        return True
    tracker = Tracker(plain_lab(database, settings))
    try:
        return not tracker.mice.count() + tracker.sessions.count(include_scratched=True)
    except BackendError:
        return False

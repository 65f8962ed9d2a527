"""``vrtracker doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json, option
from vrtracker.cli.output import kept_for_json, note, say, write_json, write_table
from vrtracker.cli.shell import shell_of


def doctor(
    context: typer.Context,
    *,
    fix: Annotated[
        bool,
        option(
            "--fix",
            "Put right what can be without any risk: free claims of processes that are gone, "
            "make a backup that is due, shorten a log.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Look at all that the database needs, and say what is wrong and what to do about it.

    Settings, drivers, file and drive, locks, schema, rows that refer to nothing, claims of
    processes that are gone, clocks, backups, sessions' folders, registrars. Exit code 1 if it
    finds an error.

    Example: vrtracker doctor --json
    """
    from vrtracker.services.doctor import examine

    shell = shell_of(context)
    with kept_for_json(json=json):
        found = examine(shell.url, root=shell.root, actor=shell.actor, fix=fix)
    if json:
        write_json(found.document())
    else:
        for sentence in found.fixed:
            note(sentence)
        names = ("name", "status", "message")
        write_table([{name: str(getattr(check, name)) for name in names} for check in found.checks])
        for check in found.checks:
            if check.remedy:
                say(f"{check.name}: {shell.completed(check.remedy)}")
    if not found.is_well:
        raise typer.Exit(Exit.NO)

"""``vrtracker backup`` and ``restore``: copies of the whole database, and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from vrtracker.cli.options import Json, Yes, argument, option
from vrtracker.cli.output import answer
from vrtracker.cli.shell import agree, shell_of, without_password


def backup(
    context: typer.Context,
    *,
    to: Annotated[Path | None, option("--to DIR", "The folder; else VRTRACKER_BACKUPS.")] = None,
    keep: Annotated[
        int | None, option("--keep N", "Remove all but the N newest backups.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Write a dated copy of the database into another folder, and check it.

    Example: vrtracker backup --to /backups/lab --keep 30
    """
    with shell_of(context).open(readonly=True) as tracker:
        made = tracker.back_up(to, keep=keep)
    removed = [f"removed {path}" for path in made.removed]
    said = f"{made.path} ({made.bytes:,} bytes)"
    answer(dataclasses.asdict(made), said, *removed, json=json)


def restore(
    context: typer.Context,
    path: Annotated[Path, argument("BACKUP", "A file of backup.")],
    *,
    save: Annotated[
        bool, option("--save/--no-save", "Back up what is there now, beside the backup.")
    ] = True,
    other: Annotated[
        bool, option("--other", "Also a backup that was made of another database.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put a backup in the place of the database; asks first, or wants --yes.

    Example: vrtracker restore /backups/lab/lab-1a2b3c4d.20260302T120000Z.db --yes
    """
    from vrtracker.transfers import restore as restore_database

    shell = shell_of(context)
    url = shell.database_url()
    agree(f"{path} takes the place of {without_password(url)}.", yes=yes)
    made = restore_database(shell.url, path, save=save, other=other, actor=shell.actor)
    kept = [f"what was there is in {made.saved.path}"] if made.saved is not None else []
    said = f"{made.database} holds what {made.backup} held, at revision {made.revision}"
    answer(dataclasses.asdict(made), *kept, said, json=json)

"""``vrtracker mice``: list, show, add, edit, delete, restore."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.as_json import of_record
from vrtracker.cli import deletions, listing
from vrtracker.cli.commands import Commands
from vrtracker.cli.filters import Listed, Where, filters_of
from vrtracker.cli.options import DryRun, Json, Reason, Set, Unblind, Yes, argument, option
from vrtracker.cli.output import note, write_json, write_pairs
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import values_of
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import InvalidValueError

commands = Commands(help="List, show, add, edit, delete and restore mice.")

_COLUMNS = ("mouseName", "sex", "dateOfBirth", "genotype", "KO", "Blinded", "tracked", "notes")

Name = Annotated[str, argument("MOUSE", "Name of a mouse.")]


@commands.command("list")
def list_mice(
    context: typer.Context,
    *,
    where: Where = None,
    asked: Listed,
) -> None:
    """List mice; the genotype of blinded ones is left out.

    Example: vrtracker mice list --where KO=true --columns mouseName,genotype
    """
    with shell_of(context).open(readonly=True) as tracker:
        listing.show(tracker.mice, filters_of(where), asked, _COLUMNS, what=("mouse", "mice"))


@commands.command()
def show(
    context: typer.Context, name: Name, *, unblind: Unblind = False, json: Json = False
) -> None:
    """Show all that is known of one mouse, and how many sessions it has.

    The genotype of a blinded mouse is left out unless with --unblind.

    Example: vrtracker mice show ATL012
    """
    with shell_of(context).open(readonly=True) as tracker:
        mouse = tracker.mice.get(name)
        sessions = tracker.sessions.count({"mouseName": mouse.mouseName}, include_scratched=True)
    document = {**of_record(mouse), "sessions": sessions}
    if mouse.Blinded and not unblind:
        document = {key: None if tells_genotype(key) else value for key, value in document.items()}
        note(f"{mouse.mouseName} is blinded; --unblind shows its genotype.")
    if json:
        write_json(document)
    else:
        write_pairs(document)


@commands.command()
def add(
    context: typer.Context,
    names: Annotated[list[str], argument("MOUSE...", "Mice to add.")],
    *,
    values: Set = None,
    json: Json = False,
) -> None:
    """Add mice, all or none; --set holds for each of them.

    Example: vrtracker mice add ATL012 --set sex=F --set dateOfBirth=2022-09-14
    """
    given = values_of(values)
    with shell_of(context).open() as tracker:
        if len(names) == 1:
            tracker.mice.add(names[0], **given)
        else:
            tracker.mice.add_many([{**given, "mouseName": name} for name in names])
    listing.added(names, json=json)


@commands.command()
def edit(
    context: typer.Context,
    name: Annotated[str | None, argument("MOUSE", "One mouse; or give filters.")] = None,
    *,
    values: Set = None,
    where: Where = None,
    everything: Annotated[bool, option("--all", "Every mouse.", rich_help_panel="Filters")] = False,
    dry_run: DryRun = False,
    reason: Reason = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Set columns of one mouse, or of all that pass the filters.

    Asks before it changes more than one row. What the genotype of a blinded mouse was is not shown.

    Example: vrtracker mice edit ATL012 --set genotype="wild type" --reason "read again"
    """
    filters = filters_of(where)
    if (name is not None) + bool(filters) + everything != 1:
        raise InvalidValueError("Say which mice: a MOUSE, or --where, or --all; one of these.")
    with shell_of(context).open(readonly=dry_run) as tracker:
        listing.edit(
            tracker.mice,
            values_of(values),
            filters if name is None else tracker.mice.get(name).mouseName,
            dry_run=dry_run,
            yes=yes,
            reason=reason,
            json=json,
            blinded={
                row["mouseName"]
                for row in tracker.mice.records(columns=["mouseName"], Blinded=True)
            },
        )


@commands.command()
def delete(
    context: typer.Context,
    name: Name,
    *,
    force: Annotated[bool, option("--force", "Together with its sessions.")] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Delete a mouse that was entered by mistake.

    Refused while it has sessions, unless with --force and --reason. It can be restored.

    Example: vrtracker mice delete ATL999 --reason "entered twice"
    """
    with shell_of(context).open() as tracker:
        found = tracker.mice.get(name).mouseName
        tracker.mice.delete(found, force=force, reason=reason)
    listing.deleted(found, json=json)


deletions.add_to(commands, "mouse", "mice", "ATL012")

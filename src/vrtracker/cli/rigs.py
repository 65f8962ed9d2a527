"""``vrtracker rig``: rigs by version, and which of them sessions used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Reason, To, argument, option
from vrtracker.cli.output import answer, say, write_json, write_listing, write_table
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError

commands = Commands(help="Describe rigs, and say which of them sessions used.")

_COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda rig: rig.row.rig_name,
    "version": lambda rig: rig.row.rig_version,
    "features": lambda rig: len(rig.features),
    "sessions": lambda rig: rig.sessions,
    "added_at": lambda rig: rig.row.added_at.isoformat(),
    "actor": lambda rig: rig.row.actor,
    "hash": lambda rig: rig.row.content_hash,
}
_File = Annotated[Path, argument("FILE", "The description, in JSON.")]
_Rig = Annotated[str, argument("RIG", "A version, such as b2@3; the last one by the name alone.")]


@commands.command("validate")
def validate(file: _File, *, json: Json = False) -> None:
    """List all that is wrong with a description, a line each; exit code 2 if anything is.

    No database is needed.

    Example: vrtracker rig validate b2.json --json
    """
    _refuse_wrong(file, json=json)
    answer({"valid": True, "violations": []}, f"{file} is a rig.", json=json)


@commands.command("schema")
def schema(*, json: Json = False) -> None:
    """Say where the JSON Schema of descriptions is published; with --json write it.

    Example: vrtracker rig schema --json > rig.schema.json
    """
    from vrtracker.domain.rigs import rig_schema

    found = rig_schema()
    answer(found, f"{found['title']}: {found['$id']} ({found['$schema']})", json=json)


@commands.command("add")
def add(
    context: typer.Context,
    file: _File,
    *,
    name: Annotated[
        str | None,
        option(
            "--name NAME",
            "What the rig is called; else the description's name, else that of the file.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Keep a description as the next version of its rig; the same one again is the same version.

    Example: vrtracker rig add b2.json --name b2
    """
    _refuse_wrong(file, json=json)
    with shell_of(context).open() as tracker:
        made = tracker.rigs.add(file, name=name)
    answer(
        _row(made),
        f"{made.name} has {counted(len(made.features), 'feature')}; SHA-256 {made.hash}",
        json=json,
    )


@commands.command("list")
def list_rigs(context: typer.Context, *, to: To = None, json: Json = False) -> None:
    """List all versions of all rigs, oldest first.

    Example: vrtracker rig list
    """
    shell = shell_of(context)
    with shell.open(readonly=True) as tracker:
        rows = [_row(each) for each in tracker.rigs.list()]
    nothing = f"No rig was described yet: {shell.command('rig add FILE')}"
    write_listing(rows, [*_COLUMNS], json=json, to=to, nothing=nothing)


@commands.command("show")
def show(context: typer.Context, rig: _Rig, *, json: Json = False) -> None:
    """Show a version of a rig; with --json its description, as Antelop reads it too.

    Example: vrtracker rig show b2@3 --json > b2.json
    """
    with shell_of(context).open(readonly=True) as tracker:
        found = tracker.rigs.get(rig)
    answer(found.document(), str(found), json=json)


@commands.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[str, argument("OLD", "A version, or a file.")],
    new: Annotated[str, argument("NEW", "A version, or a file.")],
    *,
    json: Json = False,
) -> None:
    """Say how two descriptions differ, by path; exit code 1 if they do.

    Example: vrtracker rig diff b2@2 b2@3
    """
    with shell_of(context).open(readonly=True) as tracker:
        found = tracker.rigs.diff(old, new)
    rows = [dict(zip(("path", "old", "new"), each, strict=True)) for each in found]
    if json:
        write_json(rows)
    else:
        write_table([{name: _text(value) for name, value in row.items()} for row in rows])
    if rows:
        raise typer.Exit(Exit.NO)


@commands.command("set")
def set_rig(
    context: typer.Context,
    rig: Annotated[
        str, argument("RIG", "A version, such as b2@3; the last one by the name alone; - for none.")
    ],
    keys: Annotated[list[str] | None, argument("[KEY]...", "Sessions, or filters.")] = None,
    *,
    filters: Filters,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Let sessions point to the version of the rig that they used.

    Example: vrtracker rig set b2@3 ATL012.2023-01-20.702

    Example: vrtracker rig set b2 --since 2023-01-01 --imaging
    """
    if bool(keys) is bool(filters):
        raise InvalidValueError("Name sessions, or give filters; one of the two.")
    wanted = None if rig == "-" else rig
    with shell_of(context).open() as tracker:
        meant: list[Any] = list(keys) if keys else [filters]
        changed = [
            str(key) for each in meant for key in tracker.rigs.set(each, wanted, reason=reason)
        ]
    if json:
        write_json({"rig": wanted, "changed": changed})
    else:
        said = "used no rig that is known" if wanted is None else f"used {wanted}"
        say(f"{counted(len(changed), 'session')} changed: {said}")


def _refuse_wrong(file: Path, *, json: bool) -> None:
    """List what is wrong with a description, a line each, and end if anything is."""
    from vrtracker.services.rigs import RigService

    found = RigService.validate(file)
    if not found:
        return
    if json:
        listed = [{"path": each.path, "message": each.message} for each in found]
        write_json({"valid": False, "violations": listed})
    else:
        for each in found:
            say(str(each))
        say_error(f"{file} has {counted(len(found), 'violation')}.")
    raise typer.Exit(Exit.BAD_INPUT)


def _row(rig: Any) -> dict[str, Any]:
    return {name: of(rig) for name, of in _COLUMNS.items()}


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

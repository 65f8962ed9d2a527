"""``vrtracker snapshot``: versions of a database that never change, for papers and clusters."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from vrtracker.cli.commands import Commands
from vrtracker.cli.filters import Filters
from vrtracker.cli.options import Json, To, argument, option
from vrtracker.cli.output import answer, note, say, write_json, write_listing
from vrtracker.cli.progress import copying
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError

_OF_WHOLE_DATABASES = {"db", "init", "admin", "restore", "migrate-to", "access"}

commands = Commands(help="Publish, list and load versions of a database that never change.")

_Name = Annotated[str, argument("NAME", "Name of the snapshot: fig3.")]
_From = Annotated[str | None, option("--from SOURCE", "Folder or URL; else VRTRACKER_SNAPSHOTS.")]
_COLUMNS = ("name", "created_at", "size", "sessions", "mice", "revision", "bytes")


@commands.command()
def publish(
    context: typer.Context,
    name: _Name,
    *,
    to: Annotated[Path, option("--to DIR", "The folder.")],
    filters: Filters,
    as_of: Annotated[str | None, option("--as-of TIME", "As it was then.")] = None,
    size: Annotated[str | None, option("--size LABEL", "A label, such as small.")] = None,
    licence: Annotated[str | None, option("--licence TEXT", "Such as CC-BY-4.0.")] = None,
    citation: Annotated[str | None, option("--citation TEXT", "How to cite it.")] = None,
    json: Json = False,
) -> None:
    """Write the database, or the sessions that pass filters with all that hangs on them.

    A SQLite file, frames as Parquet and a manifest with their SHA-256 go into DIR/NAME, which
    never changes; DIR/index.json lists what is there. The whole DIR may stand on a web server.

    Example: vrtracker snapshot publish fig3 --to /srv/snapshots --imaging --licence CC-BY-4.0
    """
    with shell_of(context).open(readonly=True) as tracker, copying() as progress:
        made = tracker.publish(
            name,
            to,
            filters or None,
            as_of=as_of,
            size=size,
            licence=licence,
            citation=citation,
            progress=progress,
        )
    said = f"{made.name} with {made.sessions} sessions of {made.mice} mice is in {to / name}"
    answer(dataclasses.asdict(made), said, json=json)


@commands.command("list")
def list_snapshots(
    source: Annotated[
        str | None, argument("SOURCE", "Folder or URL; else VRTRACKER_SNAPSHOTS.")
    ] = None,
    *,
    every: Annotated[bool, option("--all", "Also those that need a newer vrtracker.")] = False,
    to: To = None,
    json: Json = False,
) -> None:
    """List the snapshots of a folder or URL, oldest first.

    Example: vrtracker snapshot list https://lab.example.org/snapshots --json
    """
    from vrtracker.snapshots import list_versions

    rows = list_versions(source, only_supported=not every)
    shown = [{name: row.get(name) for name in _COLUMNS} for row in rows]
    write_listing(rows, _COLUMNS, json=json, to=to, nothing="There are no snapshots.", shown=shown)


@commands.command("open", context_settings={"ignore_unknown_options": True})
def open_snapshot(
    name: _Name,
    words: Annotated[
        list[str] | None, argument("[COMMAND]...", "A command of vrtracker; else status.")
    ] = None,
    *,
    source: _From = None,
    json: Json = False,
) -> None:
    """Run a command on a snapshot, which can only be read; it is fetched first where needed.

    Example: vrtracker snapshot open fig3 sessions list --imaging
    """
    from vrtracker.cli.app import app
    from vrtracker.snapshots import load_version

    wanted = words or ["status"]
    if wanted[0] in _OF_WHOLE_DATABASES or "--fix" in wanted:
        raise InvalidValueError(f"A snapshot can only be read; {wanted[0]} changes databases.")
    with copying() as progress:
        found = load_version(name, source, progress=progress)
    line = ["--url", str(found.path), "--readonly", *wanted, *(["--json"] if json else [])]
    raise typer.Exit(typer.main.get_command(app).main(line, standalone_mode=False) or 0)


@commands.command()
def load(
    name: _Name,
    *,
    source: _From = None,
    json: Json = False,
) -> None:
    """Fetch a snapshot into the user's cache folder, verify it, and say where it is.

    A download goes on where it broke off; what is in the cache is not fetched again.

    Example: vrtracker snapshot load fig3 --from https://lab.example.org/snapshots --json
    """
    from vrtracker.snapshots import load_version

    with copying() as progress:
        found = load_version(name, source, progress=progress)
    if json:
        write_json(found.document())
        return
    say(str(found.path))
    note(f"{found.manifest.sessions} sessions; open it: vrtracker --url {found.path} status")

"""``vrtracker sessions``: list, show, add, edit, delete, restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import KEY_COLUMNS, of_record, plain_value
from vrtracker.cli import deletions, listing, recordings
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.filters import Filters, IncludeScratched, Listed
from vrtracker.cli.listing import counted
from vrtracker.cli.options import DryRun, Json, Key, Reason, Set, Yes, argument, option
from vrtracker.cli.output import note, say, write_json, write_pairs, write_table
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import names_of, values_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell
    from vrtracker.repositories.selecting import Selection
    from vrtracker.services.entries.bulk_edits import EditPlan

commands = Commands(help="List, show, add, edit, delete and restore sessions.")

commands.command()(recordings.split)
commands.command()(recordings.merge)

_COLUMNS = (
    "key",
    "imaging",
    "numPlanes",
    "suite2p",
    "suite2pQC",
    "vrRegistration",
    "redCellQC",
    "experimentType",
    "sessionNotes",
)
_SCRATCHED = ("key", "sessionQC", "scratchJustification", *_COLUMNS[1:])


@commands.command("list")
def list_sessions(
    context: typer.Context,
    *,
    filters: Filters,
    include_scratched: IncludeScratched = False,
    asked: Listed,
) -> None:
    """List sessions.

    Example: vrtracker sessions list --mouse ATL012 --imaging --where "sessionID>=701"

    Example: vrtracker sessions list --columns key,mouse__KO --order-by -sessionDate --json
    """
    default = _SCRATCHED if include_scratched or filters.shows_scratched else _COLUMNS
    with shell_of(context).open(readonly=True) as tracker:
        listing.show(tracker.sessions, filters, asked, default, include_scratched=include_scratched)


@commands.command()
def show(context: typer.Context, key: Key, *, json: Json = False) -> None:
    """Show all that is known of one session, scratched or not, and its state in each stage.

    Example: vrtracker sessions show ATL012.2023-01-20.702
    """
    with shell_of(context).open(readonly=True) as tracker:
        session = tracker.sessions.get(key)
        states = {stage: state.value for stage, state in tracker.workflow.states(key).items()}
        path = None if tracker.root is None else str(session.path)
        parts = [str(part) for part in tracker.recordings.parts(session.key)]
    document = {"key": str(session.key), **of_record(session.record), "path": path}
    if len(parts) > 1:
        document["recording"] = parts
    if json:
        write_json({**document, "states": states})
        return
    write_pairs(document)
    say()
    write_pairs(states)


@commands.command()
def add(
    context: typer.Context,
    keys: Annotated[
        list[str] | None,
        argument("KEY...", "Sessions to add; or give --mouse, --date and --number."),
    ] = None,
    *,
    mouse: Annotated[str | None, option("--mouse NAME", "In place of KEY: the mouse.")] = None,
    date: Annotated[
        list[str] | None,
        option("--date DATE,...", "In place of KEY: one day or several. Repeatable."),
    ] = None,
    number: Annotated[
        list[int] | None,
        option("--number N", "In place of KEY: the number, of each day. Repeatable."),
    ] = None,
    like: Annotated[
        str | None,
        option(
            "--like LAST|KEY",
            "Take over how a session was recorded: of KEY, or the mouse's last one.",
        ),
    ] = None,
    preset: Annotated[
        str | None, option("--preset NAME", "Values that the profile holds ready.")
    ] = None,
    values: Set = None,
    strict: Annotated[
        bool, option("--strict", "Refuse values that no session has yet, and future dates.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add sessions, all or none; --set holds for each of them, and goes before --preset, --like.

    A value that no session has yet in columns such as experimentType is told, with the nearest.

    Example: vrtracker sessions add ATL012.2023-01-20.702 --set imaging=true --set numPlanes=5

    Example: vrtracker sessions add --mouse ATL012 --date 2023-01-20 --number 701 --like LAST
    """
    wanted = list(keys or ()) or _named(mouse, date, number)
    if keys and (mouse or date or number):
        raise InvalidValueError("Give KEYs, or --mouse, --date and --number; not both.")
    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = tracker.enter(wanted, values_of(values), like=like, preset=preset, strict=strict)
        for warning in plan.warnings:
            note(f"warning: {warning}")
        if not dry_run:
            plan.apply()
    if dry_run:
        rows = [
            {"key": str(key), **_rest(row)} for key, row in zip(plan.keys, plan.rows, strict=True)
        ]
        listing.write_rows(rows, json=json, default=(), all_columns=True, columns=None)
    else:
        listing.added(plan.keys, json=json)


def _named(
    mouse: str | None, dates: Sequence[str] | None, numbers: Sequence[int] | None
) -> list[tuple[str, str, int]]:
    """Return the keys that mouse, days and numbers name."""
    if not (mouse and dates and numbers):
        raise InvalidValueError("Say which sessions: KEYs, or --mouse, --date and --number.")
    days = [day for text in dates for day in names_of(text) or ()]
    return [(mouse, day, number) for day in days for number in numbers]


def _rest(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain_value(value) for name, value in row.items() if name not in KEY_COLUMNS}


@commands.command()
def edit(
    context: typer.Context,
    key: Annotated[str | None, argument("KEY", "One session; or give filters.")] = None,
    *,
    values: Set = None,
    filters: Filters,
    everything: Annotated[
        bool, option("--all", "Every session.", rich_help_panel="Filters")
    ] = False,
    csv: Annotated[
        Path | None,
        option(
            "--csv FILE",
            "Take the new values from a CSV file, whose header has mouseName, sessionDate, "
            "sessionID and the columns to set.",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        option(
            "--base FILE",
            "With --csv: the file as it was before it was edited. What is the same in both "
            "is left alone, what somebody else changed since is shown.",
        ),
    ] = None,
    apply: Annotated[
        bool, option("--apply", "With --csv: make the changes that are shown.")
    ] = False,
    dry_run: DryRun = False,
    reason: Reason = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Set columns of one session, or of all that pass the filters, scratched ones too.

    Asks before it changes more than one row. A file's changes are shown, and made with --apply.

    Example: vrtracker sessions edit ATL012.2023-01-20.702 --set sessionNotes="ran well"

    Example: vrtracker sessions edit --mouse ATL012 --set numPlanes=5 --dry-run

    Example: vrtracker sessions edit --csv sessions.csv --base exported.csv --apply
    """
    if csv is not None:
        if key is not None or filters or everything or values:
            raise InvalidValueError("--csv says which sessions and which values; give it alone.")
        edit_csv(
            shell_of(context), csv, base, apply=apply and not dry_run, reason=reason, json=json
        )
        return
    if apply or base is not None:
        raise InvalidValueError("--apply and --base go with --csv FILE.")
    chosen = _chosen(key, filters, everything=everything)
    with shell_of(context).open(readonly=dry_run) as tracker:
        if key is not None:
            chosen = tracker.sessions.get(key).key
        listing.edit(
            tracker.sessions,
            values_of(values),
            chosen,
            dry_run=dry_run,
            yes=yes,
            reason=reason,
            json=json,
        )


def _chosen(key: str | None, filters: Selection, *, everything: bool) -> Any:
    """Return the key or the filters, of which exactly one must be given."""
    ways = (key is not None, bool(filters), everything)
    if sum(ways) != 1:
        raise InvalidValueError(
            "Say which sessions: a KEY, or filters (--where, --mouse, ...), or --all; one of these."
        )
    return key if key is not None else filters


@commands.command()
def delete(
    context: typer.Context,
    key: Key,
    *,
    force: Annotated[
        bool, option("--force", "Not needed: all that hangs on it can be restored.")
    ] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Delete a session that was entered by mistake; a bad one is better scratched.

    It can be restored, with all that hangs on it. Refused while it is being worked on.

    Example: vrtracker sessions delete ATL012.2023-01-20.702 --reason "entered twice"
    """
    with shell_of(context).open() as tracker:
        found = tracker.sessions.get(key).key
        tracker.sessions.delete(found, force=force, reason=reason)
    listing.deleted(found, json=json)


deletions.add_to(commands, "session", "sessions", "ATL012.2023-01-20.702")


def edit_csv(
    shell: Shell, path: Path, base: Path | None, *, apply: bool, reason: str | None, json: bool
) -> None:
    """Show what a file changes, old and new; with `apply` make the changes, all or none."""
    with shell.open(readonly=not apply) as tracker:
        plan = tracker.edit_csv(path, base=base)
        if not json:
            _write(plan)
        done = apply and not plan.problems
        if done:
            plan.apply(reason=reason)
    if json:
        _write_document(plan, applied=done)
    elif done:
        say(f"{counted(len(plan.edits), 'session')} changed")
    elif not plan.problems:
        note("Nothing was written; repeat it with --apply to make the changes.")
    if plan.problems:
        say_error(f"{path} has {counted(len(plan.problems), 'problem')}; nothing was changed.")
        raise typer.Exit(Exit.BAD_INPUT)


def _write(plan: EditPlan) -> None:
    rows = [
        {"key": key, "column": column, "old": plain_value(old), "new": plain_value(new)}
        for key, changes in plan.changes.items()
        for column, (old, new) in changes.items()
    ]
    write_table(rows)
    for problem in plan.problems:
        say(f"problem: {problem}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
    say(f"{plan.path}: {len(plan.edits)} of {counted(plan.matched, 'session')} differ")


def _write_document(plan: EditPlan, *, applied: bool) -> None:
    problems = [
        {"line": one.line, "column": one.column, "message": one.message} for one in plan.problems
    ]
    write_json(
        {
            "file": str(plan.path),
            "applied": applied,
            "matched": plan.matched,
            "changes": plain_value(plan.changes),
            "problems": problems,
            "warnings": list(plan.warnings),
        }
    )

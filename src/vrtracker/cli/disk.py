"""``vrtracker scan`` and ``vrtracker import csv``: bring in what is there."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Yes
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.progress import counting
from vrtracker.cli.records import plain_value
from vrtracker.cli.shell import agree, shell_of
from vrtracker.domain.keys import SessionKey

if TYPE_CHECKING:
    from vrtracker.services.disk import ScanPlan
    from vrtracker.services.entries import ImportPlan

__all__ = ["imports", "scan"]

imports = typer.Typer(help="Bring mice and sessions in from files.")

_FOUND = ("key", "imaging", "behavior", "faceCamera", "numPlanes", "suite2p", "suite2pDate")
_PREVIEW = 10


class What(enum.StrEnum):
    """What a CSV file holds."""

    MICE = "mice"
    SESSIONS = "sessions"


def scan(
    context: typer.Context,
    *,
    mouse: Annotated[
        list[str] | None,
        typer.Option("--mouse", metavar="NAME", help="Look at this mouse alone. Repeatable."),
    ] = None,
    add_mice: Annotated[
        bool, typer.Option("--add-mice", help="Add mice too that the database does not know.")
    ] = False,
    today: Annotated[bool, typer.Option("--today", help="Sessions of today alone.")] = False,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="LAST|KEY",
            help="Take over how a session was recorded, where the folder does not tell: of KEY, "
            "or the mouse's last one.",
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Add what the plan lists.")] = False,
    json: Json = False,
) -> None:
    """Look below the root for sessions that are not in the database; --apply adds them.

    Without --apply nothing is written. Sessions that are held back, folders that were skipped
    and what is odd are listed with the reason.

    Example: vrtracker --root /data/lab scan --add-mice --apply

    Example: vrtracker scan --today --like LAST --apply
    """
    with shell_of(context).open(readonly=not apply) as tracker:
        with counting("sessions found") as progress:
            plan = tracker.scan(
                mice=mouse,
                add_mice=add_mice,
                date="today" if today else None,
                like=like,
                progress=progress,
            )
        added = [str(key) for key in plan.apply()] if apply else []
    if json:
        write_json({"applied": apply, **_document(plan), "added": added})
        return
    _write_plan(plan, apply=apply)


def _document(plan: ScanPlan) -> dict[str, Any]:
    return {
        "new": [_found(row) for row in plan.new],
        "new_mice": list(plan.new_mice),
        "held_back": [str(key) for key in plan.held_back],
        "known": plan.known,
        "skipped": [{"path": str(skip.path), "reason": skip.reason} for skip in plan.skipped],
        "warnings": list(plan.warnings),
    }


def _found(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": str(SessionKey.parse(row)),
        **{name: plain_value(row.get(name)) for name in (*row, *_FOUND[1:])},
    }


def _write_plan(plan: ScanPlan, *, apply: bool) -> None:
    document = _document(plan)
    write_table(document["new"], _FOUND)
    if plan.held_back:
        say(f"held back, because the mouse is not in the database: {', '.join(plan.new_mice)}")
        for key in document["held_back"]:
            say(f"  {key}")
        say("  Add the mice (vrtracker mice add NAME), or scan with --add-mice.")
    for skip in document["skipped"]:
        say(f"skipped {skip['path']}: {skip['reason']}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
    verb = "added" if apply else "to add"
    say(f"{counted(len(plan.new), 'session')} {verb}, {plan.known} known already")
    if plan.new_mice and not plan.held_back:
        say(f"{counted(len(plan.new_mice), 'mouse', 'mice')} {verb}: {', '.join(plan.new_mice)}")
    if plan.new and not apply:
        note("Nothing was written; repeat it with --apply to add them.")


@imports.command("csv")
def import_csv(
    context: typer.Context,
    what: Annotated[
        What,
        typer.Argument(metavar="mice|sessions", help="What the file holds.", show_default=False),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV, UTF-8, with a header of column names.",
            show_default=False,
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Preview; write nothing.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Add the rows of a CSV file, all or none.

    Shows the rows, and each problem with its line and column; with problems nothing is written.
    On a terminal it asks before it adds; elsewhere it goes on.

    Example: vrtracker import csv mice mousedb.csv --dry-run

    Example: vrtracker import csv sessions sessiondb.csv --yes
    """
    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = tracker.import_csv(what.value, file)
        if not json:
            _write_preview(plan)
        number = 0
        if not plan.problems and not dry_run:
            _ask(plan, yes=yes or json)
            number = plan.apply()
    if json:
        write_json(_import_document(plan, number))
    elif not plan.problems:
        say(f"{counted(number, 'row')} imported" if not dry_run else "Nothing was written.")
    if plan.problems:
        say_error(f"{file} has {counted(len(plan.problems), 'problem')}; nothing was imported.")
        raise typer.Exit(Exit.BAD_INPUT)


def _ask(plan: ImportPlan, *, yes: bool) -> None:
    from vrtracker.cli.shell import is_terminal

    agree(f"This adds {counted(len(plan.rows), 'row')}.", yes=yes or not is_terminal("stdin"))


def _write_preview(plan: ImportPlan) -> None:
    rows = [{name: plain_value(value) for name, value in row.items()} for row in plan.rows]
    if not plan.problems:
        filled = [name for name in (rows[0] if rows else ()) if any(r[name] for r in rows)]
        write_table(rows[:_PREVIEW], filled)
        if len(rows) > _PREVIEW:
            say(f"... and {len(rows) - _PREVIEW} more")
    for problem in plan.problems:
        say(f"problem: {problem}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
    say(
        f"{plan.path}: {counted(len(rows), 'good row')}, "
        f"{counted(len(plan.problems), 'problem')}, {counted(len(plan.warnings), 'warning')}"
    )


def _import_document(plan: ImportPlan, imported: int) -> dict[str, Any]:
    def listed(problems: Any) -> list[dict[str, Any]]:
        return [{"line": p.line, "column": p.column, "message": p.message} for p in problems]

    return {
        "what": plan.what,
        "file": str(plan.path),
        "rows": len(plan.rows),
        "imported": imported,
        "problems": listed(plan.problems),
        "warnings": listed(plan.warnings),
    }

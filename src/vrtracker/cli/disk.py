"""``vrtracker scan``: bring in the sessions that are on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, option
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.progress import counting
from vrtracker.cli.shell import shell_of
from vrtracker.domain.keys import SessionKey

if TYPE_CHECKING:
    from vrtracker.services.disk import ScanPlan

_FOUND = ("key", "imaging", "behavior", "faceCamera", "numPlanes", "suite2p", "suite2pDate")


def scan(
    context: typer.Context,
    *,
    mouse: Annotated[
        list[str] | None, option("--mouse NAME", "Look at this mouse alone. Repeatable.")
    ] = None,
    add_mice: Annotated[
        bool, option("--add-mice", "Add mice too that the database does not know.")
    ] = False,
    today: Annotated[bool, option("--today", "Sessions of today alone.")] = False,
    like: Annotated[
        str | None,
        option(
            "--like LAST|KEY",
            "Take over how a session was recorded, where the folder does not tell: of KEY, "
            "or the mouse's last one.",
        ),
    ] = None,
    apply: Annotated[bool, option("--apply", "Add what the plan lists.")] = False,
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

"""``vrtracker reconcile``: what the disk says against what the database says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, option
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.progress import counting
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.domain.keys import SessionKey
    from vrtracker.repositories.selecting import Selection
    from vrtracker.services.disk import ReconcilePlan
    from vrtracker.tracker import Tracker

_NOTES = 30


def reconcile(
    context: typer.Context,
    *,
    stage: Annotated[
        list[str] | None,
        option(
            "--stage STAGE",
            "suite2p, registration (with its datasets) or red_cell_qc; all if not given. "
            "Repeatable.",
        ),
    ] = None,
    filters: Filters,
    by_hash: Annotated[
        bool, option("--hash", "Hash files that were written after they were recorded.")
    ] = False,
    only_present: Annotated[
        bool, option("--only-present", "Leave sessions alone that have no folder here.")
    ] = False,
    save: Annotated[Path | None, option("--save FILE", "Keep the plan in this file.")] = None,
    plan: Annotated[
        Path | None, option("--plan FILE", "Take this plan; do not look at the disk.")
    ] = None,
    undo: Annotated[Path | None, option("--undo FILE", "Take back what this plan changed.")] = None,
    apply: Annotated[bool, option("--apply", "Write what the plan lists.")] = False,
    force: Annotated[
        bool, option("--force", "Apply although most of the output seems to be lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare the database with the disk and list what differs; --apply writes it.

    Without --apply nothing is written. Folders that ended attempts left are named, and removed
    with --apply. A root that is missing, empty, or lacks more than half of
    what is marked done is not believed. What was saved with --save can be applied later, and
    taken back while nobody has changed it.

    Example: vrtracker --root /data/lab reconcile --stage suite2p --save plan.json

    Example: vrtracker reconcile --plan plan.json --apply

    Example: vrtracker reconcile --undo plan.json
    """
    if plan and undo:
        raise InvalidValueError("Give --plan or --undo, not both.")
    if (plan or undo) and (filters or stage or by_hash or only_present or save):
        raise InvalidValueError("A saved plan is taken as it is; leave the other options out.")
    if undo and (apply or force):
        raise InvalidValueError("--undo needs neither --apply nor --force; leave them out.")
    with shell_of(context).open(readonly=not (apply or undo)) as tracker:
        if undo:
            made = tracker.load_reconciliation(undo)
            _report(made, made.undo(), "taken back", json=json)
            return
        made = _saved_or_new(
            tracker, plan, filters, stages=stage, by_hash=by_hash, only_present=only_present
        )
        if save:
            made.save(save)
        if not json:
            _write_plan(made)
        written = made.apply(force=force) if apply else None
    _report(made, written, "written", json=json)


def _saved_or_new(
    tracker: Tracker, file: Path | None, filters: Selection, **options: Any
) -> ReconcilePlan:
    if file is not None:
        return tracker.load_reconciliation(file)
    with counting("session folders seen") as progress:
        return tracker.reconcile(filters, progress=progress, **options)


def _report(
    plan: ReconcilePlan, written: list[SessionKey] | None, verb: str, *, json: bool
) -> None:
    keys = [str(key) for key in written or ()]
    if json:
        done = {"written": keys, "applied": written is not None, "removed": plan.removed}
        write_json({**plan.found.to_json(), **done})
    elif written is not None:
        for sentence in plan.removed:
            say(sentence)
        say(f"{counted(len(keys), 'session')} {verb}")
    elif plan.found.is_any:
        note("Nothing was written; repeat it with --apply to write it.")


def _write_plan(plan: ReconcilePlan) -> None:
    found = plan.found
    write_table([plain_value(row) for row in plan.rows()])
    for each in found.notes[:_NOTES]:
        say(f"{each.kind} {each.where}: {each.message}")
    if len(found.notes) > _NOTES:
        say(f"... and {len(found.notes) - _NOTES} more (--json lists all)")
    if found.unknown:
        folders = counted(found.unknown, "folder is", "folders are")
        say(f"{folders} of no session in the database: vrtracker scan")
    say(
        f"{counted(found.looked_at, 'session')} compared, {found.with_folder} with a folder, "
        f"{len(found.changes)} to change"
    )
    if found.runs:
        say(f"{counted(len(found.runs), 'run')} of tracking to record")
    for doubt in found.doubts:
        say(f"warning: {doubt}; it is not applied without --force")

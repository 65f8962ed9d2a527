"""Edit sessions from a CSV file: the preview, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.listing import counted
from vrtracker.cli.output import note, say, write_json, write_table

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell
    from vrtracker.services.entries.bulk_edits import EditPlan


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

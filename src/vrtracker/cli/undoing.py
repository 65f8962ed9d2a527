"""``vrtracker undo``: take operations back."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Reason, option
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.shell import Shell, shell_of
from vrtracker.errors import InvalidValueError
from vrtracker.operations import short


def undo(
    context: typer.Context,
    *,
    last: Annotated[bool, option("--last", "The last operation that still stands.")] = False,
    operation: Annotated[
        str | None,
        option(
            "--operation ID", "An operation, by its id in the history, or the beginning of that."
        ),
    ] = None,
    since: Annotated[
        str | None, option("--since TIME", "All operations since then, by the lab's clock.")
    ] = None,
    actor: Annotated[
        str | None, option("--actor NAME", "Whose --last or --since means; yours if not given.")
    ] = None,
    apply: Annotated[bool, option("--apply", "Take it back, all or nothing.")] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Show what undoing an operation would change; --apply does it.

    What later work rests on is not undone, nor is a run, whose files are on the disk; it says
    what to do instead, and behind --last which operation is the last that can be undone. The first
    letters of an id, as history shows them, are enough. An undoing is an operation too: by its id
    it can be undone.

    Example: vrtracker undo --last

    Example: vrtracker undo --actor ann --since "2026-03-02 14:00" --apply
    """
    if (operation is not None) + last + (since is not None) != 1:
        raise InvalidValueError("Say what: --last, or --operation, or --since; one of these.")
    shell = shell_of(context)
    with shell.open(readonly=not apply) as tracker:
        plan = tracker.undo(operation, last=last, actor=actor, since=since)
        if not json:
            write_table(plain_value(plan.rows()))
            for problem in plan.problems:
                say(f"problem: {problem}")
        applied = apply and not plan.problems
        if applied:
            plan.apply(reason=reason)
    values = counted(len(plan.cells), "value")
    if json:
        document = {"operations": list(plan.operations), "applied": applied}
        document |= {"values": plan.rows(), "problems": list(plan.problems)}
        write_json({**document, "instead": plan.instead})
    elif applied:
        say(f"{values} taken back")
    elif not plan.problems:
        note(f"{values} to take back; nothing was written. Repeat it with --apply.")
    if plan.problems:
        if last and not json:
            _say_instead(shell, plan.instead, actor)
        say_error(f"{counted(len(plan.problems), 'problem')}; nothing was undone.")
        raise typer.Exit(Exit.CONFLICT)


def _say_instead(shell: Shell, instead: str | None, actor: str | None) -> None:
    if instead:
        again = shell.command(f"undo --operation {short(instead)}")
        say(f"The last operation that can be undone: {again}")
    else:
        say(f"None of {f'the latest of {actor}' if actor else 'your latest'} can be undone.")

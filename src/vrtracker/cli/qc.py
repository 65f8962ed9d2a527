"""``vrtracker qc``: decide, and show what was decided."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.as_json import KEY, KEY_COLUMNS, plain_value, records
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit
from vrtracker.cli.filters import Filters, IncludeScratched
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Key, Reason, To, argument, option
from vrtracker.cli.output import answer, say, write_json, write_listing, write_table
from vrtracker.cli.shell import shell_of
from vrtracker.cli.work import settled
from vrtracker.domain.qc import NOT_APPLICABLE
from vrtracker.errors import InvalidValueError

commands = Commands(help="Decide on quality, and show what was decided.")

_APPLICABLE = "APPLICABLE"
_COLUMNS = ("decided_at", "check_name", "level", "actor", "reason", "criteria", "evidence")


@commands.command("set")
def set_level(
    context: typer.Context,
    key: Key,
    check: Annotated[
        str,
        argument(
            "CHECK", "suite2p, red_cell, another review stage, session, or the path of a dataset."
        ),
    ],
    level: Annotated[
        str,
        argument(
            "LEVEL",
            "PASS, WARNING, FAIL, CRITICAL, or NOT_SET to take a decision back; "
            "NOT_APPLICABLE for a review that the session does not have, APPLICABLE to undo that.",
        ),
    ],
    *,
    reason: Reason = None,
    criteria: Annotated[str | None, option("--criteria TEXT", "Version of the criteria.")] = None,
    evidence: Annotated[
        str | None, option("--evidence PATH", "What the decision rests on.")
    ] = None,
    json: Json = False,
) -> None:
    """Record a QC decision.

    PASS and WARNING complete the check; FAIL and CRITICAL leave it failed, and scratch the
    session if the check is "session".

    Example: vrtracker qc set ATL012.2023-01-20.702 red_cell PASS --reason "clear cells"

    Example: vrtracker qc set ATL012.2023-01-20.702 oneData/trials.startTimes.npy FAIL
    """
    with shell_of(context).open() as tracker:
        if set(check) & set("/."):
            if evidence is not None:
                raise InvalidValueError(
                    "A decision on a dataset rests on the dataset itself; leave --evidence out."
                )
            decided = tracker.workflow.set_dataset_qc(
                key, check, level, reason=reason, criteria=criteria
            )
            _settled_dataset(key, check, decided.name, json=json)
            return
        if level.upper() in {NOT_APPLICABLE, _APPLICABLE}:
            if check == "session":
                raise InvalidValueError(
                    f"Every session has the check 'session'; {level} is for the others."
                )
            work = tracker.workflow
            mark = work.include if level.upper() == _APPLICABLE else work.exclude
            now = mark(key, work.stages.review(check).name, reason)
            settled(tracker, key, check, now.value, json=json)
            return
        state = tracker.workflow.set_qc(
            key, check, level, reason=reason, criteria=criteria, evidence=evidence
        )
        settled(tracker, key, check, state.value, json=json)


def _settled_dataset(key: str, path: str, level: str, *, json: bool) -> None:
    answer({"key": key, "dataset": path, "level": level}, f"{path} of {key} is {level}", json=json)


@commands.command("list")
def list_levels(
    context: typer.Context,
    *,
    filters: Filters,
    include_scratched: IncludeScratched = False,
    to: To = None,
    json: Json = False,
) -> None:
    """List the level of every check of every session, and what they amount to.

    What is NOT_SET never passes, what is NOT_APPLICABLE does not count.

    Example: vrtracker qc list --mouse ATL012
    """
    with shell_of(context).open(readonly=True) as tracker:
        found = tracker.workflow.qc_table.found(filters, include_scratched=include_scratched)
    rows, names = records(found.records()), (KEY, *found.columns)
    shown = [name for name in names if name not in KEY_COLUMNS] if rows else names
    write_listing(rows, shown, json=json, to=to, nothing="There are no such sessions.")


@commands.command()
def check(
    context: typer.Context,
    *,
    apply: Annotated[bool, option("--apply", "Make the changes that are shown.")] = False,
    json: Json = False,
) -> None:
    """Check that sessions are scratched exactly where they have a justification.

    Shows what would mend the others: a missing justification is filled in, one of a session
    that counts moves to its notes. Exit code 1 while there are any and --apply is not given.

    Example: vrtracker qc check --apply
    """
    with shell_of(context).open(readonly=not apply) as tracker:
        plan = tracker.workflow.check_qc()
        done = plan.apply() if apply else 0
    if json:
        write_json({"changes": plain_value(plan.changes), "applied": done})
    else:
        write_table([{"key": key, "changes": made} for key, made in plan.changes.items()])
        say(f"{counted(len(plan.changes), 'session')} {'mended' if apply else 'to mend'}")
    if plan.changes and not apply:
        raise typer.Exit(Exit.NO)


@commands.command()
def show(context: typer.Context, key: Key, *, to: To = None, json: Json = False) -> None:
    """Show every QC decision on a session, oldest first.

    Example: vrtracker qc show ATL012.2023-01-20.702
    """
    from vrtracker.domain.qc import QC

    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.decisions.records(key))
    rows = [{**row, "level": QC(row["qc_level"]).name} for row in rows]
    write_listing(rows, _COLUMNS, json=json, to=to, nothing="Nothing was decided on it yet.")

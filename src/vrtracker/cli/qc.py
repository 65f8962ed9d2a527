"""``vrtracker qc``: decide, and show what was decided."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.cli.options import Json, Key, Reason
from vrtracker.cli.output import note, write_json, write_table
from vrtracker.cli.records import records
from vrtracker.cli.shell import shell_of
from vrtracker.cli.work import settled

__all__ = ["commands"]

commands = typer.Typer(help="Decide on quality, and show what was decided.")

_COLUMNS = ("decided_at", "check_name", "level", "actor", "reason", "criteria", "evidence")


@commands.command("set")
def set_level(
    context: typer.Context,
    key: Key,
    check: Annotated[
        str,
        typer.Argument(
            metavar="CHECK",
            help="suite2p, red_cell, another review stage, or session.",
            show_default=False,
        ),
    ],
    level: Annotated[
        str,
        typer.Argument(
            metavar="LEVEL",
            help="PASS, WARNING, FAIL, CRITICAL, or NOT_SET to take a decision back.",
            show_default=False,
        ),
    ],
    *,
    reason: Reason = None,
    criteria: Annotated[
        str | None, typer.Option("--criteria", metavar="TEXT", help="Version of the criteria.")
    ] = None,
    evidence: Annotated[
        str | None, typer.Option("--evidence", metavar="PATH", help="What the decision rests on.")
    ] = None,
    json: Json = False,
) -> None:
    """Record a QC decision.

    PASS and WARNING complete the check; FAIL and CRITICAL leave it failed, and scratch the
    session if the check is "session".

    Example: vrtracker qc set ATL012.2023-01-20.702 red_cell PASS --reason "clear cells"
    """
    with shell_of(context).open() as tracker:
        state = tracker.workflow.set_qc(
            key, check, level, reason=reason, criteria=criteria, evidence=evidence
        )
        settled(tracker, key, check, state.value, json=json)


@commands.command()
def show(context: typer.Context, key: Key, *, json: Json = False) -> None:
    """Show every QC decision on a session, oldest first.

    Example: vrtracker qc show ATL012.2023-01-20.702
    """
    from vrtracker.domain.qc import QC

    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.decisions(key))
    rows = [{**row, "level": QC(row["qc_level"]).name} for row in rows]
    if json:
        write_json(rows)
        return
    write_table(rows, _COLUMNS)
    if not rows:
        note("Nothing was decided on it yet.")

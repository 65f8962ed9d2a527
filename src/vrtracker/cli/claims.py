"""``vrtracker claims``, ``release``: who works on what."""

from __future__ import annotations

from typing import Annotated

import typer

from vrtracker.as_json import records
from vrtracker.cli.options import Json, Key, Reason, To, option
from vrtracker.cli.output import say, write_json, write_listing
from vrtracker.cli.shell import shell_of


def claims(context: typer.Context, *, to: To = None, json: Json = False) -> None:
    """List who works on what: since when, the last sign of life, whether the process runs.

    Of a process of another computer nobody can tell: its claim holds until the lease ends.

    Example: vrtracker claims --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.workflow.claims.records())
    names = ("key", "stage", "host", "pid", "actor", "claimed_at", "heartbeat_at", "alive")
    told = [{name: row[name] for name in names} for row in rows]
    nothing = "Nobody works on a session."
    write_listing(told, None if told else names, json=json, to=to, nothing=nothing, shown=rows)


def release(
    context: typer.Context,
    key: Key,
    *,
    stage: Annotated[
        str | None, option("--stage STAGE", "This one alone; else all that are claimed.")
    ] = None,
    force: Annotated[
        bool, option("--force", "Also if its holder may live; its result is refused then.")
    ] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Give back a claim that nobody holds any more, so that others can take the session.

    Runs do so by themselves where the process is gone, or the lease has ended.

    Example: vrtracker release ATL012.2023-01-20.702

    Example: vrtracker release ATL012.2023-01-20.702 --force --reason "rig 2 hangs"
    """
    with shell_of(context).open() as tracker:
        done = tracker.workflow.release(key, stage, force=force, reason=reason)
    if json:
        write_json({"released": done})
        return
    for sentence in done:
        say(sentence)

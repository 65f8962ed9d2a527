"""``vrtracker needs``, ``why-not``, ``complete``, ``reset``, ``scratch``, ``unscratch``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import records
from vrtracker.cli import listing
from vrtracker.cli.filters import Filters
from vrtracker.cli.options import (
    AllColumns,
    Columns,
    IncludeStale,
    Json,
    Key,
    Limit,
    Reason,
    Stage,
    To,
    option,
)
from vrtracker.cli.output import answer, say, write_json
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import names_of

if TYPE_CHECKING:
    from vrtracker.repositories.selecting import Selection
    from vrtracker.tracker import Tracker

_COLUMNS = ("key", "state", "imaging", "numPlanes", "experimentType", "sessionNotes")


def needs(
    context: typer.Context,
    stage: Stage = "registration",
    *,
    include_blocked: Annotated[
        bool, option("--include-blocked", "Also what waits for an earlier stage.")
    ] = False,
    include_stale: IncludeStale = False,
    filters: Filters,
    columns: Columns = None,
    all_columns: AllColumns = False,
    limit: Limit = None,
    to: To = None,
    json: Json = False,
) -> None:
    """List the work queue of a stage: the sessions that are ready, or failed before.

    Example: vrtracker needs registration --mouse ATL012

    Example: vrtracker needs suite2p --include-blocked --columns key,state --json
    """
    names = names_of(columns)
    also = {"include_blocked": include_blocked, "include_stale": include_stale}
    with shell_of(context).open(readonly=True) as tracker:
        if names is None:
            rows = records(tracker.workflow.needs.records(stage, filters, limit=limit, **also))
        else:
            rows = _queue(tracker, stage, filters, names, limit, **also)
    listing.write_rows(
        rows,
        json=json,
        default=_COLUMNS,
        all_columns=all_columns,
        columns=names,
        to=to,
    )


def _queue(
    tracker: Tracker,
    stage: str,
    filters: Selection,
    names: Sequence[str],
    limit: int | None,
    **also: bool,
) -> list[dict[str, Any]]:
    """Return the queue with the columns that `sessions list` takes, and `state`."""
    from vrtracker.domain.states import queued
    from vrtracker.repositories.selecting import Selection

    chosen = tracker.workflow.stages[stage]
    state = f"state.{chosen.name}"
    rows = listing.list_rows(
        tracker.sessions,
        filters=filters & Selection.of({state: queued(chosen.kind, **also)}),
        columns=[state if name == "state" else name for name in names],
        order_by=None,
        limit=limit,
    )
    return [dict(zip(names, row.values(), strict=True)) for row in rows]


def why_not(
    context: typer.Context, key: Key, stage: Stage = "registration", *, json: Json = False
) -> None:
    """Say why a session is not in the queue of a stage, and what to do about it.

    Example: vrtracker why-not ATL012.2023-01-20.702 red_cell_qc
    """
    shell = shell_of(context)
    with shell.open(readonly=True) as tracker:
        reasons = tracker.workflow.why_not(key, stage)
        state = tracker.workflow.states(key)[stage].value
        name = str(tracker.sessions.get(key).key)
    if json:
        listed = [
            {"code": reason.code, "stage": reason.stage, "message": reason.message}
            for reason in reasons
        ]
        write_json({"key": name, "stage": stage, "state": state, "reasons": listed})
        return
    say(f"{name} {stage}: {state}")
    for reason in reasons:
        say(f"  {shell.completed(reason.message)}")
    if not reasons.keep_out:
        say("  It is in the queue.")


def complete(
    context: typer.Context,
    key: Key,
    stage: Stage,
    *,
    date: Annotated[
        str | None, option("--date TIME", "When, the lab's clock; now if not given.")
    ] = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Record that a stage was done outside the tracker, such as suite2p on another computer.

    Example: vrtracker complete ATL012.2023-01-20.702 suite2p --date "2023-01-22 18:30:00"
    """
    with shell_of(context).open() as tracker:
        state = tracker.workflow.complete(key, stage, date=date, reason=reason)
        settled(tracker, key, stage, state.value, json=json)


def reset(
    context: typer.Context, key: Key, stage: Stage, *, reason: Reason = None, json: Json = False
) -> None:
    """Take back that a stage is done, or that it failed.

    Example: vrtracker reset ATL012.2023-01-20.702 suite2p --reason "wrong settings"
    """
    with shell_of(context).open() as tracker:
        state = tracker.workflow.reset(key, stage, reason=reason)
        settled(tracker, key, stage, state.value, json=json)


def scratch(
    context: typer.Context,
    key: Key,
    *,
    reason: Annotated[str, option("--reason TEXT", "Why; kept as its justification.")],
    json: Json = False,
) -> None:
    """Give a session up: it takes part in nothing and leaves the listings.

    Example: vrtracker scratch ATL012.2023-01-20.702 --reason "laser off"
    """
    with shell_of(context).open() as tracker:
        state = tracker.workflow.scratch(key, reason)
        settled(tracker, key, None, state.value, json=json)


def unscratch(
    context: typer.Context, key: Key, *, reason: Reason = None, json: Json = False
) -> None:
    """Take a scratched session back; every stage is again where it was.

    Example: vrtracker unscratch ATL012.2023-01-20.702 --reason "the laser was on after all"
    """
    with shell_of(context).open() as tracker:
        tracker.workflow.unscratch(key, reason=reason)
        settled(tracker, key, None, "unscratched", json=json)


def settled(tracker: Any, key: str, stage: str | None, state: str, *, json: bool) -> None:
    """Report the state that a decision led to."""
    name = str(tracker.sessions.get(key).key)
    answer(
        {"key": name, "stage": stage, "state": state},
        f"{name}{f' {stage}' if stage else ''}: {state}",
        json=json,
    )

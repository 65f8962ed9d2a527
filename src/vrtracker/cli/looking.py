"""``vrtracker status``, ``history``, ``errors``, ``attempts``: what is, and was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import records
from vrtracker.cli import watching
from vrtracker.cli.exits import Exit
from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Key, Limit, To, argument, option
from vrtracker.cli.output import note, say, write_json, write_listing, write_table
from vrtracker.cli.shell import Shell, shell_of
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.errors import InvalidKeyError, InvalidValueError
from vrtracker.operations import short

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell
    from vrtracker.repositories.selecting import Selection
    from vrtracker.tracker import Tracker

_INTERVAL = 2.0
"""Seconds between two looks."""
_EVENTS = (
    *("occurred_at", "actor", "verb", "stage", "from_state", "to_state", "changes", "reason"),
    "operation",
)
_ERRORS = ("key", "stage", "failed_at", "error_type", "error_message")
_HELD_BACK = ("key", "stage", "failures", "retry_after", "set_aside")
_GROUPS = ("group", "count", "stage", "message", "first_at", "last_at", "sessions")
_ATTEMPTS = (
    "stage",
    "outcome",
    "started_at",
    "duration_s",
    "output_bytes",
    "output_files",
    "actor",
    "host_name",
    "registrar",
    "error_message",
)


def status(
    context: typer.Context,
    *,
    filters: Filters,
    watch: Annotated[
        bool, option("--watch", "Show what is going on, again and again until Ctrl-C.")
    ] = False,
    interval: Annotated[
        float | None, option("--interval S", "With --watch: seconds between.", min=0.1)
    ] = None,
    json: Json = False,
) -> None:
    """Show how many sessions are in each state of each stage, and what to do next.

    Scratched sessions are counted too. With --watch: the stages, also by mouse, who works on what,
    how many sessions an hour and how long it takes at that rate, the newest errors. It is drawn in
    place on a terminal, else block by block, with --json a document a line.

    Example: vrtracker status --mouse ATL012

    Example: vrtracker status --watch --interval 10
    """
    if interval is not None and not watch:
        raise InvalidValueError("--interval belongs to --watch; give that too.")
    shell = shell_of(context)
    with shell.open(readonly=True) as tracker:
        if watch:
            watching.watch(tracker, filters, interval=interval or _INTERVAL, json_lines=json)
            return
        state = state_of(tracker, filters)
        if json:
            write_json(state)
        else:
            show_state(tracker, shell, state)


def state_of(tracker: Tracker, filters: Selection) -> dict[str, Any]:
    """Return what ``status --json`` writes; mice are those of the sessions that are filtered."""
    counts = tracker.workflow.state_counts(filters)
    stages = {
        stage: {str(state): number for state, number in row.items()}
        for stage, row in counts.items()
    }
    if filters:
        rows = tracker.sessions.records(filters, columns=["mouseName"], include_scratched=True)
        mice = len({row["mouseName"] for row in rows})
    else:
        mice = tracker.mice.count()
    return {
        "url": tracker.url,
        "root": None if tracker.root is None else str(tracker.root),
        "role": tracker.role,
        "mice": mice,
        "sessions": tracker.sessions.count(filters, include_scratched=True),
        "held_back": len(tracker.workflow.held_back.records(None, filters)),
        "stages": stages,
    }


def show_state(tracker: Tracker, shell: Shell, state: Mapping[str, Any]) -> None:
    """Write the state for people, and the commands to go on with."""
    say(f"database  {state['url']}")
    say(f"root      {state['root'] or 'not set (VRTRACKER_ROOT or --root)'}")
    say(f"your role {state['role'] or 'none'}")
    say(
        f"holds     {counted(state['mice'], 'mouse', 'mice')}, "
        f"{counted(state['sessions'], 'session')}"
    )
    say()
    write_table([{"stage": stage, **counts} for stage, counts in state["stages"].items()])
    steps = next_steps(tracker.workflow.stages, state, shell)
    if steps:
        say()
        say("What to do next:")
    for why, commands in steps:
        say(f"  {why}")
        for command in commands:
            say(f"    {command}")


def history(
    context: typer.Context,
    key: Annotated[
        str | None, argument("KEY", "A session, or a mouse by its name, of today or earlier.")
    ] = None,
    *,
    limit: Annotated[int, option("--limit N", "Without KEY: so many events.", min=1)] = 50,
    verify: Annotated[
        bool, option("--verify", "Replay it, and say where it and the rows part.")
    ] = False,
    absorb: Annotated[
        bool, option("--absorb", "Enter what was changed past the tracker, by outside.")
    ] = False,
    to: To = None,
    json: Json = False,
) -> None:
    """Show what happened to a session or mouse, oldest first; or the newest events of all.

    Edits by hand, in Access or SQL, have no events: --verify names them, with exit code 1 if there
    are any; --absorb enters them, signed by outside.

    Example: vrtracker history ATL012.2023-01-20.702

    Example: vrtracker history --absorb
    """
    if verify or absorb:
        if key is not None or verify is absorb:
            raise InvalidValueError(
                "--verify and --absorb look at all rows; give one of them, without KEY."
            )
        _compare(shell_of(context), absorb=absorb, json=json)
        return
    with shell_of(context).open(readonly=True) as tracker:
        events = tracker.events.records(limit) if key is None else tracker.history.records(key)
        if key is not None and not events:
            # Of a mouse that is not there the history itself says so.
            with suppress(InvalidKeyError):
                tracker.sessions.get(key)
    rows = records(events)
    shown = [{**row, "operation": short(row["operation_id"])} for row in rows]
    columns = _EVENTS if key is not None else ("subject_key", *_EVENTS)
    nothing = "Nothing is recorded of it."
    write_listing(rows, columns, json=json, to=to, nothing=nothing, shown=shown)


def _compare(shell: Shell, *, absorb: bool, json: bool) -> None:
    """Compare the rows with the history; enter the differences, or end with NO if there are any."""
    with shell.open(readonly=not absorb) as tracker:
        found = tracker.absorb() if absorb else tracker.verify()
    if json:
        write_json(found.document())
    else:
        facts = found.facts()
        say(facts.title)
        write_table([dict(zip(facts.columns, row, strict=True)) for row in facts.rows])
    if found.differences and not absorb:
        note(f"Enter them in the history: {shell.command('history --absorb')}")
        raise typer.Exit(Exit.NO)


def errors(
    context: typer.Context,
    *,
    stage: Annotated[str | None, option("--stage STAGE", "Of this stage alone.")] = None,
    group: Annotated[
        bool, option("--group", "Put together what differs in numbers, paths and keys alone.")
    ] = False,
    held_back: Annotated[
        bool,
        option("--held-back", "Those that are not tried now: until when, or set aside and why."),
    ] = False,
    traceback: Annotated[bool, option("--traceback", "Show the tracebacks too.")] = False,
    filters: Filters,
    limit: Limit = None,
    to: To = None,
    json: Json = False,
) -> None:
    """List the sessions whose last attempt failed, and why.

    With --group there is one line for each kind of failure, with a short name; all of its
    sessions are run again by: vrtracker register --error NAME

    A session that is set aside is tried again when it is named: vrtracker register KEY; or by the
    next run after: vrtracker reset KEY STAGE

    Example: vrtracker errors --stage registration --traceback

    Example: vrtracker errors --group --mouse ATL012

    Example: vrtracker errors --held-back
    """
    if held_back:
        if group or traceback:
            raise InvalidValueError("--held-back has neither groups nor tracebacks; give it alone.")
        with shell_of(context).open(readonly=True) as tracker:
            rows = records(tracker.workflow.held_back.records(stage, filters))[:limit]
        write_listing(rows, _HELD_BACK, json=json, to=to, nothing="Nothing is held back.")
        return
    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.workflow.errors.records(stage, filters, group=group))[:limit]
    if json or to is not None or not traceback:
        write_listing(
            rows, _GROUPS if group else _ERRORS, json=json, to=to, nothing="Nothing has failed."
        )
        return
    for row in rows:
        if group:
            say(f"{row['group']} {row['stage']} {counted(row['count'], 'session')}")
            say(f"  {row['message']}")
        else:
            say(f"{row['key']} {row['stage']} {row['failed_at'] or ''}".rstrip())
            say(f"  {row['error_message']}")
        for line in (row["error_traceback"] or "no traceback is recorded").splitlines():
            say(f"  | {line}")


def attempts(context: typer.Context, key: Key, *, to: To = None, json: Json = False) -> None:
    """List every attempt at a session, oldest first: how it ended, how long it took, who, where.

    Example: vrtracker attempts ATL012.2023-01-20.702 --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        rows = records(tracker.workflow.attempts.records(key))
    write_listing(rows, _ATTEMPTS, json=json, to=to, nothing="Nothing was attempted yet.")


_Step = tuple[str, list[str]]


def next_steps(
    stages: Mapping[str, Stage], state: Mapping[str, Any], shell: Shell
) -> list[tuple[str, list[str]]]:
    """Return what is to be done, what failed first, each with its commands.

    `state`: as ``vrtracker status --json`` writes it.
    """
    if not state["sessions"]:
        steps: list[_Step] = [
            ("There are no sessions. Look for them on disk:", ["scan --add-mice"]),
            ("Or bring them in:", ["import table mice FILE", "import table sessions FILE"]),
        ]
    else:
        counts = state["stages"]
        steps = [step for stage in stages.values() for step in _failed(stage, counts[stage.name])]
        if state["held_back"]:
            why = f"{state['held_back']} failed and are not tried now. Until when, or why:"
            steps.append((why, ["errors --held-back"]))
        steps += [step for stage in stages.values() for step in _open(stage, counts[stage.name])]
    return [(why, [shell.command(words) for words in lines]) for why, lines in steps]


def _failed(stage: Stage, counts: Mapping[str, int]) -> Iterator[_Step]:
    failed = counts["failed"]
    if failed and stage.kind is StageKind.PROCESS:
        yield f"{failed} failed: {stage.title}. See why:", [f"errors --stage {stage.name}"]


def _open(stage: Stage, counts: Mapping[str, int]) -> Iterator[_Step]:
    ready, stale = counts["ready"], counts["stale"]
    if stage.kind is StageKind.REVIEW:
        waiting = ready + stale + counts["failed"]
        option = " --include-stale" if stale else ""
        if waiting:
            lines = [f"needs {stage.name}{option}", f"qc set KEY {stage.name} PASS"]
            yield f"{waiting} to judge: {stage.title}. List them, then decide on each:", lines
        return
    named = "" if stage.name == "registration" else f" --stage {stage.name}"
    if ready and not named:
        yield f"{ready} ready: {stage.title}.", ["register"]
    elif ready:
        lines = [f"needs {stage.name}", f"complete KEY {stage.name}"]
        yield f"{ready} ready: {stage.title}. List them, and record what was run:", lines
    if stale:
        yield f"{stale} to make again: {stage.title}.", [f"register{named} --include-stale"]

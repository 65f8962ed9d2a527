"""``vrtracker register``: run a stage over the sessions that need it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import chosen, records
from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.filters import Filters
from vrtracker.cli.following import write_report
from vrtracker.cli.options import (
    IncludeStale,
    Json,
    MaxErrors,
    MaxSessions,
    NoRetry,
    Registrar,
    RegistrarOption,
    argument,
    option,
)
from vrtracker.cli.output import kept_for_json, note, write_json, write_table
from vrtracker.cli.progress import running
from vrtracker.cli.shell import Shell, shell_of
from vrtracker.cli.values import options_of, size_of
from vrtracker.domain.stages import StageKind
from vrtracker.domain.states import ALLOWED, State, Transition, allowed_from
from vrtracker.errors import (
    InvalidTransitionError,
    InvalidValueError,
    NoRegistrarError,
    WorkerDiedError,
)

if TYPE_CHECKING:
    from vrtracker.repositories.selecting import Selection
    from vrtracker.services.workflow.run_report import Progress, RunReport, RunResult
    from vrtracker.tracker import Tracker

_TAKEN = ("retry_failed", "include_stale", "force")
_HELD = ("key", "failures", "retry_after", "set_aside")


def register(
    context: typer.Context,
    keys: Annotated[
        list[str] | None, argument("KEY...", "These sessions; or give filters.")
    ] = None,
    *,
    stage: Annotated[str, option("--stage STAGE", "The stage to run.")] = "registration",
    error: Annotated[
        str | None,
        option(
            "--error GROUP",
            "The sessions that failed alike, by the name that errors --group shows; the "
            "stage is the group's.",
        ),
    ] = None,
    registrar: Registrar = None,
    option: RegistrarOption = None,
    budget: Annotated[
        str | None, option("--budget SIZE", "Stop before the output exceeds it: 50GB.")
    ] = None,
    max_sessions: MaxSessions = None,
    max_errors: MaxErrors = None,
    workers: Annotated[
        int | None, option("--workers N", "Work in so many processes beside this one.", min=1)
    ] = None,
    stop_after_failures: Annotated[
        int | None,
        option(
            "--stop-after-failures N",
            "Stop after so many sessions that failed one after the other; 0: never.",
            min=0,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        option(
            "--timeout MINUTES",
            "End the work on a session that takes longer, with all that it started; 0: never.",
            min=0,
        ),
    ] = None,
    no_retry: NoRetry = False,
    include_stale: IncludeStale = False,
    force: Annotated[bool, option("--force", "Also what is done; needs KEY or filters.")] = False,
    filters: Filters,
    dry_run: Annotated[bool, option("--dry-run", "Show the queue; do nothing.")] = False,
    json: Json = False,
) -> None:
    """Register the sessions that need it, or run another stage.

    One session after the other, or with --workers as many at a time. A failure is recorded with
    its message, leaves earlier output alone, and the run goes on. What failed is tried again as
    the stage's policy in the profile has it; a KEY, or --error, at once. Ctrl-C gives back what is
    being worked on. Exit code 3 if some failed.

    Example: vrtracker register --mouse ATL012 --budget 50GB

    Example: vrtracker register --workers 4

    Example: vrtracker register ATL012.2023-01-20.702 --force --registrar lab.steps:register

    Example: vrtracker register --error 3f9a02bc
    """
    _check(keys, filters, error, force=force)
    options = options_of(option)
    how: dict[str, Any] = {
        "registrar": registrar,
        "options": options,
        "budget_bytes": None if budget is None else size_of(budget),
        "max_sessions": max_sessions,
        "max_errors": max_errors,
        "max_failures_in_a_row": stop_after_failures,
        "timeout_minutes": timeout,
        "workers": workers,
    }
    which = Which(stage, retry_failed=not no_retry, include_stale=include_stale, force=force)
    shell = shell_of(context)
    with shell.open(readonly=dry_run) as tracker:
        meant = _chosen(tracker, keys, error, which) or (which, filters)
        if dry_run:
            # The queue of a stage that nothing does here is worth seeing too.
            with contextlib.suppress(NoRegistrarError):
                tracker.workflow.registrar(meant[0].stage, registrar, options=options)
            _show_queue(tracker, shell, *meant, most=max_sessions, json=json)
            return
        which, filters = meant
        how |= {name: getattr(which, name) for name in _TAKEN}
        with kept_for_json(json=json), running(which.stage) as bar:
            report = followed(
                tracker,
                which,
                filters,
                lambda follow: tracker.workflow.run(which.stage, filters, progress=follow, **how),
                bar,
            )
        _note_held_back(_held_back(tracker, which, filters), shell)
    write_report(report, shell, json=json)
    if report.failed:
        raise typer.Exit(Exit.SOME_FAILED)


@dataclass(frozen=True, slots=True)
class Which:
    """Which sessions of the stage a run takes."""

    stage: str
    retry_failed: bool = True
    include_stale: bool = False
    force: bool = False

    @property
    def states(self) -> set[str]:
        """The states of the sessions that it takes."""
        from vrtracker.repositories.selecting import Selection
        from vrtracker.services.workflow.run_report import RunOptions

        how: Any = {name: getattr(self, name) for name in _TAKEN}
        return {state.value for state in RunOptions(filters=Selection(), **how).states}


def _check(
    keys: Sequence[str] | None, filters: Selection, error: str | None, *, force: bool
) -> None:
    if sum(map(bool, (keys, filters, error))) > 1:
        raise InvalidValueError("Give KEYs, filters or --error: one of them alone.")
    if force and not keys and not filters:
        raise InvalidValueError("Running everything again needs a KEY or a filter with --force.")


def _chosen(
    tracker: Tracker, keys: Sequence[str] | None, error: str | None, which: Which
) -> tuple[Which, Selection] | None:
    """Return what stands for sessions by key or by failure, or None where neither is given."""
    if error is not None:
        group = tracker.workflow.error_group(error)
        # Done ones are among them whose latest run failed: force means these too.
        return Which(group.stage, force=True), _numbered(group.numbers)
    return _named(tracker, keys, which) if keys else None


def _named(tracker: Tracker, keys: Sequence[str], which: Which) -> tuple[Which, Selection]:
    """Return the filter that stands for sessions by key, once all of them may be run."""
    stage = tracker.workflow.stages[which.stage]
    transition = Transition.RERUN if which.force else Transition.START
    numbers = []
    for key in keys:
        session = tracker.sessions.get(key)
        state = tracker.workflow.states(session.key)[stage.name]
        is_free = state is State.RUNNING and str(session.key) in _given_up(tracker, stage.name)
        # A stage of people's review is refused as such when the run begins.
        if stage.kind is StageKind.PROCESS and state not in ALLOWED[transition] and not is_free:
            raise InvalidTransitionError(
                session.key,
                stage.name,
                transition.value,
                current=state.value,
                allowed=allowed_from(state, stage.kind),
                why=" ".join(map(str, tracker.workflow.why_not(session.key, stage.name))),
            )
        numbers.append(session.uSessionID)
    # What is named is meant, whether it failed before or is stale.
    meant = Which(which.stage, include_stale=True, force=which.force)
    return meant, _numbered(numbers)


def _numbered(numbers: Sequence[int]) -> Selection:
    from vrtracker.repositories.selecting import Selection

    return Selection.of({"uSessionID": list(numbers)})


def _show_queue(
    tracker: Tracker,
    shell: Shell,
    which: Which,
    filters: Selection,
    *,
    most: int | None,
    json: bool,
) -> None:
    held_back = _held_back(tracker, which, filters)
    queue = _queue(tracker, which, filters, held_back)[:most]
    if json:
        document = {"stage": which.stage, "dry_run": True, "queue": queue, "held_back": held_back}
        write_json(document)
        return
    write_table(queue)
    note(f"{len(queue)} in the queue of {which.stage}; nothing was done.")
    _note_held_back(held_back, shell)


def _queue(
    tracker: Tracker, which: Which, filters: Selection, held_back: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return key and state of the sessions that a run would take."""
    column = f"state:{tracker.workflow.stages[which.stage].name}"
    left_out, free = {row["key"] for row in held_back}, _given_up(tracker, which.stage)
    states = which.states
    if not filters.is_named:
        # A run sets them aside first.
        left_out |= {key for key in free if _died_before(tracker, key, which.stage)}
    return [
        {"key": row["key"], "state": row[column]}
        for row in records(tracker.workflow.table.records(filters))
        if (row[column] in states or row["key"] in free) and row["key"] not in left_out
    ]


def _given_up(tracker: Tracker, stage: str) -> set[str]:
    """Return the sessions whose worker is known to be gone: the next run takes them."""
    name = tracker.workflow.stages[stage].name
    claims = records(tracker.workflow.claims.records())
    return {row["key"] for row in claims if row["stage"] == name and row["alive"] is False}


def _died_before(tracker: Tracker, key: str, stage: str) -> bool:
    """Return whether an earlier worker died over a session, since the last success."""
    name = tracker.workflow.stages[stage].name
    attempts = records(tracker.workflow.attempts.records(key))
    since = takewhile(
        lambda row: row["outcome"] != "succeeded",
        (row for row in reversed(attempts) if row["stage"] == name),
    )
    return any(row["error_type"] == WorkerDiedError.__qualname__ for row in since)


def _held_back(tracker: Tracker, which: Which, filters: Selection) -> list[dict[str, Any]]:
    """Return what failed before and a run leaves out; what is named it takes."""
    if filters.is_named:
        return []
    rows = tracker.workflow.held_back.records(which.stage, filters)
    if which.force:
        rows = [row for row in rows if row["set_aside"]]
    return chosen(records(rows), _HELD)


def _note_held_back(held_back: Sequence[Any], shell: Shell) -> None:
    if held_back:
        see = shell.command("errors --held-back")
        note(f"{len(held_back)} failed and are not tried now; see: {see}")


def followed(
    tracker: Tracker,
    which: Which,
    filters: Selection,
    work: Callable[[Progress], RunReport],
    tell: Progress | None,
) -> RunReport:
    """Return what became of a run, also of one that is interrupted.

    `tell`: is told of each session too.
    """
    results: list[RunResult] = []

    def follow(position: int, total: int, key: Any, result: RunResult | None) -> None:
        if result is not None:
            results.append(result)
        if tell is not None:
            tell(position, total, key, result)

    try:
        return work(follow)
    except KeyboardInterrupt:
        from vrtracker.services.workflow.run_report import RunReport

        say_error("interrupted; what was being worked on was given back.")
        queue = _queue(tracker, which, filters, _held_back(tracker, which, filters))
        ended = {str(each.key) for each in results if each.outcome in {"succeeded", "failed"}}
        left = len({row["key"] for row in queue} - ended)
        return RunReport(which.stage, tuple(results), "interrupted", left, interrupted=True)

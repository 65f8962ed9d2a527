"""``vrtracker worker``: a process that stays and does what there is to do."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.cli.exits import Exit, in_the_shell
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
    Stage,
    option,
)
from vrtracker.cli.output import kept_for_json, note, say
from vrtracker.cli.registering import Which, followed
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import options_of, size_of
from vrtracker.processes import signals_here

if TYPE_CHECKING:
    from vrtracker.services.workflow.run_report import Progress, RunReport, RunResult

_TOLD = "it was told to end"


def worker(
    context: typer.Context,
    stage: Stage = "registration",
    *,
    exit_when_empty: Annotated[
        bool, option("--exit-when-empty", "End when nothing is left, with exit code 0.")
    ] = False,
    max_sessions: MaxSessions = None,
    budget_bytes: Annotated[
        str | None, option("--budget-bytes SIZE", "End before the output exceeds it: 50GB.")
    ] = None,
    budget_minutes: Annotated[
        float | None,
        option(
            "--budget-minutes N",
            "Begin no session after so many minutes; the one at hand is finished.",
            min=0,
        ),
    ] = None,
    max_errors: MaxErrors = None,
    registrar: Registrar = None,
    option: RegistrarOption = None,
    no_retry: NoRetry = False,
    include_stale: IncludeStale = False,
    filters: Filters,
    json: Json = False,
) -> None:
    """Do the sessions that need a stage, one after the other, and wait for more.

    Start as many as you like, on as many computers: each session is done by one. Ctrl-C or SIGTERM
    ends it after the session at hand; a second one gives that session back. A database that goes
    away is waited for. What failed before is tried once, at the start.

    With a limit (--max-sessions, --budget-bytes, --budget-minutes) it does not wait: it ends with
    exit code 0 when the limit is reached, and 6 when nothing is left, or 0 with --exit-when-empty.
    Told to end before that, it ends with 130.

    Example: vrtracker worker registration

    Example: vrtracker worker registration --exit-when-empty

    Example: vrtracker worker registration --budget-minutes 220 --no-retry
    """
    limits: dict[str, Any] = {
        "max_sessions": max_sessions,
        "budget_bytes": None if budget_bytes is None else size_of(budget_bytes),
        "budget_minutes": budget_minutes,
    }
    is_limited = any(limit is not None for limit in limits.values())
    shell = shell_of(context)
    which = Which(stage, retry_failed=not no_retry, include_stale=include_stale)

    def tell(_position: int, _total: int, key: Any, result: RunResult | None) -> None:
        if result is not None and not json:
            say(f"{key}: {result.outcome}{f' ({result.error})' if result.error else ''}")

    with (
        shell.open() as tracker,
        _ending_after_the_session() as stop,
        kept_for_json(json=json),
    ):

        def work(follow: Progress) -> RunReport:
            return tracker.workflow.serve(
                stage,
                filters,
                registrar=registrar,
                options=options_of(option),
                until_empty=exit_when_empty or is_limited,
                retry_failed=not no_retry,
                include_stale=include_stale,
                max_errors=max_errors,
                stop=stop,
                progress=follow,
                say=lambda text: note(in_the_shell(text)),
                **limits,
            )

        report = followed(tracker, which, filters, work, tell)
    if report.stopped == _TOLD and (is_limited or exit_when_empty):
        report = replace(report, interrupted=True)
    write_report(report, shell, json=json)
    if is_limited and not exit_when_empty and report.stopped is None:
        raise typer.Exit(Exit.NOTHING_LEFT)


@contextlib.contextmanager
def _ending_after_the_session() -> Iterator[Callable[[], str | None]]:
    """Yield what says whether it is to end; the second signal interrupts what goes on."""
    signals = 0

    def heed(_number: int, _frame: Any) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            raise KeyboardInterrupt
        # Not through Python's stream, which may be in the middle of a line.
        os.write(2, b"Ends after the session at hand; once more to give it back.\n")

    numbers = signals_here("SIGINT", "SIGTERM", "SIGHUP")
    # What nohup has the process ignore stays ignored.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, heed) for number in heeded}
    try:
        yield lambda: _TOLD if signals else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""What is said of a run at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from vrtracker.cli.exits import Exit
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.domain.retrying import SET_ASIDE, STANDS

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell
    from vrtracker.services.workflow.run_report import RunReport, RunResult

_FIELDS = ("outcome", "duration_s", "bytes", "files", "error", "attempt_id", "following")


def write_report(report: RunReport, shell: Shell, *, json: bool) -> None:
    """Write how a run ended, and what to do about its failures; exit if it was interrupted."""
    if json:
        write_json(_document(report))
    else:
        _write_summary(report, shell)
    if report.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)


def _document(report: RunReport) -> dict[str, Any]:
    outcomes = ("succeeded", "failed", "skipped", "cancelled")
    return {
        "stage": report.stage,
        **{outcome: report.count(outcome) for outcome in outcomes},
        "bytes": report.bytes,
        "left": report.left,
        "stopped": report.stopped,
        "notes": list(report.notes),
        "results": [
            {"key": str(result.key), **{name: getattr(result, name) for name in _FIELDS}}
            for result in report.results
        ],
    }


def _write_summary(report: RunReport, shell: Shell) -> None:
    did_nothing = not report.results and not report.left and not report.interrupted
    if did_nothing:
        say(f"{report.stage}: nothing to do")
    else:
        say(f"{replace(report, stopped=None)}; {report.bytes} bytes recorded")
        if report.stopped:
            say(f"stopped: {report.stopped}; {report.left} left")
    for text in report.notes:
        note(text)
    write_failures(report.results)
    if report.failed:
        say()
        say(f"more:  {shell.command(f'errors --stage {report.stage} --traceback')}")
        again = "" if report.stage == "registration" else f" --stage {report.stage}"
        following = {result.following for result in report.results if result.following}
        if following <= {SET_ASIDE, STANDS}:
            again = f" KEY{again}{' --force' if STANDS in following else ''}"
        say(f"then:  mend what is wrong, and {shell.command(f'register{again}')}")


def write_failures(results: Sequence[RunResult]) -> None:
    """List the sessions that were not done, and why."""
    failures = [
        {
            "key": str(result.key),
            "outcome": result.outcome,
            "error": result.error,
            "following": result.following,
        }
        for result in results
        if result.outcome != "succeeded"
    ]
    if failures:
        say()
        write_table(failures)

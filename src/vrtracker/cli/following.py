"""What is known of a run while it goes on, and what is said of it at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.cli.output import note, say, write_table
from vrtracker.domain.retrying import SET_ASIDE, STANDS

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell
    from vrtracker.services.workflow.run_report import RunReport, RunResult

_FIELDS = ("outcome", "duration_s", "bytes", "files", "error", "attempt_id", "following")


@dataclass(slots=True)
class Followed:
    """What is known of a run, also of one that was interrupted."""

    stage: str
    results: list[RunResult] = field(default_factory=list)
    left: int = 0
    """How many sessions it did not get to."""
    report: RunReport | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it was interrupted."""
        return self.report is None

    def count(self, outcome: str) -> int:
        """Return the number of sessions with this outcome."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def bytes(self) -> int:
        """Size of all outputs, bytes."""
        return sum(result.bytes for result in self.results if result.outcome == "succeeded")

    def document(self) -> dict[str, Any]:
        """Return what --json writes."""
        outcomes = ("succeeded", "failed", "skipped", "cancelled")
        return {
            "stage": self.stage,
            **{outcome: self.count(outcome) for outcome in outcomes},
            "bytes": self.bytes,
            "left": self.left,
            "stopped": "interrupted" if self.report is None else self.report.stopped,
            "notes": [] if self.report is None else list(self.report.notes),
            "results": [
                {"key": str(result.key), **{name: getattr(result, name) for name in _FIELDS}}
                for result in self.results
            ],
        }


def write_summary(run: Followed, shell: Shell) -> None:
    """Write how many sessions ended how, and what to do about the failures."""
    notes = run.document()["notes"]
    if not run.results and not run.interrupted and run.left == 0:
        say(f"{run.stage}: nothing to do")
        for text in notes:
            note(text)
        return
    parts = [f"{run.count('succeeded')} succeeded", f"{run.count('failed')} failed"]
    parts += [
        f"{run.count(outcome)} {outcome}"
        for outcome in ("skipped", "cancelled")
        if run.count(outcome)
    ]
    say(f"{run.stage}: {', '.join(parts)}; {run.bytes} bytes recorded")
    stopped = run.document()["stopped"]
    if stopped:
        say(f"stopped: {stopped}; {run.left} left")
    for text in notes:
        note(text)
    write_failures(run.results)
    if run.count("failed"):
        say()
        say(f"more:  {shell.command(f'errors --stage {run.stage} --traceback')}")
        again = "" if run.stage == "registration" else f" --stage {run.stage}"
        following = {result.following for result in run.results if result.following}
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

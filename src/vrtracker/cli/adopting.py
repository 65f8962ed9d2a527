"""``vrtracker db adopt``: take a lab's own database into the tracker."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json, argument, option
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.shell import shell_of

if TYPE_CHECKING:
    from vrtracker.domain.adoption import AdoptionReport


def adopt(
    context: typer.Context,
    target: Annotated[
        str | None, argument("DATABASE", "File or URL of the lab's database; else that of --url.")
    ] = None,
    *,
    apply: Annotated[
        bool, option("--apply", "Carry the plan out; without it nothing is written.")
    ] = False,
    json: Json = False,
) -> None:
    """Take the lab's own sessiondb and mousedb into the tracker, with their rows and columns.

    Shows what differs, what would be repaired, and what stands in the way; exit code 1 if
    something does.

    Example: vrtracker db adopt vrDatabase.accdb --apply
    """
    from vrtracker.services.administration import adoption
    from vrtracker.settings import resolve_url

    shell = shell_of(context)
    url = resolve_url(target if target is not None else shell.url)
    report = adoption.inspect(url)
    if apply and report.revision is None and not report.blocking:
        report = adoption.adopt(url, actor=shell.actor, progress=lambda step: note(f"{step} …"))
    if json:
        write_json(report.as_dict())
    else:
        _tell(report)
    if report.blocking:
        raise typer.Exit(Exit.NO)


def _tell(report: AdoptionReport) -> None:
    command = f"vrtracker db adopt {shlex.quote(report.url)}"
    if report.revision is not None and not report.applied:
        say(f"{report.url} is a tracker's database already, at revision {report.revision}.")
        say(f"Next: vrtracker --url {shlex.quote(report.url)} {_next_verb(report)}")
        return
    _tell_findings(report)
    listing = ", ".join(f"{name}: {rows} rows" for name, rows in report.rows.items())
    counts = listing or "no tables of its own"
    if report.applied:
        say(f"{report.url} is adopted ({counts}), at revision {report.revision}. Next:")
        say(f"  vrtracker --url {shlex.quote(report.url)} status")
    elif report.blocking:
        say(f"{report.url} ({counts}): {len(report.blocking)} findings stand in the way.")
        say(f"Mend them as it says, in the database, then look again: {command}")
    else:
        say(f"{report.url} ({counts}): nothing stands in the way, nothing was written. Next:")
        say(f"  {command} --apply")


def _next_verb(report: AdoptionReport) -> str:
    from vrtracker.database.versions import HEAD

    return "status" if report.revision == HEAD else "db upgrade"


def _tell_findings(report: AdoptionReport) -> None:
    write_table(
        [
            {
                "": "!" if finding.blocks else "",
                "found": str(finding.kind),
                "where": ".".join(filter(None, (finding.table, finding.column))),
                "rows": finding.count or None,
                "then": finding.remedy,
                "such as": "; ".join(finding.examples[:2]),
            }
            for finding in report.findings
        ]
    )
    if report.findings:
        say()

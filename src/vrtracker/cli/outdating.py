"""``vrtracker outdated``: what other options, other code or another registrar made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Registrar, RegistrarOption, option
from vrtracker.cli.output import note, say, write_json, write_table
from vrtracker.cli.shell import Shell, shell_of
from vrtracker.cli.values import options_of

if TYPE_CHECKING:
    from vrtracker.domain.keys import SessionKey
    from vrtracker.services.workflow.outdated import OutdatedPlan


def outdated(
    context: typer.Context,
    *,
    stage: Annotated[str, option("--stage STAGE", "The stage to look at.")] = "registration",
    registrar: Registrar = None,
    option: RegistrarOption = None,
    filters: Filters,
    apply: Annotated[bool, option("--apply", "Mark the listed sessions as stale.")] = False,
    json: Json = False,
) -> None:
    """List what another registrar, other options or other code made; --apply marks it as stale.

    Each session that is done is compared with what register would do with the same --registrar
    and --option. Of sessions that were registered before the tracker, or completed by hand,
    nothing is known; they are not listed. Without --apply nothing is written.

    Example: vrtracker outdated --mouse ATL012

    Example: vrtracker outdated --registrar lab.steps:register --option trial_length=2 --apply
    """
    options = options_of(option)
    shell = shell_of(context)
    with shell.open(readonly=not apply) as tracker:
        plan = tracker.workflow.outdated(stage, filters, registrar=registrar, options=options)
        if not json:
            _write_plan(plan)
        marked = plan.apply() if apply else None
    _report(plan, marked, shell, json=json)


def _write_plan(plan: OutdatedPlan) -> None:
    write_table([plain_value(row) for row in plan.rows()])
    code = f" ({plan.version})" if plan.version else ""
    say(
        f"{counted(plan.compared, 'session')} compared with {plan.registrar}{code}, "
        f"{len(plan.sessions)} outdated"
    )


def _report(
    plan: OutdatedPlan, marked: list[SessionKey] | None, shell: Shell, *, json: bool
) -> None:
    if json:
        write_json(
            {
                "stage": plan.stage,
                "registrar": plan.registrar,
                "version": plan.version,
                "compared": plan.compared,
                "outdated": [str(session.key) for session in plan.sessions],
                "differences": [plain_value(row) for row in plan.rows()],
                "marked": [str(key) for key in marked or ()],
                "applied": marked is not None,
            }
        )
    elif marked is not None:
        say(f"{counted(len(marked), 'session')} marked as stale")
        if marked:
            named = "" if plan.stage == "registration" else f" --stage {plan.stage}"
            say(f"then:  {shell.command(f'register{named} --include-stale')}")
    elif plan.sessions:
        note("Nothing was written; repeat it with --apply to mark them as stale.")

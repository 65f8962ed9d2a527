"""What was deleted, mice and sessions alike: list it, bring it back, remove it for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import records
from vrtracker.cli.commands import Commands
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Deletion, Json, Reason, To, Yes, argument
from vrtracker.cli.output import answer, note, write_listing
from vrtracker.cli.shell import agree, shell_of

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker

_COLUMNS = ("key", "deleted_at", "actor", "reason", "hanging", "deletion")
_Key = Annotated[str, argument("KEY", "Key of the session, or name of the mouse.")]


def add_to(commands: Commands, noun: str, plural: str, example: str) -> None:
    """Add the commands to the group of a table; `example` is a key of its."""

    def rows_of(tracker: Tracker) -> Any:
        return getattr(tracker, plural)

    def deleted(context: typer.Context, *, to: To = None, json: Json = False) -> None:
        with shell_of(context).open(readonly=True) as tracker:
            found = records(rows_of(tracker).deleted.records())
        nothing = "Nothing was deleted that can be restored."
        write_listing(found, _COLUMNS, json=json, to=to, nothing=nothing)
        if found and not json and to is None:
            note(f"{len(found)} can be restored.")

    def restore(
        context: typer.Context,
        key: _Key,
        *,
        deletion: Deletion = None,
        reason: Reason = None,
        json: Json = False,
    ) -> None:
        with shell_of(context).open() as tracker:
            rows_of(tracker).restore(key, deletion=deletion, reason=reason)
            found = str(rows_of(tracker).rules.key(key))
            document: dict[str, Any] = {"restored": found}
            if noun == "mouse":
                theirs = {"mouseName": found}
                document["sessions"] = tracker.sessions.count(theirs, include_scratched=True)
        count = document.get("sessions")
        with_it = f" with {counted(count, 'session')}" if count else ""
        answer(document, f"restored {found}{with_it}", json=json)

    def purge(
        context: typer.Context,
        key: _Key,
        *,
        deletion: Deletion = None,
        reason: Reason = None,
        yes: Yes = False,
        json: Json = False,
    ) -> None:
        with shell_of(context).open() as tracker:
            found = rows_of(tracker).rules.key(key)
            agree(f"This removes {found} for good; it cannot be restored afterwards.", yes=yes)
            rows_of(tracker).purge(found, deletion=deletion, reason=reason)
        answer({"purged": str(found)}, f"purged {found}", json=json)

    does = f"List the deleted {plural} that can be restored, and what hung on them, newest first."
    deleted.__doc__ = f"{does}\n\nExample: vrtracker {plural} deleted"
    does = f"Bring a deleted {noun} back, with its number and all that hung on it."
    if noun == "mouse":
        does += "\n\nThe sessions that were deleted together with it come too, all of them or none."
    restore.__doc__ = f"{does}\n\nExample: vrtracker {plural} restore {example}"
    does = f"Remove a {noun} that was deleted for good; its events stay. Asks first."
    if noun == "mouse":
        does += "\n\nSessions that were deleted together with it are purged by themselves."
    purge.__doc__ = f"{does}\n\nExample: vrtracker {plural} purge {example} --yes"
    for command in (deleted, restore, purge):
        commands.command()(command)

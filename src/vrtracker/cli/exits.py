"""From errors to one line and an exit code."""

from __future__ import annotations

import enum
import os
import re
import traceback

import typer

from vrtracker.cli.shell import Shell
from vrtracker.errors import (
    BackendError,
    ClaimHeldError,
    ConcurrentUpdateError,
    ConditionError,
    DependentRowsError,
    DuplicateError,
    InvalidTransitionError,
    NotEmptyError,
    NotUndoableError,
    ReadOnlyError,
    RoleError,
    RootUnavailableError,
    VrtrackerError,
    WorkersError,
)


class Exit(enum.IntEnum):
    """What the exit code of every command means."""

    OK = 0
    NO = 1
    BAD_INPUT = 2
    SOME_FAILED = 3
    UNAVAILABLE = 4
    CONFLICT = 5
    NOTHING_LEFT = 6
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The meaning in words."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done",
    Exit.NO: "nothing went wrong, but the answer is no: the schema differs, a selection "
    "is no longer what was frozen, the doctor found an error, you declined",
    Exit.BAD_INPUT: "wrong usage or input: an option, key, name, value, filter, file or setting",
    Exit.SOME_FAILED: "the run ended, and some sessions failed",
    Exit.UNAVAILABLE: "the database, the root or the place of the output is not available, the "
    "schema is another one, or your role does not allow it",
    Exit.CONFLICT: "in conflict with what is there: a duplicate, a state that does not allow it, "
    "somebody else's change",
    Exit.NOTHING_LEFT: "a worker with a limit found nothing left to do before it was reached: no "
    "other one is needed",
    Exit.INTERRUPTED: "interrupted (Ctrl-C, SIGTERM), or its workers were, before all was done; "
    "the state is clean",
}

_CONFLICTS = (
    ClaimHeldError,
    ConcurrentUpdateError,
    DependentRowsError,
    DuplicateError,
    InvalidTransitionError,
    NotEmptyError,
    NotUndoableError,
)
_UNAVAILABLE = (BackendError, ReadOnlyError, RoleError, RootUnavailableError, WorkersError)

_IN_THE_SHELL = (
    (r"with force=True and a reason", "with --force and --reason"),
    (r"with force=True", "with --force"),
    (r"with skip_unfit=True", "with --skip-unfit"),
    (r"with overwrite=True", "with --overwrite"),
    (r"give (reason|registrar)=…", r"give --\1"),
    (r"open the tracker with root=…", "give --root before the command"),
    (
        r"workflow\.scratch\(key, reason\) or workflow\.unscratch\(key\)",
        "vrtracker scratch or unscratch",
    ),
    (r"workflow\.complete\(key, '(\w+)'\)", r"vrtracker complete KEY \1"),
    (r"use set_qc", "use: vrtracker qc set"),
    (r'map=\{"([^"]*)": "([^"]*)"\}', r'--map "\1=\2"'),
    (r'missing=\["([^"]*)"\]', r'--missing "\1"'),
    (r'\bdate_format="', '--date-format "'),
    (r'\b(decimal|sheet|delimiter|encoding)="', r'--\1 "'),
)
"""The library's remedies as one types them."""


def code_of(error: VrtrackerError) -> Exit:
    """Return the exit code that an error leads to."""
    if isinstance(error, _CONFLICTS):
        return Exit.CONFLICT
    if isinstance(error, _UNAVAILABLE):
        return Exit.UNAVAILABLE
    return Exit.BAD_INPUT


def report(error: VrtrackerError, shell: Shell) -> Exit:
    """Write an error to standard error, its traceback before it with --debug; return its code."""
    if shell.debug:
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    said, *below = shell.completed(in_the_shell(str(error))).split("\n", 1)
    pointed = isinstance(error, ConditionError)
    say_error(said if pointed else " ".join([said, *below]))
    if pointed:
        typer.echo("\n".join(below), err=True)
    return code_of(error)


def in_the_shell(message: str) -> str:
    """Return a message of the library with its remedies as one types them in the shell."""
    for library, shell in _IN_THE_SHELL:
        message = re.sub(library, shell, message)
    return message


def say_error(message: str) -> None:
    """Write one line, ``error: …``, to standard error; coloured on a terminal without NO_COLOR."""
    colour = False if os.environ.get("NO_COLOR") else None
    typer.secho("error:", fg="red", bold=True, nl=False, err=True, color=colour)
    typer.echo(f" {' '.join(message.split())}", err=True)

"""The command ``vrtracker``: its global options, its commands, how its errors end."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from vrtracker.cli.commands import Commands, Group, command_of
from vrtracker.cli.exits import Exit, report, say_error
from vrtracker.cli.options import option
from vrtracker.cli.shell import Shell
from vrtracker.errors import VrtrackerError
from vrtracker.operations import operation

# The base of what is raised for a wrong command line, which typer itself does not name.
_UsageProblem: type[Exception] = typer.BadParameter.mro()[2]

_EPILOG = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in Exit) + "."

_START, _ROWS, _WORK, _JUDGE, _BACK, _DATABASE = (
    "Start",
    "Mice and sessions",
    "Work",
    "Judge",
    "Look back",
    "Database",
)

_HOMES = {
    "demo": ("starting", "demo", _START),
    "init": ("starting", "init", _START),
    "status": ("looking", "status", _START),
    "scan": ("disk", "scan", _ROWS),
    "needs": ("work", "needs", _WORK),
    "why-not": ("work", "why_not", _WORK),
    "register": ("registering", "register", _WORK),
    "worker": ("worker", "worker", _WORK),
    "claims": ("claims", "claims", _WORK),
    "web": ("web", "web", _WORK),
    "web-user": ("web", "people", _WORK),
    "release": ("claims", "release", _WORK),
    "outdated": ("outdating", "outdated", _WORK),
    "reconcile": ("reconciling", "reconcile", _WORK),
    "complete": ("work", "complete", _WORK),
    "reset": ("work", "reset", _WORK),
    "scratch": ("work", "scratch", _JUDGE),
    "unscratch": ("work", "unscratch", _JUDGE),
    "freeze": ("selections", "freeze", _BACK),
    "selections": ("selections", "selections", _BACK),
    "verify": ("selections", "verify", _BACK),
    "history": ("looking", "history", _BACK),
    "undo": ("undoing", "undo", _BACK),
    "errors": ("looking", "errors", _BACK),
    "attempts": ("looking", "attempts", _BACK),
    "plot": ("plotting", "plot", _BACK),
    "doctor": ("doctor", "doctor", _DATABASE),
    "snapshot": ("snapshots", "commands", _DATABASE),
    "clone": ("cloning", "clone", _DATABASE),
    "bake": ("cloning", "bake", _DATABASE),
    "migrate-to": ("cloning", "migrate_to", _DATABASE),
    "backup": ("backups", "backup", _DATABASE),
    "restore": ("backups", "restore", _DATABASE),
    "sessions": ("sessions", "commands", _ROWS),
    "mice": ("mice", "commands", _ROWS),
    "datasets": ("datasets", "commands", _ROWS),
    "import": ("importing", "imports", _ROWS),
    "export": ("exporting", "exports", _ROWS),
    "rig": ("rigs", "commands", _ROWS),
    "qc": ("qc", "commands", _JUDGE),
    "db": ("db", "commands", _DATABASE),
    "admin": ("admin", "commands", _DATABASE),
    "access": ("access", "commands", _DATABASE),
}
"""Module of `vrtracker.cli`, function or group in it, and panel of the help, by command."""


class _Loaded(Mapping[str, Any]):
    """The commands, each with its module imported and its options read when it is asked for."""

    def __init__(self) -> None:
        self._commands: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._commands:
            module, attribute, panel = _HOMES[name]
            found = getattr(importlib.import_module(f"vrtracker.cli.{module}"), attribute)
            self._commands[name] = command_of(found, name, rich_help_panel=panel)
        return self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


class _Root(Group):
    """Finds a command when it is asked for; ends every error in one line and its exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Loaded()

    def make_context(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().make_context(*args, **extra)
        except KeyboardInterrupt as error:
            raise _interrupted() from error

    def invoke(self, ctx: Any) -> Any:
        try:
            with operation():
                return super().invoke(ctx)
        except VrtrackerError as error:
            raise typer.Exit(report(error, ctx.obj or Shell())) from error
        except KeyboardInterrupt as error:
            raise _interrupted() from error

    def main(self, *args: Any, **extra: Any) -> Any:
        standalone = extra.pop("standalone_mode", True)
        extra["standalone_mode"] = False
        try:
            result = super().main(*args, **extra)
        except _UsageProblem as error:
            say_error(_usage(error))
            result = Exit.BAD_INPUT
        except typer.Abort:
            say_error("declined; nothing was written.")
            result = Exit.NO
        code = int(result) if isinstance(result, int) else 0
        if standalone:
            sys.exit(code)
        return code


def _interrupted() -> typer.Exit:
    say_error("interrupted.")
    return typer.Exit(Exit.INTERRUPTED)


def _usage(error: Any) -> str:
    message = error.format_message().rstrip()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vrtracker"
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {path} --help"


app = Commands(
    cls=_Root,
    epilog=_EPILOG,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        option(
            "--url DATABASE",
            "Path of the database, SQLAlchemy URL, or name of a profile; else VRTRACKER_URL, "
            "else the default profile.",
        ),
    ] = None,
    root: Annotated[
        str | None,
        option(
            "--root DIR",
            "Folder that holds the sessions' folders; else VRTRACKER_ROOT, or the profile's.",
        ),
    ] = None,
    actor: Annotated[
        str | None, option("--actor NAME", "Who signs the history; you if not given.")
    ] = None,
    readonly: Annotated[
        bool, option("--readonly", "Refuse to write mice, sessions and work.")
    ] = False,
    debug: Annotated[bool, option("--debug", "Show the traceback of an error.")] = False,
    version: Annotated[bool, option("--version", "Show the version.")] = False,
) -> None:
    """Track mice, sessions, their processing and quality control.

    Global options stand before the command, all others after it.

    Example: vrtracker --url lab.db --root /data/lab status --json
    """
    context.obj = Shell(url=url, root=root, actor=actor, debug=debug, readonly=readonly)
    if version:
        import vrtracker

        typer.echo(f"vrtracker {vrtracker.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

"""``vrtracker demo`` and ``vrtracker init``: a lab to try, a database to fill."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vrtracker.cli.db import make_or_upgrade
from vrtracker.cli.filters import filters_of
from vrtracker.cli.following import write_failures
from vrtracker.cli.looking import show_state, state_of
from vrtracker.cli.options import Json, option
from vrtracker.cli.output import say, write_json
from vrtracker.cli.progress import finding_and_running
from vrtracker.cli.shell import Shell, shell_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.demo import Demo
    from vrtracker.tracker import Tracker


def demo(
    context: typer.Context,
    *,
    folder: Annotated[
        Path, option("--dir DIR", "A new folder, or that of an earlier demo.")
    ] = Path("vrtracker-demo"),
    web: Annotated[
        bool, option("--web", "Then serve it, as vrtracker web does, until Ctrl-C.")
    ] = False,
    port: Annotated[int, option("--port N", "With --web; 0: any free.", min=0, max=65535)] = 0,
    json: Json = False,
) -> None:
    """Make a small lab on disk and a database, find its sessions, register what is ready.

    Three mice, twelve sessions; one is broken, one lacks suite2p, one has no imaging. Running it
    again is harmless.

    Example: vrtracker demo --dir /tmp/demo
    """
    from vrtracker.demo import run_demo

    shell = shell_of(context)
    if shell.url is not None or shell.root is not None:
        raise InvalidValueError("The demo makes its own database and lab; say where with --dir.")
    with finding_and_running("registration") as (found, progress):
        made = run_demo(folder, actor=shell.actor, found=found, progress=progress)
    there = dataclasses.replace(
        shell, url=str(folder / "lab.db"), root=str(folder / made.lab.root.name)
    )
    with made.tracker as tracker:
        if not (web and json):
            _show(tracker, made, there, folder, json=json)
        if web:
            from vrtracker.cli.web import serve

            serve(tracker, json=json, port=port, target=(there.url, there.root))


def _show(tracker: Tracker, made: Demo, there: Shell, folder: Path, *, json: bool) -> None:
    state = state_of(tracker, filters_of())
    if json:
        write_json(state)
        return
    _tell(made, folder)
    show_state(tracker, there, state)


def _tell(made: Demo, folder: Path) -> None:
    say(f"A lab with {len(made.lab.keys)} sessions of {len(made.lab.mice)} mice is in {folder}.")
    done = str(made.report) if made.report.results else "nothing was left to register"
    say(f"{len(made.added)} sessions were added now; {done}.")
    write_failures(made.report.results)
    say()


def init(context: typer.Context, *, json: Json = False) -> None:
    """Make a new database with the newest schema, or bring one up to date.

    A SQLite file is made; a PostgreSQL database must be there, and may be empty.

    Example: vrtracker --url lab.db init
    """
    from vrtracker.settings import config_path

    shell = shell_of(context)
    made = make_or_upgrade(shell.settings())
    if json:
        write_json(made)
        return
    say(f"{'made ' if made['created'] else ''}{made['url']}, at revision {made['revision']}")
    say()
    say("To use it without --url, set it in the environment:")
    say(f"  export VRTRACKER_URL={shlex.quote(made['url'])}")
    say(f"or in a profile in {config_path()}.")
    say(f"Then: {shell.command('scan --add-mice')}")

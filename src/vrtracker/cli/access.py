"""``vrtracker access``: what Access databases need on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from vrtracker.cli.commands import Commands
from vrtracker.cli.options import Json, option
from vrtracker.cli.output import answer, note
from vrtracker.errors import ConfigurationError

commands = Commands(help="Set up what Access databases need on this machine.")


@commands.callback()
def _group() -> None:
    """Keep `install` a command of a group, though it is the only one."""


@commands.command()
def install(
    *,
    folder: Annotated[
        Path | None,
        option(
            "--folder DIR",
            "Put the libraries here, to take to a machine without a network; else the "
            "user's cache folder.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Fetch the Java libraries for Access files and try them; without this, the first use does.

    A machine without a network takes the folder from another one: VRTRACKER_ACCESS_JARS names it.

    Example: vrtracker access install --folder access-jars
    """
    if sys.platform == "win32":
        raise ConfigurationError(
            "On Windows, Access files are opened by Microsoft's driver, which needs no Java "
            'libraries: pip install "vrtracker[access]"'
        )
    from vrtracker.backends.access import jars, jvm

    # Before anything is fetched: a wrong Java is found out soonest.
    home = jvm.java_home()
    paths = jars.install(progress=_tell, folder=folder)
    if folder is not None:
        # It is these that are tried.
        os.environ[jars.FOLDER_VARIABLE] = str(folder)
    jvm.start()
    version = str(jvm.java("java.lang.System").getProperty("java.version"))
    target = paths[0].parent
    answer(
        {
            "folder": str(target),
            "libraries": [path.name for path in paths],
            "java": {"home": str(home), "version": version},
        },
        f"{len(paths)} libraries in {target}",
        f"Java {version} of {home} runs",
        json=json,
    )


def _tell(done: int, total: int, name: str) -> None:
    if done < total:
        note(f"fetching {done + 1} of {total}: {name}")

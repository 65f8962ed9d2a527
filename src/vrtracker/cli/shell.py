"""What the global options say, and opening the lab with it."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import typer

from vrtracker.cli import collecting
from vrtracker.errors import InvalidValueError, VrtrackerError

if TYPE_CHECKING:
    from vrtracker.settings import Settings
    from vrtracker.tracker import Tracker

_TYPED = re.compile(r"([:;] |[(`])vrtracker (?!clone\b|db adopt |access install)(?=[a-z])")
"""A command to type, in a sentence that does not say of which lab; some name it themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The global options of one call."""

    url: str | None = None
    root: str | None = None
    actor: str | None = None
    debug: bool = False
    readonly: bool = False

    def open(self, *, readonly: bool = False) -> AbstractContextManager[Tracker]:
        """Open the lab's database."""
        from vrtracker.opening import open_tracker

        tracker = open_tracker(
            self.url, root=self.root, readonly=readonly or self.readonly, actor=self.actor
        )
        collecting.started()
        return tracker

    def settings(self) -> Settings:
        """Return the settings that hold for the database that is meant."""
        from vrtracker.settings import settings_for

        found = settings_for(self.url)
        return found if self.actor is None else replace(found, actor=self.actor)

    def database_url(self) -> str:
        """Return the database that is meant, whether it is there or not."""
        return self.settings().database

    def command(self, words: str) -> str:
        """Return a command line that means the same lab, without a password in it."""
        line = ["vrtracker"]
        if self.url is not None:
            line += ["--url", shlex.quote(without_password(self.url))]
        if self.root is not None:
            line += ["--root", shlex.quote(self.root)]
        return " ".join([*line, words])

    def completed(self, text: str) -> str:
        """Return a text whose commands to type mean the same lab."""
        # Where the address itself is wrong, no command can name the lab.
        with suppress(VrtrackerError):
            return _TYPED.sub(lambda found: f"{found[1]}{self.command('')}", text)
        return text


def shell_of(context: typer.Context) -> Shell:
    """Return the global options that the call was made with."""
    return cast("Shell", context.obj)


def is_terminal(stream: str) -> bool:
    """Return whether ``stdin``, ``stdout`` or ``stderr`` is a terminal."""
    return bool(getattr(sys, stream).isatty())


def agree(fact: str, *, yes: bool) -> None:
    """State what is about to happen and ask; without a terminal only ``--yes`` goes on.

    Raises InvalidValueError if there is nobody to ask.
    """
    if yes:
        return
    if not is_terminal("stdin"):
        raise InvalidValueError(f"{fact} Nothing was written; repeat it with --yes to go on.")
    typer.confirm(f"{fact} Go on?", abort=True, err=True)


def without_password(url: str) -> str:
    """Return a database as it may be shown."""
    if "://" not in url:
        return url
    from vrtracker.database import Database

    return str(Database(url))

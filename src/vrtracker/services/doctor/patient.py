"""What a doctor looks at, as far as it can be had."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from vrtracker import clock
from vrtracker.database import Database
from vrtracker.database.versions import require_current
from vrtracker.errors import VrtrackerError
from vrtracker.services.administration.opening import lab_of
from vrtracker.services.context import LabContext
from vrtracker.settings import Settings, settings_for


class CannotBeSeenError(Exception):
    """A check stands on something that another one has found wrong."""


class Patient:
    """A lab's settings, database and folders; each is looked for when a check asks for it.

    `target`, `root`, `actor`: as `vrtracker.open` takes them. `host`: the clock of this computer,
    aware UTC.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
        actor: str | None = None,
        host: Callable[[], dt.datetime] = clock.precise,
    ) -> None:
        self.target = target
        self.host = host
        self._root = root
        self._actor = actor

    def __str__(self) -> str:
        try:
            return str(self.named)
        except CannotBeSeenError:
            return "the lab"

    @cached_property
    def settings(self) -> Settings:
        """The settings."""
        with _not_seen("The settings cannot be used."):
            return settings_for(self.target)

    @cached_property
    def named(self) -> Database:
        """The database that is named, whether it is there or not; it only reads."""
        with _not_seen("No database is named."):
            return Database(self.settings.database, readonly=True)

    @cached_property
    def file(self) -> Path | None:
        """The database's file, if it is one that is there."""
        file = self.named.backend.file(self.named.url)
        return file if file is not None and file.is_file() else None

    def open(self) -> Database:
        """Return the database, once it can be read; the error is that of opening it."""
        database = self.named
        database.backend.check_target(database.url)
        with database.connect(readonly=True):
            return database

    @cached_property
    def database(self) -> Database:
        """The database, which can be read."""
        with _not_seen("The database cannot be read."):
            return self.open()

    @cached_property
    def lab(self) -> LabContext:
        """The lab, whose schema is the newest; it only reads."""
        with _not_seen("The database does not have the schema that this version needs."):
            require_current(self.database)
        with _not_seen("The profile does not fit the database."):
            return lab_of(self.database, self.settings, root=self._root, actor=self._actor)

    @contextlib.contextmanager
    def writing(self) -> Iterator[LabContext]:
        """Give the lab with a database that can be written to."""
        with Database(self.settings.database) as database:
            yield replace(self.lab, database=database, now=clock.now)

    @cached_property
    def root(self) -> Path | None:
        """The folder of the sessions' folders."""
        root = self._root or self.settings.root
        return None if root is None else Path(root).expanduser().absolute()

    def close(self) -> None:
        """Let go of the database."""
        if "named" in self.__dict__:
            self.named.dispose()


@contextlib.contextmanager
def _not_seen(why: str) -> Iterator[None]:
    try:
        yield
    except VrtrackerError as error:
        raise CannotBeSeenError(why) from error

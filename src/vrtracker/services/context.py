"""What every service needs to know: the database, the stages, who acts, where the files are."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker import clock
from vrtracker.database import Database, DatabaseClock
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import DiskRules
from vrtracker.domain.retrying import RunPolicy
from vrtracker.domain.stages import StageGraph
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import SessionFolders
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.values import storable_text
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["LabContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabContext:
    """One lab's database and folders, and who works with them."""

    database: Database
    stages: StageGraph
    actor: str
    root: Path | None = None
    zone: dt.tzinfo | None = None
    lease: dt.timedelta = dt.timedelta(minutes=15)
    patience: dt.timedelta = dt.timedelta(minutes=1)
    """How long a run goes on while its database does not answer, or somebody else holds it."""
    output: str = "oneData"
    backups: Path | None = None
    safety_copies: bool = True
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: Mapping[str, RunPolicy] = field(default_factory=dict)
    disk: DiskRules = field(default_factory=DiskRules)
    host_name: str = field(default_factory=platform.node)
    now: Callable[[], dt.datetime] = clock.now
    """What time it is; by the database's clock unless another one is given."""

    def __post_init__(self) -> None:
        if self.now is clock.now:
            object.__setattr__(self, "now", DatabaseClock(self.database))

    def unit(self, *, readonly: bool = False, of_one_moment: bool = False) -> UnitOfWork:
        """Return a new unit of work."""
        return UnitOfWork(self.database, readonly=readonly, of_one_moment=of_one_moment)

    def policy(self, stage: str) -> RunPolicy:
        """Return how runs of a stage treat failures."""
        return self.policies.get(stage, RunPolicy())

    def lab_now(self) -> dt.datetime:
        """Return the lab's local clock, naive, whole seconds."""
        return self.now().astimezone(self.zone).replace(tzinfo=None)

    def folders(self) -> SessionFolders:
        """Return where the sessions' folders are.

        Raises
        ------
        RootUnavailableError
            If no root is set.
        """
        if self.root is None:
            raise RootUnavailableError(
                "The folder that holds the sessions is not known; set VRTRACKER_ROOT, "
                "or give --root."
            )
        return SessionFolders(self.root)

    def event(
        self, subject: SessionKey | str, verb: str, *, at: dt.datetime | None = None, **more: Any
    ) -> NewEvent:
        """Return an event on a session (by key) or a mouse (by name), signed and dated.

        Raises
        ------
        InvalidValueError
            If the reason is no text that a database keeps.
        """
        if more.get("reason") is not None:
            storable_text(more["reason"])
        return NewEvent(
            occurred_at=at or self.now(),
            actor=self.actor,
            host_name=self.host_name,
            subject_key=str(subject),
            verb=verb,
            **{"subject_kind": "session" if isinstance(subject, SessionKey) else "mouse", **more},
        )


def old_and_new(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what differs, by column, as ``[old, new]``."""
    return {
        name: [old.get(name), new.get(name)]
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }


def conflicts(
    seen: Mapping[str, Mapping[str, Sequence[Any]]],
    found: Mapping[str, Mapping[str, Sequence[Any]]],
    values: Mapping[str, Any],
    present: Collection[str],
) -> dict[str, dict[str, tuple[Any, Any, Any]]]:
    """Return where changes to `values`, as seen and as found, differ, by key and column.

    Of each: the value that was seen, the one that is there (None for a row that is not among
    the `present` ones), the one that was to be. What would not change holds the last already.
    """
    return {
        key: {
            name: (
                before.get(name, [new])[0],
                now.get(name, [new])[0] if key in present else None,
                new,
            )
            for name, new in values.items()
            if before.get(name) != now.get(name)
        }
        for key in {**seen, **found}
        if (before := seen.get(key, {})) != (now := found.get(key, {}))
    }

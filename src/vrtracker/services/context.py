"""What every service needs to know: the database, the stages, who acts, where the files are."""

from __future__ import annotations

import contextlib
import datetime as dt
import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker import clock
from vrtracker.backends.base import ViolationError
from vrtracker.backends.roles import ask_to_grant
from vrtracker.database import Database, DatabaseClock
from vrtracker.domain.conditions import KEY, from_today
from vrtracker.domain.disk_rules import DiskRules
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.retrying import RunPolicy
from vrtracker.domain.roles import ProfileRoles, Role, Standing
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import State
from vrtracker.errors import ConcurrentUpdateError, NotFoundError, RoleError, RootUnavailableError
from vrtracker.files.layout import SessionFolders
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection, selection_of
from vrtracker.repositories.values import storable_text
from vrtracker.settings import config_path
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

_NONE: Mapping[str, Any] = {}


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
    roles: ProfileRoles = field(default_factory=ProfileRoles)
    host_name: str = field(default_factory=platform.node)
    now: Callable[[], dt.datetime] = clock.now
    """What time it is; by the database's clock unless another one is given."""

    def __post_init__(self) -> None:
        if self.now is clock.now:
            object.__setattr__(self, "now", DatabaseClock(self.database))

    def unit(self, *, readonly: bool = False, needs: Role = Role.EDITOR, **how: bool) -> UnitOfWork:
        """Return a new unit of work.

        `needs`: the role that one has to have, to write. `**how`: ``of_one_moment, hasty``, as for
        `UnitOfWork`. Raises RoleError if one has not; where somebody may do nothing, the database
        itself refuses to read.
        """
        if not readonly:
            self.require(needs)
        return UnitOfWork(self.database, readonly=readonly, **how)

    @contextlib.contextmanager
    def as_compared(
        self, source: str, compare: Callable[[UnitOfWork], Any], seen: Any
    ) -> Iterator[UnitOfWork]:
        """Open a unit that writes what a comparison has shown, and commit it.

        Raises ConcurrentUpdateError if comparing again shows something else, or the rows clash with
        others.
        """
        meanwhile = "compared with a database that was changed"
        try:
            with self.unit() as unit:
                if compare(unit) != seen:
                    raise ConcurrentUpdateError(source, meanwhile)
                yield unit
                unit.commit()
        except ViolationError as error:
            raise ConcurrentUpdateError(source, meanwhile) from error

    def selection(
        self, where: Any, filters: Mapping[str, Any] = _NONE, **options: Any
    ) -> Selection:
        """Return what a call selects, with what is known here; see `selection_of`.

        Raises NotFoundError if it names a mouse by itself, or in a list a session, that is not
        there.
        """
        found = selection_of(where, filters, **options).known_to(self.stages, self.now, self.zone)
        if found.mice or found.sessions:
            with self.unit(readonly=True) as unit:
                self._require_mice(unit, found.mice)
                self._require_sessions(unit, found.sessions)
        return found

    def _require_mice(self, unit: UnitOfWork, names: Sequence[str]) -> None:
        known = unit.mice.names() if names else ()
        for name in dict.fromkeys(names):
            if name not in known:
                raise self.not_found("mouse", name, nearest(name, known), unit=unit)

    def _require_sessions(self, unit: UnitOfWork, keys: Sequence[SessionKey]) -> None:
        if not keys:
            return
        asked = Selection.of({KEY: list(map(str, keys))})
        there = {SessionKey.parse(key) for key in unit.sessions.present_keys(Listing(asked))}
        for key in keys:
            if key not in there:
                of_mouse = unit.sessions.keys_like(mouseName=key.mouse)
                near = nearest(str(key), (str(SessionKey(*found)) for found in of_mouse))
                raise self.not_found("session", key, near, unit=unit)

    def today(self) -> dt.date:
        """Return the lab's day."""
        return self.lab_now().date()

    def day(self, value: Any) -> Any:
        """Return the day that ``today``, ``yesterday`` or ``today - 7 days`` is; else the value."""
        spoken = from_today(value) if isinstance(value, str) else None
        return value if spoken is None else spoken.date(self.today())

    def policy(self, stage: str) -> RunPolicy:
        """Return how runs of a stage treat failures."""
        return self.policies.get(stage, RunPolicy())

    def standing(self, enough: Role | None = None) -> Standing:
        """Return who one is here, and the role: by the database, else by the profile."""
        own = Standing(self.actor, self.roles.of(self.actor))
        return self.database.standing(enough) or own

    def require(self, needed: Role) -> None:
        """Refuse who has not the role.

        Raises RoleError, which names the role that one has, the one that is needed, and how to get
        it.
        """
        standing = self.standing(needed)
        if not standing.allows(needed):
            raise self._role_error(standing, needed)

    def _role_error(self, standing: Standing, needed: Role) -> RoleError:
        name, role = standing
        if self.database.backend.roles is None:
            remedy = f'The profile says so, under roles in {config_path()}: {name} = "{needed}"'
        else:
            remedy = ask_to_grant(str(self.database), name, needed)
        has = f"has the role {role}" if role else "has no role"
        return RoleError(
            f"{name!r} {has} in {self.database}, and this needs {needed}; nothing was written. "
            f"{remedy}",
            who=name,
            role=role,
            needed=needed,
        )

    def not_found(
        self,
        kind: str,
        key: SessionKey | str,
        near: Sequence[str] = (),
        *,
        unit: UnitOfWork | None = None,
    ) -> NotFoundError:
        """Return the error for a row that is not there; of a deleted one it says the way back.

        `near`: the keys that are most like it. `unit`: the unit of work in which it was missed, if
        there is one.
        """
        with self.unit(readonly=True) if unit is None else contextlib.nullcontext(unit) as inside:
            is_deleted = bool(inside.deletions.of(kind, str(key)))
        plural = "mice" if kind == "mouse" else "sessions"
        back = f"It was deleted; to have it back: vrtracker {plural} restore {key}"
        return NotFoundError(kind, key, near, remedy=back if is_deleted else "")

    def lab_now(self) -> dt.datetime:
        """Return the lab's local clock, naive, whole seconds."""
        return self.now().astimezone(self.zone).replace(tzinfo=None)

    def folders(self) -> SessionFolders:
        """Return where the sessions' folders are.

        Raises RootUnavailableError if no root is set.
        """
        if self.root is None:
            raise RootUnavailableError(
                "The folder that holds the sessions is not known; set VRTRACKER_ROOT, "
                "or give --root."
            )
        return SessionFolders(self.root)

    def event(
        self,
        subject: SessionKey | str,
        verb: str,
        *,
        at: dt.datetime | None = None,
        moved: tuple[Stage, State, State] | None = None,
        **more: Any,
    ) -> NewEvent:
        """Return an event on a session (by key) or a mouse (by name), signed and dated.

        Of a stage that `moved` it tells the states before and after.

        Raises InvalidValueError if the reason is no text that a database keeps.
        """
        if moved is not None:
            stage, before, after = moved
            more |= {"stage": stage.name, "from_state": before.value, "to_state": after.value}
        if more.get("reason") is not None:
            storable_text(more["reason"])
        more.setdefault("subject_kind", "session" if isinstance(subject, SessionKey) else "mouse")
        return NewEvent(
            occurred_at=at or self.now(),
            actor=self.actor,
            host_name=self.host_name,
            subject_key=str(subject),
            verb=verb,
            **more,
        )


class LabService:
    """Part of what a lab can do."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab


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

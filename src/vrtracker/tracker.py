"""The tracker: what analysis code and the shell hold in their hands."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.roles import ProfileRoles, Role
from vrtracker.errors import InvalidKeyError, NoRegistrarError
from vrtracker.found import Found, framed
from vrtracker.keeping import Keeping
from vrtracker.planning import Planning
from vrtracker.services.administration.roles import RoleService
from vrtracker.services.context import LabContext
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.history import HistoryService, OutsideService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vrtracker.domain.one import OneExport
    from vrtracker.domain.registrars import Registrar
    from vrtracker.notebook.browser import Browser
    from vrtracker.plots import Plots
    from vrtracker.services.administration.backups import Backup
    from vrtracker.services.administration.whole import LabDatabase
    from vrtracker.services.disk.datasets import DatasetService
    from vrtracker.services.entries.recordings import RecordingService
    from vrtracker.services.experiments import ExperimentService
    from vrtracker.services.masks import MaskService
    from vrtracker.services.one import OneImportPlan, OneService
    from vrtracker.services.undoing import UndoPlan
    from vrtracker.services.workflow import WorkflowService


class Tracker(Planning, Keeping, Shown):
    """One lab: its mice, sessions and work.

    Make one with `vrtracker.open`. It opens connections when they are needed, can be used from
    several threads, and can be sent to another process.

    Attributes
    ----------
    query, cross_query
        Those of sessions: ``tracker.query(imaging=True).where("mouse.KO").frame()``.
    sessions : SessionService
        ``query, cross_query, frame, records, iter, get, find, count, add, add_many, read_table,
        update, delete, restore``.
    mice : MouseService
        The same for mice.
    workflow : WorkflowService
        ``needs, why_not, status, states, table, run, serve, outdated, set_qc, scratch, unscratch,
        complete, reset, exclude, include``.
    datasets : DatasetService
        ``list, records, scan, verify, prune, restore``: files; ``datasets(key)``: a frame.
    experiments : ExperimentService
        ``list, summary, frame, messages, config, to_csv, setup, record, read, combine, export,
        replay, assign, delete, restore``: trials with their parameters and outcomes.
    masks : MaskService
        ``list, get, make, recompute``: what functions make of sessions.
    export_one, import_one, merge
        Caches of ONE: see `OneService.export` and `OneService.read`.
    rigs : RigService
        ``validate, add, list, get, diff, set, of``: rigs by version, and who used which.
    tracking : TrackingService
        ``runs, get, table``: cells tracked over the sessions of a mouse.
    recordings : RecordingService
        ``parts, merge, split, separate``: recordings that went on under another number.

    Examples
    --------
    >>> with vrtracker.open("lab.db", root="lab") as tracker:
    ...     tracker.query(imaging=True).where("mouse.KO").count()
    4
    """

    def __init__(
        self,
        lab: LabContext,
        *,
        registrars: dict[str, str] | None = None,
        folder: TemporaryDirectory[str] | None = None,
    ) -> None:
        self._lab = lab
        self._folder = folder
        self._registrars = dict(registrars or {})
        self.sessions = SessionService(lab)
        self.query = self.sessions.query
        self.cross_query = self.sessions.cross_query
        self.mice = MouseService(lab)
        self._history = HistoryService(lab)
        self.events = self._history.latest
        self.operation_like = self._history.operation_like
        self.decisions = self._history.decisions
        outside = OutsideService(lab)
        self.verify = outside.verify
        self.absorb = outside.absorb
        roles = RoleService(lab)
        self.roles = roles.roles
        self.grant = roles.grant
        self.revoke = roles.revoke

    @cached_property
    def workflow(self) -> WorkflowService:
        """What needs doing, why not yet, doing it, and deciding on it."""
        from vrtracker.services.workflow import WorkflowService

        return WorkflowService(self._lab, self._registrar)

    @cached_property
    def datasets(self) -> DatasetService:
        """The files of sessions."""
        from vrtracker.services.disk.datasets import DatasetService

        return DatasetService(self._lab)

    @cached_property
    def experiments(self) -> ExperimentService:
        """What happened in sessions, trial by trial."""
        from vrtracker.services.experiments import ExperimentService

        return ExperimentService(self._lab)

    @cached_property
    def masks(self) -> MaskService:
        """What functions make of sessions, and when it no longer counts."""
        from vrtracker.services.masks import MaskService

        return MaskService(self._lab, self.sessions)

    @cached_property
    def _one(self) -> OneService:
        from vrtracker.services.one import OneService

        return OneService(self._lab, self.sessions, self.mice)

    @property
    def export_one(self) -> Callable[..., OneExport]:
        """Write a cache that ONE-api loads; see `OneService.export`."""
        return self._one.export

    @property
    def import_one(self) -> Callable[..., OneImportPlan]:
        """Plan to take over a cache of ONE; see `OneService.read`."""
        return self._one.read

    @property
    def merge(self) -> Callable[..., OneImportPlan]:
        """Plan to take over tables of ONE, in a folder or as frames; see `OneService.merge`."""
        return self._one.merge

    @cached_property
    def recordings(self) -> RecordingService:
        """Recordings that went on under another number."""
        from vrtracker.services.entries.recordings import RecordingService

        return RecordingService(self._lab, self.sessions)

    @cached_property
    def plot(self) -> Plots:
        """Pictures of the lab, such as ``plot.pipeline(imaging=True)``; extra ``plot``."""
        from vrtracker.plots import Plots

        return Plots(self._lab, self.sessions, lambda: self.workflow)

    def browse(
        self, where: Any = None, /, *, columns: Iterable[str] = (), **filters: Any
    ) -> Browser:
        """Return a table for a notebook, in which one filters, sorts and selects sessions.

        Parameters
        ----------
        where, **filters
            As for ``tracker.sessions.frame``; at most 5,000 sessions.
        columns
            Beside the key; those that a query selects, such as ``mouse.sex`` or ``qc.red_cell``.

        Returns
        -------
        Browser
            ``.selected``: the keys of the sessions that are ticked, for whatever takes keys.

        Raises
        ------
        MissingDependencyError
            If anywidget is not installed (extra ``notebook``).
        InvalidValueError
            If more sessions pass.

        Examples
        --------
        >>> table = tracker.browse("imaging", columns=["qc.red_cell"])
        >>> table.selected
        []
        """
        from vrtracker.notebook import browse

        return browse(self.sessions, where, columns, filters)

    def __repr__(self) -> str:
        mode = ", readonly=True" if self._lab.database.readonly else ""
        return f"Tracker({self.url!r}{mode})"

    def facts(self) -> Facts:
        """Return what is open; the database is not asked.

        Examples
        --------
        >>> dict(tracker.facts().rows)["signs as"]
        'ada'
        """
        rows = [
            ("database", self.url),
            ("may write", not self._lab.database.readonly),
            ("root", self._lab.root),
            ("signs as", self._lab.actor),
            ("backups", self._lab.backups),
            ("stages", ", ".join(self._lab.stages)),
        ]
        return Facts("Tracker of a lab", rows)

    def __reduce__(self) -> Any:
        return partial(Tracker, registrars=self._registrars), (self._lab,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The database's address: a path, or a URL without its password."""
        return str(self._lab.database)

    @cached_property
    def database(self) -> LabDatabase:
        """The database as a whole: engines, tables, life; see `LabDatabase`."""
        from vrtracker.services.administration.whole import LabDatabase

        return LabDatabase(self._lab)

    @property
    def root(self) -> Path | None:
        """The folder that holds the sessions' folders."""
        return self._lab.root

    @property
    def actor(self) -> str:
        """Whose name stands under what is written."""
        return self._lab.actor

    @property
    def role(self) -> Role | None:
        """What you may do here, None for nothing; PostgreSQL is asked, elsewhere the profile."""
        return self._lab.standing().role

    def signing_as(self, actor: str, role: Role) -> Tracker:
        """Return a tracker on the same database that somebody else signs for.

        Parameters
        ----------
        role
            What that person may do, where the database keeps no roles; no more than you may.

        Examples
        --------
        >>> from vrtracker.domain.roles import Role
        >>> tracker.signing_as("grace", Role.READER).role
        <Role.READER: 'reader'>
        """
        own = self._lab.roles.of(self._lab.actor)
        allowed = role if own.includes(role) else own
        roles = ProfileRoles(default=allowed)
        return Tracker(replace(self._lab, actor=actor, roles=roles), registrars=self._registrars)

    def close(self) -> None:
        """Close all connections; the next use opens new ones, but of a tracker of the past.

        Examples
        --------
        >>> tracker.close()
        """
        self._lab.database.dispose()
        if self._folder is not None:
            self._folder.cleanup()

    @framed
    def history(self, key: Any) -> Found:
        """Return the events of a session, or of a mouse by its name, oldest first.

        They are found under every key or name that it has had, and after it was deleted.

        Examples
        --------
        >>> tracker.history("DEMO001.2023-01-18.701")["verb"].tolist()
        ['added', 'start', 'succeed']
        """
        try:
            wanted = SessionKey.parse(key)
        except InvalidKeyError:
            events = self._history.of_mouse.found(self.mice.rules.key(key))
            if not events.records():
                self.mice.get(key)
            return events
        return self._history.of_session.found(wanted)

    def as_of(self, when: Any) -> Tracker:
        """Return a tracker, to read alone, of all as it was at an earlier time.

        What events tell is taken back in a copy of the database, which goes when it is closed.

        Parameters
        ----------
        when
            A time; without a zone the lab's clock. A date stands for the end of that day, today's
            for now.

        Raises
        ------
        InvalidValueError
            If it shows no time, or one that has not come yet.

        Examples
        --------
        >>> with tracker.as_of("2023-01-20") as past:  # the demo is younger
        ...     past.sessions.count()
        0
        """
        from vrtracker.services.administration.past import moment_of, past_of

        lab, folder = past_of(self._lab, moment_of(self._lab, when))
        return Tracker(lab, registrars=self._registrars, folder=folder)

    def undo(self, operation: str | None = None, **chosen: Any) -> UndoPlan:
        """Plan to take back an operation, or those `chosen` by ``last=True`` or ``since=…``.

        See `UndoService.plan`.

        Examples
        --------
        >>> tracker.sessions.update({"numPlanes": 3}, "mouseName = DEMO001")
        Update(matched=4, rows=4, dry_run=False)
        >>> tracker.undo(last=True).apply()
        4
        """
        from vrtracker.services.undoing import UndoService

        return UndoService(self._lab).plan(operation, **chosen)

    def back_up(
        self, folder: str | os.PathLike[str] | None = None, *, keep: int | None = None
    ) -> Backup:
        """Write a verified copy of the database; see `vrtracker.services.administration.backups`.

        Parameters
        ----------
        folder
            Where to; ``VRTRACKER_BACKUPS`` or the profile's when not given.
        keep
            Remove all but so many of the newest backups; none is removed when not given.

        Examples
        --------
        >>> tracker.back_up("backups", keep=10).path.name
        'lab-...Z.db'
        """
        from vrtracker.services.administration.backups import back_up

        return back_up(self._lab, folder or self._lab.backups, keep=keep)

    def _registrar(self, stage: str, asked: tuple[Any, Any]) -> Registrar:
        from vrtracker.registrars import registrar_from

        spec, options = asked
        if spec is None:
            spec = self._registrars.get(stage, "alf" if stage == "registration" else None)
        if spec is None:
            raise NoRegistrarError(
                f"Nothing is configured that does {stage}; give registrar=…, or set it under "
                f"registrars in the profile. If it was done elsewhere: workflow.complete(key, "
                f"{stage!r})."
            )
        return registrar_from(spec, options)

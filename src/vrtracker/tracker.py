"""The tracker: what analysis code and the shell hold in their hands."""

from __future__ import annotations

import datetime as dt
import os
import zoneinfo
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Boolean

from vrtracker.database import Database
from vrtracker.database.versions import require_current
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import DiskRules
from vrtracker.domain.registrars import Registrar
from vrtracker.domain.stages import Stage, StageGraph, StageKind
from vrtracker.errors import ConfigurationError, InvalidKeyError, UnknownNameError
from vrtracker.registrars import registrar_from
from vrtracker.services.history import HistoryService
from vrtracker.services.imports import ImportPlan, ImportService
from vrtracker.services.lab import Lab
from vrtracker.services.mice import MouseService
from vrtracker.services.reconciling import ReconcilePlan, ReconcileService
from vrtracker.services.scanning import ScanPlan, ScanService
from vrtracker.services.sessions import SessionService
from vrtracker.services.workflow import WorkflowService, filters_of
from vrtracker.settings import Settings, load_settings, profile_names

if TYPE_CHECKING:
    import pandas as pd

    from vrtracker.services.cloning import Clone

__all__ = ["Tracker", "clone", "init", "open_tracker"]


class Tracker:
    """One lab: its mice, sessions and work.

    Make one with `vrtracker.open`. It opens connections when they are needed, can be used from
    several threads, and can be sent to another process.

    Attributes
    ----------
    sessions : SessionService
        ``frame, iter, get, find, count, add, add_many, update, delete``.
    mice : MouseService
        The same for mice.
    workflow : WorkflowService
        ``needs, why_not, status, states, table, run, set_qc, scratch, unscratch, complete, reset``.
    """

    def __init__(self, lab: Lab, *, registrars: dict[str, str] | None = None) -> None:
        self._lab = lab
        self._registrars = dict(registrars or {})
        self.sessions = SessionService(lab)
        self.mice = MouseService(lab)
        self.workflow = WorkflowService(lab, self._registrar)
        self._history = HistoryService(lab)

    def __repr__(self) -> str:
        mode = ", readonly=True" if self._lab.database.readonly else ""
        return f"Tracker({self.url!r}{mode})"

    def __reduce__(self) -> Any:
        return _again, (self._lab, self._registrars)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The database's address: a path, or a URL without its password."""
        return str(self._lab.database)

    @property
    def root(self) -> Path | None:
        """The folder that holds the sessions' folders."""
        return self._lab.root

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._lab.database.dispose()

    def history(self, key: Any) -> pd.DataFrame:
        """Return the events of a session, or of a mouse by its name, oldest first."""
        try:
            wanted = SessionKey.parse(key)
        except InvalidKeyError:
            return self._history.of_mouse(self.mice.get(key).mouseName)
        return self._history.of_session(wanted)

    def events(self, limit: int = 50) -> pd.DataFrame:
        """Return the newest events of all sessions and mice, newest first."""
        return self._history.latest(limit)

    def decisions(self, key: Any) -> pd.DataFrame:
        """Return every QC decision on a session, oldest first."""
        return self._history.decisions(key)

    def datasets(self, key: Any) -> pd.DataFrame:
        """Return the datasets of a session, by path."""
        return self._history.datasets(key)

    def scan(
        self,
        *,
        mice: Collection[str] | None = None,
        add_mice: bool = False,
        progress: Any = None,
    ) -> ScanPlan:
        """Look through the root for sessions not in the database yet; ``.apply()`` adds them."""
        service = ScanService(self._lab, self.sessions, self.mice)
        return service.plan(mice=mice, add_mice=add_mice, progress=progress)

    def reconcile(
        self,
        where: Any = None,
        /,
        *,
        stages: Collection[str] | None = None,
        by_hash: bool = False,
        progress: Callable[[int], None] | None = None,
        **filters: Any,
    ) -> ReconcilePlan:
        """Compare the database with the disk; ``.apply()`` writes the difference, ``.undo()`` back.

        Parameters
        ----------
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; all sessions that are not
            scratched when not given.
        stages
            ``suite2p``, ``registration``, ``red_cell_qc``; all when not given. The recorded
            datasets are compared with registration.
        by_hash
            Hash the files that were written after they were recorded; else they are only named.
        progress
            Called with the number of session folders seen so far.

        Returns
        -------
        ReconcilePlan
            ``found``: what would change, what else there is to know, and doubts about the root;
            ``frame()``, ``save(path)``, ``apply()``, ``undo()``.

        Raises
        ------
        RootUnavailableError
            If the root is missing, empty or cannot be read.
        """
        return ReconcileService(self._lab).plan(
            filters_of(where, filters),
            named=where is not None and not isinstance(where, Mapping),
            stages=stages,
            by_hash=by_hash,
            progress=progress,
        )

    def load_reconciliation(self, path: str | os.PathLike[str]) -> ReconcilePlan:
        """Read a plan that ``reconcile(...).save(path)`` wrote, to apply it or take it back."""
        return ReconcileService(self._lab).load(path)

    def import_csv(self, what: str, path: str | os.PathLike[str]) -> ImportPlan:
        """Read a CSV file of ``mice`` or ``sessions``; ``.apply()`` adds its rows, all or none."""
        service = ImportService(self._lab, self.sessions, self.mice)
        return service.plan(what, Path(path))

    def _registrar(self, stage: str, asked: tuple[Any, Any]) -> Registrar:
        spec, options = asked
        if spec is None:
            spec = self._registrars.get(stage, "alf" if stage == "registration" else None)
        if spec is None:
            raise ConfigurationError(
                f"Nothing is configured that does {stage}; give registrar=…, or set it under "
                f"registrars in the profile. If it was done elsewhere: workflow.complete(key, "
                f"{stage!r})."
            )
        return registrar_from(spec, options)


def open_tracker(
    target: str | os.PathLike[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    readonly: bool = False,
    actor: str | None = None,
) -> Tracker:
    """Open a lab's database.

    Parameters
    ----------
    target
        Path of the database, SQLAlchemy URL, or name of a profile. When not given:
        ``VRTRACKER_URL``, else the profile of ``VRTRACKER_PROFILE``, else the default profile.
    root
        Folder that holds the sessions' folders; ``VRTRACKER_ROOT`` or the profile's when not
        given.
    readonly
        Refuse to write.
    actor
        Name under which events are signed; the user's when not given.

    Returns
    -------
    Tracker

    Raises
    ------
    DatabaseUnavailableError
        If the database is missing (it is not made), not permitted, or not reachable.
    SchemaError
        If its schema is older, newer, or foreign; the message says both revisions and the
        command that mends it.
    ConfigurationError
        If no database is named, or the settings are wrong.
    """
    settings = _settings(target)
    if settings.url is None:
        raise ConfigurationError(
            "No database is named; give its path or URL, or set VRTRACKER_URL, or a profile."
        )
    database = Database(settings.url, readonly=readonly)
    database.backend.check_target(database.url)
    try:
        require_current(database)
        return Tracker(_lab(database, settings, root, actor), registrars=settings.registrars)
    except BaseException:
        database.dispose()
        raise


def _lab(
    database: Database, settings: Settings, root: str | os.PathLike[str] | None, actor: str | None
) -> Lab:
    declared = _declared(settings)
    _check_columns(declared, database)
    return Lab(
        database=database,
        stages=StageGraph(declared),
        actor=actor or settings.actor,
        root=_root(root or settings.root),
        zone=_zone(settings),
        lease=_minutes(settings.lease_minutes),
        output=settings.output,
        disk=DiskRules(**settings.reconcile.model_dump(exclude_none=True)),
    )


def init(target: str | os.PathLike[str] | None = None, **options: Any) -> Tracker:
    """Make a new database (or bring one up to date), and open it; options as `open_tracker`."""
    from vrtracker.database.migration import upgrade

    settings = _settings(target)
    if settings.url is None:
        raise ConfigurationError("No database is named; give the path of the file to make.")
    upgrade(settings.url)
    return open_tracker(target, **options)


def clone(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Callable[[str, int, int], object] | None = None,
) -> Clone:
    """Copy a whole database into a new one, of the same or another kind.

    All rows of all tables come along with their numbers, also the columns and tables that the
    lab has added; then both are compared. What is copied is the state of one moment.

    Parameters
    ----------
    source
        Path, URL or profile of a database with the newest schema.
    destination
        Path or URL of a file that does not exist, or of a database without rows.
    progress
        Called with a table's name, the rows that are copied, and how many there are.

    Returns
    -------
    Clone
        ``source, destination, revision, tables``; each table with ``name, rows, hash``.

    Raises
    ------
    InvalidValueError
        If both are one database.
    NotEmptyError
        If the destination holds rows, or columns or tables of somebody's own.
    BackendError
        If the destination cannot hold something, or does not give it back as it was. It is
        left as it was before.
    """
    from vrtracker.services import cloning

    return cloning.clone(resolve_url(source), resolve_url(destination), progress=progress)


def resolve_url(target: str | os.PathLike[str] | None = None) -> str:
    """Return the URL or path that a target, the environment or the default profile names.

    Raises
    ------
    ConfigurationError
        If none does.
    """
    settings = _settings(target)
    if settings.url is None:
        raise ConfigurationError(
            "No database is named; give --url, or set VRTRACKER_URL, or a profile."
        )
    return settings.url


def _settings(target: str | os.PathLike[str] | None) -> Settings:
    if target is None:
        return load_settings()
    text = os.fspath(target)
    if (
        "://" not in text
        and not Path(text).suffix
        and os.sep not in text
        and text in profile_names()
    ):
        return load_settings(text)
    return load_settings().model_copy(update={"url": text})


def _declared(settings: Settings) -> list[Stage]:
    return [
        Stage(
            name=name,
            title=stage.title or name,
            kind=StageKind(stage.kind),
            requires=tuple(stage.requires),
            applies_if=tuple(stage.applies_if),
        )
        for name, stage in settings.stages.items()
    ]


def _check_columns(declared: list[Stage], database: Database) -> None:
    """Refuse stages that apply by columns that are not there, or are no tick boxes."""
    for stage in declared:
        columns: Any = database.tables.sessions.c if stage.applies_if else {}
        for name in stage.applies_if:
            kind = columns[name].type if name in columns else None
            if not isinstance(kind, Boolean):
                boxes = [each.name for each in columns.values() if isinstance(each.type, Boolean)]
                raise ConfigurationError(
                    f"The stage {stage.name!r} applies if {name!r}. "
                    f"{UnknownNameError('tick box', name, boxes)}"
                )


def _root(root: str | os.PathLike[str] | None) -> Path | None:
    return None if root is None else Path(root).expanduser().absolute()


def _zone(settings: Settings) -> dt.tzinfo | None:
    return zoneinfo.ZoneInfo(settings.timezone) if settings.timezone else None


def _minutes(minutes: float) -> dt.timedelta:
    return dt.timedelta(minutes=minutes)


def _again(lab: Lab, registrars: dict[str, str]) -> Tracker:
    return Tracker(lab, registrars=registrars)

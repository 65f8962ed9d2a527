"""One transaction: the repositories that take part in it, and the only commit there is."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from vrtracker.database import Database, Executor
from vrtracker.repositories.activity import ActivityRepository
from vrtracker.repositories.attempts import AttemptRepository
from vrtracker.repositories.datasets import DatasetRepository
from vrtracker.repositories.events import EventRepository
from vrtracker.repositories.mice import MouseRepository
from vrtracker.repositories.qc_decisions import QCDecisionRepository
from vrtracker.repositories.row_images import RowImages
from vrtracker.repositories.sessions import SessionRepository
from vrtracker.repositories.stages import StageRepository

if TYPE_CHECKING:
    from vrtracker.repositories.deletions import DeletionRepository
    from vrtracker.repositories.experiments import ExperimentRepository
    from vrtracker.repositories.masks import MaskRepository
    from vrtracker.repositories.one import OneRepository
    from vrtracker.repositories.orphans import OrphanRepository
    from vrtracker.repositories.rigs import RigRepository
    from vrtracker.repositories.selections import SelectionRepository
    from vrtracker.repositories.tracking import TrackingRepository

Repository = TypeVar("Repository")


class _Part(Generic[Repository]):
    """A repository of a unit of work, made when it is first asked for.

    One that most commands do without is given by its name, and its module imported then.
    """

    def __init__(self, make: Callable[[Executor], Repository] | str) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, unit: UnitOfWork | None, owner: type | None = None) -> Repository:
        if unit is None:
            return self  # type: ignore[return-value]
        make: Any = self._make
        if isinstance(make, str):
            make = getattr(importlib.import_module(f"vrtracker.repositories.{self._name}"), make)
        made: Repository = make(unit.executor)
        setattr(unit, self._name, made)
        return made


class UnitOfWork:
    """A transaction on one connection. Leaving it without `commit` rolls it back.

    `database`: where to work. `readonly`: open on the engine that the database itself holds to
    reading. `of_one_moment`: let all reads be of one moment, whoever writes meanwhile. `hasty`: do
    not wait at the commit until the disk has it; see `Backend.set_haste`.
    """

    def __init__(
        self,
        database: Database,
        *,
        readonly: bool = False,
        of_one_moment: bool = False,
        hasty: bool = False,
    ) -> None:
        self._database = database
        self._readonly = readonly
        self._of_one_moment = of_one_moment
        self._hasty = hasty

    def __enter__(self) -> Self:
        self._connection = self._database.begin(
            readonly=self._readonly, of_one_moment=self._of_one_moment, hasty=self._hasty
        )
        self.executor = Executor(self._database, self._connection)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        is_sound = error is None and not self._of_one_moment
        self._database.end(self._connection, is_sound=is_sound)

    def commit(self) -> None:
        """Make what was done in this unit lasting; nothing can be done in it afterwards."""
        with self._database.translating():
            self._connection.commit()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Let an error in the block take the block back alone, where the database can do that."""
        if not self._database.backend.supports_savepoints:
            yield
            return
        with self._database.translating(), self._connection.begin_nested():
            yield

    sessions = _Part(SessionRepository)
    mice = _Part(MouseRepository)
    stages = _Part(StageRepository)
    attempts = _Part(AttemptRepository)
    events = _Part(EventRepository)
    qc_decisions = _Part(QCDecisionRepository)
    datasets = _Part(DatasetRepository)
    one: _Part[OneRepository] = _Part("OneRepository")
    deletions: _Part[DeletionRepository] = _Part("DeletionRepository")
    selections: _Part[SelectionRepository] = _Part("SelectionRepository")
    experiments: _Part[ExperimentRepository] = _Part("ExperimentRepository")
    masks: _Part[MaskRepository] = _Part("MaskRepository")
    rigs: _Part[RigRepository] = _Part("RigRepository")
    tracking: _Part[TrackingRepository] = _Part("TrackingRepository")
    orphans: _Part[OrphanRepository] = _Part("OrphanRepository")
    activity = _Part(ActivityRepository)
    images = _Part(RowImages)
    """The tracker's rows of sessions, as events keep them."""


@contextlib.contextmanager
def driver_cursor(database: Database, *, commit: bool) -> Iterator[Any]:
    """Open the driver's own cursor in a transaction of its own.

    What it changes is an edit past the tracker: it has no event.

    `commit`: commit at the end of the block; an error in it rolls back. Without, the cursor can
    only read.
    """
    with contextlib.closing(database.begin(readonly=not commit)) as connection:
        with contextlib.closing(connection.connection.cursor()) as cursor:
            yield cursor
        if commit:
            with database.translating():
                connection.commit()

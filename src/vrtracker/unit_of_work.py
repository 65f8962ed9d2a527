"""One transaction: the repositories that take part in it, and the only commit there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from vrtracker.database import Database, Executor
from vrtracker.repositories.activity import ActivityRepository
from vrtracker.repositories.attempts import AttemptRepository
from vrtracker.repositories.datasets import DatasetRepository
from vrtracker.repositories.deletions import DeletionRepository
from vrtracker.repositories.events import EventRepository
from vrtracker.repositories.experiments import ExperimentRepository
from vrtracker.repositories.masks import MaskRepository
from vrtracker.repositories.mice import MouseRepository
from vrtracker.repositories.one import OneRepository
from vrtracker.repositories.orphans import OrphanRepository
from vrtracker.repositories.qc_decisions import QCDecisionRepository
from vrtracker.repositories.rigs import RigRepository
from vrtracker.repositories.row_images import RowImages
from vrtracker.repositories.selections import SelectionRepository
from vrtracker.repositories.sessions import SessionRepository
from vrtracker.repositories.stages import StageRepository
from vrtracker.repositories.tracking import TrackingRepository


class UnitOfWork:
    """A transaction on one connection. Leaving it without `commit` rolls it back.

    Parameters
    ----------
    database
        Where to work.
    readonly
        Open on the engine that the database itself holds to reading.
    of_one_moment
        Let all reads be of one moment, whoever writes meanwhile.
    hasty
        Do not wait at the commit until the disk has it; see `Backend.set_haste`.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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

    @cached_property
    def sessions(self) -> SessionRepository:
        """Sessions."""
        return SessionRepository(self.executor)

    @cached_property
    def mice(self) -> MouseRepository:
        """Mice."""
        return MouseRepository(self.executor)

    @cached_property
    def stages(self) -> StageRepository:
        """Stages of sessions: facts, marks, queues."""
        return StageRepository(self.executor)

    @cached_property
    def attempts(self) -> AttemptRepository:
        """Attempts and claims."""
        return AttemptRepository(self.executor)

    @cached_property
    def events(self) -> EventRepository:
        """The history."""
        return EventRepository(self.executor)

    @cached_property
    def qc_decisions(self) -> QCDecisionRepository:
        """QC decisions."""
        return QCDecisionRepository(self.executor)

    @cached_property
    def datasets(self) -> DatasetRepository:
        """Datasets."""
        return DatasetRepository(self.executor)

    @cached_property
    def one(self) -> OneRepository:
        """What caches of ONE say."""
        return OneRepository(self.executor)

    @cached_property
    def deletions(self) -> DeletionRepository:
        """What was deleted and can come back."""
        return DeletionRepository(self.executor)

    @cached_property
    def selections(self) -> SelectionRepository:
        """Frozen selections."""
        return SelectionRepository(self.executor)

    @cached_property
    def experiments(self) -> ExperimentRepository:
        """Experiments, their messages and trials."""
        return ExperimentRepository(self.executor)

    @cached_property
    def masks(self) -> MaskRepository:
        """Masks of sessions."""
        return MaskRepository(self.executor)

    @cached_property
    def rigs(self) -> RigRepository:
        """Rigs."""
        return RigRepository(self.executor)

    @cached_property
    def tracking(self) -> TrackingRepository:
        """Cells tracked over sessions."""
        return TrackingRepository(self.executor)

    @cached_property
    def orphans(self) -> OrphanRepository:
        """Rows that refer to what is not there."""
        return OrphanRepository(self.executor)

    @cached_property
    def activity(self) -> ActivityRepository:
        """What is going on, summed."""
        return ActivityRepository(self.executor)

    @cached_property
    def images(self) -> RowImages:
        """The tracker's rows of sessions, as events keep them."""
        return RowImages(self.executor)


@contextlib.contextmanager
def driver_cursor(database: Database, *, commit: bool) -> Iterator[Any]:
    """Open the driver's own cursor in a transaction of its own.

    What it changes is an edit past the tracker: it has no event.

    Parameters
    ----------
    commit
        Commit at the end of the block; an error in it rolls back. Without, the cursor can only
        read.
    """
    with contextlib.closing(database.begin(readonly=not commit)) as connection:
        with contextlib.closing(connection.connection.cursor()) as cursor:
            yield cursor
        if commit:
            with database.translating():
                connection.commit()

"""One session as it was read: its row, and what the tracker knows of each stage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from vrtracker.domain.records import SessionRecord
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import Mark, StageFacts, State, state_of


@dataclass(frozen=True, slots=True)
class StageRow:
    """What the tracker remembers of a (session, stage)."""

    mark: str | None
    attempt_id: str | None
    outcome: str | None
    lease_until: dt.datetime | None
    failures: int | None = None
    retry_after: dt.datetime | None = None
    set_aside: str | None = None


_UNTOUCHED = StageRow(None, None, None, None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session's row and its stage rows, read in one statement."""

    record: SessionRecord
    rows: Mapping[str, StageRow]
    """By stage; a stage that the tracker has not touched has none."""
    row_digest: str | None = None
    """Of the row after its latest event, where that is known; read with a lock alone."""

    def row(self, stage: Stage) -> StageRow:
        """Return what is remembered of a stage."""
        return self.rows.get(stage.name, _UNTOUCHED)

    def has_output(self, stage: Stage) -> bool:
        """Return whether the stage's output exists, current or not."""
        if stage.done_column:
            return bool(getattr(self.record, stage.done_column))
        return self.row(stage).mark in {Mark.DONE, Mark.STALE}

    def applies(self, stage: Stage) -> bool:
        """Return whether the session has this stage at all."""
        if self.row(stage).mark == Mark.NOT_APPLICABLE:
            return False
        return not self.missing(stage)

    def missing(self, stage: Stage) -> list[str]:
        """Return the columns that would have to be true for the stage to apply, and are not."""
        extra = self.record.extra
        return [
            column
            for column in stage.applies_if
            if not (extra[column] if column in extra else getattr(self.record, column))
        ]

    def failed(self, stage: Stage) -> bool:
        """Return whether the last attempt failed or the reviewer rejected it."""
        if stage.error_column and getattr(self.record, stage.error_column):
            return True
        return self.row(stage).mark == Mark.FAILED

    def setback(self, stage: Stage) -> StageRow:
        """Return what is remembered of a stage, as far as it still counts as failed."""
        if stage.error_column and not getattr(self.record, stage.error_column):
            # People untick it by hand, which counts as mended.
            return _UNTOUCHED
        return self.row(stage)

    def running(self, stage: Stage, now: dt.datetime) -> bool:
        """Return whether somebody holds a claim that has not expired."""
        row = self.row(stage)
        return row.outcome == "running" and row.lease_until is not None and row.lease_until > now

    def newer_inputs(self, stage: Stage, stages: StageGraph) -> tuple[Stage, ...]:
        """Return the required stages that were made again after this one, by their dates.

        A missing date says nothing.
        """
        made = self.date(stage)
        if made is None:
            return ()
        required = (stages[name] for name in stage.requires)
        return tuple(
            other
            for other in required
            if self.applies(other) and (date := self.date(other)) is not None and date > made
        )

    def date(self, stage: Stage) -> dt.datetime | None:
        """Return when the stage was done, the lab's clock, where its column says so."""
        return getattr(self.record, stage.date_column) if stage.date_column else None

    def facts(self, stage: Stage, stages: StageGraph, now: dt.datetime) -> StageFacts:
        """Return all that decides the state of a stage."""
        required = (stages[name] for name in stage.requires)
        return StageFacts(
            scratched=not self.record.sessionQC,
            applicable=self.applies(stage),
            running=self.running(stage, now),
            done=self.has_output(stage),
            stale=self.row(stage).mark == Mark.STALE or bool(self.newer_inputs(stage, stages)),
            failed=self.failed(stage),
            unmet=tuple(
                other.name
                for other in required
                if self.applies(other) and not self.has_output(other)
            ),
        )

    def state(
        self,
        stage: Stage,
        stages: StageGraph,
        now: dt.datetime,
        *,
        without: Collection[str] = (),
    ) -> State:
        """Return the state of a stage, or what it were if it need not wait for some others."""
        facts = self.facts(stage, stages, now)
        if without:
            unmet = tuple(name for name in facts.unmet if name not in without)
            facts = replace(facts, unmet=unmet)
        return state_of(facts)

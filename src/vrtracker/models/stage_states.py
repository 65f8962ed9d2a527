"""`vrt_stage_state`: what the tracker knows of a (session, stage) beside the lab's columns."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Instant, Name, OfSession
from vrtracker.models.types import text


class StageState(Base):
    """One row for each (session, stage) that the tracker has touched."""

    __tablename__ = "vrt_stage_state"

    uSessionID: Mapped[OfSession] = mapped_column(primary_key=True, autoincrement=False)
    stage: Mapped[str] = mapped_column(text(31), primary_key=True, doc="name of the stage")
    mark: Mapped[str | None] = mapped_column(
        text(16), doc="done, failed, stale, not_applicable; NULL: nothing to add"
    )
    attempt_id: Mapped[str | None] = mapped_column(
        text(32), doc="the latest attempt, which holds the claim while it runs"
    )
    changed_at: Mapped[Instant] = mapped_column(doc="last change, UTC")
    failures: Mapped[int | None] = mapped_column(
        doc="attempts that failed since the last success; NULL: none"
    )
    retry_after: Mapped[Instant | None] = mapped_column(
        doc="a failed stage is not tried again before, UTC"
    )
    set_aside: Mapped[Name | None] = mapped_column(
        doc="why it is not tried again until somebody says so"
    )

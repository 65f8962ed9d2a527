"""What is known of the work on a session's stages.

- `vrt_attempt`: every attempt at a stage; a running one is the claim on the session.
- `vrt_stage_state`: what the tracker knows of a (session, stage) beside the lab's columns.
- `vrt_qc_decision`: the append-only record of quality control.
"""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, OfSession, RowNumber, Words
from vrtracker.models.types import Number, text


class Attempt(Base):
    """One attempt: who, where, with what options, and how it ended."""

    __tablename__ = "vrt_attempt"
    __table_args__ = (
        Index("ix_vrt_attempt_session", "uSessionID", "stage"),
        Index("ix_vrt_attempt_outcome", "outcome"),
    )

    attempt_id: Mapped[str] = mapped_column(
        text(32), primary_key=True, doc="random id; the fencing token of the claim"
    )
    uSessionID: Mapped[OfSession]
    stage: Mapped[str] = mapped_column(text(31), doc="name of the stage")
    outcome: Mapped[str] = mapped_column(
        text(16), doc="running, succeeded, failed, cancelled or expired"
    )
    started_at: Mapped[Instant] = mapped_column(doc="start, UTC")
    heartbeat_at: Mapped[Instant] = mapped_column(doc="last sign of life, UTC")
    lease_until: Mapped[Instant] = mapped_column(
        doc="after this, others may take the session over, UTC"
    )
    finished_at: Mapped[Instant | None] = mapped_column(doc="end, UTC")
    duration_s: Mapped[float | None] = mapped_column(Number, doc="duration, seconds")
    output_bytes: Mapped[float | None] = mapped_column(
        Number, doc="size of the output, bytes (a double: Access counts to 2**31 only)"
    )
    output_files: Mapped[int | None] = mapped_column(doc="number of files of the output")
    actor: Mapped[Name] = mapped_column(doc="who ran it")
    host_name: Mapped[Name] = mapped_column(doc="on which computer")
    process_id: Mapped[int] = mapped_column(doc="in which process")
    registrar: Mapped[Name] = mapped_column(doc="what did the work")
    options: Mapped[Document] = mapped_column(doc="its options")
    versions: Mapped[Document] = mapped_column(doc="versions of the software")
    error_type: Mapped[Name | None] = mapped_column(doc="class of the exception")
    error_message: Mapped[Words | None] = mapped_column(doc="its message")
    error_traceback: Mapped[Words | None] = mapped_column(doc="its full traceback")
    process_started_at: Mapped[Instant | None] = mapped_column(
        doc="when that process began, by its host's clock, UTC: numbers are given again"
    )


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


class QCDecision(Base):
    """One decision on one check of one session; the latest counts, none is ever changed."""

    __tablename__ = "vrt_qc_decision"
    __table_args__ = (Index("ix_vrt_qc_decision_session", "uSessionID", "check_name"),)

    decision_id: Mapped[RowNumber] = mapped_column(doc="number of the decision, in order")
    uSessionID: Mapped[OfSession]
    check_name: Mapped[str] = mapped_column(
        text(31), doc="session, or the stage: suite2p_qc, red_cell_qc, …"
    )
    qc_level: Mapped[int] = mapped_column(
        doc="0 NOT_SET, 10 PASS, 30 WARNING, 40 FAIL, 50 CRITICAL"
    )
    decided_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who decided")
    criteria: Mapped[Name | None] = mapped_column(doc="version of the criteria")
    evidence: Mapped[Words | None] = mapped_column(doc="path of what it rests on")
    reason: Mapped[Words | None] = mapped_column(doc="why")

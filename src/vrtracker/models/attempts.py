"""`vrt_attempt`: every attempt at a stage; a running one is the claim on the session."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import JSONText, LongText, Number, UTCTime, text

__all__ = ["Attempt"]


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
    uSessionID: Mapped[int] = mapped_column(
        ForeignKey("sessiondb.uSessionID", name="fk_vrt_attempt_uSessionID"), doc="the session"
    )
    stage: Mapped[str] = mapped_column(text(31), doc="name of the stage")
    outcome: Mapped[str] = mapped_column(
        text(16), doc="running, succeeded, failed, cancelled or expired"
    )
    started_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="start, UTC")
    heartbeat_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="last sign of life, UTC")
    lease_until: Mapped[dt.datetime] = mapped_column(
        UTCTime, doc="after this, others may take the session over, UTC"
    )
    finished_at: Mapped[dt.datetime | None] = mapped_column(UTCTime, doc="end, UTC")
    duration_s: Mapped[float | None] = mapped_column(Number, doc="duration, seconds")
    output_bytes: Mapped[float | None] = mapped_column(
        Number, doc="size of the output, bytes (a double: Access counts to 2**31 only)"
    )
    output_files: Mapped[int | None] = mapped_column(doc="number of files of the output")
    actor: Mapped[str] = mapped_column(text(255), doc="who ran it")
    host_name: Mapped[str] = mapped_column(text(255), doc="on which computer")
    process_id: Mapped[int] = mapped_column(doc="in which process")
    registrar: Mapped[str] = mapped_column(text(255), doc="what did the work")
    options: Mapped[Any] = mapped_column(JSONText, doc="its options")
    versions: Mapped[Any] = mapped_column(JSONText, doc="versions of the software")
    error_type: Mapped[str | None] = mapped_column(text(255), doc="class of the exception")
    error_message: Mapped[str | None] = mapped_column(LongText, doc="its message")
    error_traceback: Mapped[str | None] = mapped_column(LongText, doc="its full traceback")
    process_started_at: Mapped[dt.datetime | None] = mapped_column(
        UTCTime, doc="when that process began, by its host's clock, UTC: numbers are given again"
    )

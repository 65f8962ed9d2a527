"""`vrt_deleted`: what was deleted, with all that hung on it, until it is restored or purged."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import JSONText, LongText, UTCTime, text

__all__ = ["Deleted"]


class Deleted(Base):
    """One session or mouse that was deleted; its key is free again."""

    __tablename__ = "vrt_deleted"
    __table_args__ = (Index("ix_vrt_deleted_subject", "subject_key", "subject_kind"),)

    deletion_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the deletion"
    )
    subject_kind: Mapped[str] = mapped_column(text(16), doc="session or mouse")
    subject_key: Mapped[str] = mapped_column(
        text(255), doc="key of the session, or name of the mouse, when it was deleted"
    )
    row_number: Mapped[int] = mapped_column(doc="the row's autonumber, which it gets back")
    content: Mapped[Any] = mapped_column(
        JSONText, doc="its rows by table: the row itself, and those that hung on it"
    )
    deleted_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="when, UTC")
    actor: Mapped[str] = mapped_column(text(255), doc="who deleted it")
    operation_id: Mapped[str | None] = mapped_column(text(32), doc="in which operation")
    reason: Mapped[str | None] = mapped_column(LongText, doc="why, in the actor's words")

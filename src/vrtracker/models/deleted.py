"""`vrt_deleted`: what was deleted, with all that hung on it, until it is restored or purged."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, RowNumber, Words
from vrtracker.models.types import text


class Deleted(Base):
    """One session or mouse that was deleted; its key is free again."""

    __tablename__ = "vrt_deleted"
    __table_args__ = (Index("ix_vrt_deleted_subject", "subject_key", "subject_kind"),)

    deletion_id: Mapped[RowNumber] = mapped_column(doc="number of the deletion")
    subject_kind: Mapped[str] = mapped_column(text(16), doc="session or mouse")
    subject_key: Mapped[Name] = mapped_column(
        doc="key of the session, or name of the mouse, when it was deleted"
    )
    row_number: Mapped[int] = mapped_column(doc="the row's autonumber, which it gets back")
    content: Mapped[Document] = mapped_column(
        doc="its rows by table: the row itself, and those that hung on it"
    )
    deleted_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who deleted it")
    operation_id: Mapped[str | None] = mapped_column(text(32), doc="in which operation")
    reason: Mapped[Words | None] = mapped_column(doc="why, in the actor's words")

"""What happened, what was deleted, and what was frozen.

- `vrt_event`: the append-only history of sessions and mice.
- `vrt_deleted`: what was deleted, with all that hung on it, until it is restored or purged.
- `vrt_selection`: selections of sessions that were frozen under a name.
"""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, RowNumber, Words
from vrtracker.models.types import text


class Event(Base):
    """One thing that happened, written in the transaction that made it happen.

    Events refer to their subject by its natural key, so that they outlive a deleted row and
    keep their meaning in a copy of the database.
    """

    __tablename__ = "vrt_event"
    __table_args__ = (
        Index("ix_vrt_event_subject", "subject_key", "subject_kind"),
        Index("ix_vrt_event_operation", "operation_id"),
    )

    event_id: Mapped[RowNumber] = mapped_column(doc="number of the event, in order of writing")
    occurred_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who")
    host_name: Mapped[Name] = mapped_column(doc="on which computer")
    subject_kind: Mapped[str] = mapped_column(
        text(16), doc="session, mouse, selection, experiment or rig"
    )
    subject_key: Mapped[Name] = mapped_column(
        doc="key of the session, name of the mouse, and the like"
    )
    verb: Mapped[str] = mapped_column(text(31), doc="what happened")
    stage: Mapped[str | None] = mapped_column(text(31), doc="to which stage")
    from_state: Mapped[str | None] = mapped_column(text(16), doc="state before")
    to_state: Mapped[str | None] = mapped_column(text(16), doc="state after")
    changes: Mapped[Document] = mapped_column(
        nullable=True, doc="old and new value of each column that changed"
    )
    reason: Mapped[Words | None] = mapped_column(doc="why, in the actor's words")
    attempt_id: Mapped[str | None] = mapped_column(text(32), doc="the attempt it belongs to")
    operation_id: Mapped[str | None] = mapped_column(
        text(32), doc="random id of the call that all events of it share"
    )
    row_digest: Mapped[str | None] = mapped_column(
        text(24), doc="digest of the session's row after the event, where that was known"
    )


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


class FrozenSelection(Base):
    """One selection as it was when it was frozen; never changed."""

    __tablename__ = "vrt_selection"
    __table_args__ = (UniqueConstraint("selection_name"),)

    selection_id: Mapped[RowNumber] = mapped_column(doc="number of the selection")
    selection_name: Mapped[Name] = mapped_column(doc="what people call it: fig3")
    frozen_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who froze it")
    content_hash: Mapped[str] = mapped_column(text(64), doc="SHA-256 of its rows, hexadecimal")
    content: Mapped[Document] = mapped_column(
        doc="query, columns, and a digest of each row by its key"
    )

"""`vrt_tracking`: the sessions of each run that tracked cells over days."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, OfSession, RowNumber, Words
from vrtracker.models.types import text


class TrackedSession(Base):
    """One session of a run of tracking; what all of a run share stands in each of its rows."""

    __tablename__ = "vrt_tracking"
    __table_args__ = (
        UniqueConstraint("run_hash", "uSessionID", name="uq_vrt_tracking_run_session"),
        Index("ix_vrt_tracking_session", "uSessionID"),
    )

    tracking_id: Mapped[RowNumber] = mapped_column(doc="number of the row")
    run_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of the names and contents of all files of the run, hexadecimal"
    )
    uSessionID: Mapped[OfSession]
    place: Mapped[int] = mapped_column(doc="place of the session in the run, from 0")
    plane: Mapped[int | None] = mapped_column(doc="imaging plane; NULL: all planes, one by one")
    folder: Mapped[Words] = mapped_column(doc="folder of the files, below the root, with /")
    files: Mapped[Document] = mapped_column(
        doc="name and SHA-256 of labels, sample and cluster silhouettes"
    )
    made_by: Mapped[str | None] = mapped_column(text(63), doc="version of ROICaT, where it tells")
    settings: Mapped[Document] = mapped_column(
        nullable=True, doc="parameters of the run, where it tells them"
    )
    labelled_at: Mapped[Instant] = mapped_column(doc="when the session's labels were written, UTC")
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was recorded, UTC")

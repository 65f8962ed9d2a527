"""What is known of a session's files, and what was made of them.

- `vrt_dataset`: the files of sessions, by the stage, the scan or the import that recorded them.
- `vrt_mask`: masks and other rows that a function derives from a session's files.
- `vrt_one_session`: what a cache of ONE says of a session, and the lab's table does not.
- `vrt_tracking`: the sessions of each run that tracked cells over days.
"""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, OfSession, RowNumber, Ticked, Words
from vrtracker.models.types import Number, text


class Dataset(Base):
    """One file of a session, by its path below the session's folder."""

    __tablename__ = "vrt_dataset"
    __table_args__ = (
        UniqueConstraint("uSessionID", "rel_path", name="uq_vrt_dataset_session_path"),
    )

    dataset_id: Mapped[RowNumber] = mapped_column(doc="number of the row")
    uSessionID: Mapped[OfSession]
    rel_path: Mapped[Name] = mapped_column(doc="path below the session's folder, with /")
    stage: Mapped[str] = mapped_column(
        text(31), doc="the stage that recorded it; scan, import: a scan, an import"
    )
    attempt_id: Mapped[str | None] = mapped_column(text(32), doc="the attempt that did")
    written: Mapped[Ticked] = mapped_column(
        doc="the attempt wrote the file; false: it found it there"
    )
    revision: Mapped[str | None] = mapped_column(text(64), doc="ALF revision")
    size_bytes: Mapped[float] = mapped_column(Number, doc="size, bytes")
    md5: Mapped[str | None] = mapped_column(text(32), doc="MD5 of the content, hexadecimal")
    qc_level: Mapped[int] = mapped_column(
        default=0, doc="0 NOT_SET, 10 PASS, 30 WARNING, 40 FAIL, 50 CRITICAL"
    )
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was recorded, UTC")
    sha256: Mapped[str | None] = mapped_column(text(64), doc="SHA-256 of the content, hexadecimal")
    modified: Mapped[float | None] = mapped_column(
        Number, doc="time of the file's last change when it was hashed, s since 1970-01-01 UTC"
    )
    missing_since: Mapped[Instant | None] = mapped_column(
        doc="when a scan first missed the file, UTC; NULL: it is there"
    )
    one_id: Mapped[str | None] = mapped_column(
        text(36), doc="the id that a cache of ONE gave it; NULL: the one that its path makes"
    )


class Mask(Base):
    """What a function made of a session, and what of; the function is named, never kept."""

    __tablename__ = "vrt_mask"
    __table_args__ = (UniqueConstraint("uSessionID", "mask_name", name="uq_vrt_mask_session_name"),)

    mask_id: Mapped[RowNumber] = mapped_column(doc="number of the row")
    uSessionID: Mapped[OfSession]
    mask_name: Mapped[Name] = mapped_column(doc="what it is called")
    function_name: Mapped[Name] = mapped_column(
        doc="what made it, to be imported: package.module:function"
    )
    options: Mapped[Document] = mapped_column(doc="the function's arguments, by name")
    code_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of the function's source, hexadecimal"
    )
    data_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of what is on record of the session's files, hexadecimal"
    )
    content: Mapped[Words] = mapped_column(doc="the result, JSON")
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was made, UTC")


class OneSession(Base):
    """One row for each session that came from a cache of ONE."""

    __tablename__ = "vrt_one_session"

    uSessionID: Mapped[OfSession] = mapped_column(primary_key=True, autoincrement=False)
    one_id: Mapped[str | None] = mapped_column(
        text(36), doc="the id that the cache gave it; NULL: the one that its key makes"
    )
    lab: Mapped[Name | None] = mapped_column(doc="ONE's name of the laboratory")
    projects: Mapped[Words | None] = mapped_column(doc="names, joined by commas")


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

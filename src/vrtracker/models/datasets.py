"""`vrt_dataset`: the files of sessions, by the stage, the scan or the import that recorded them."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Instant, Name, OfSession, RowNumber, Ticked
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

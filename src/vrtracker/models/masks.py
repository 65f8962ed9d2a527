"""`vrt_mask`: masks and other rows that a function derives from a session's files."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, OfSession, RowNumber, Words
from vrtracker.models.types import text


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

"""`vrt_mask`: masks and other rows that a function derives from a session's files."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import JSONText, LongText, UTCTime, text

__all__ = ["Mask"]


class Mask(Base):
    """What a function made of a session, and what of; the function is named, never kept."""

    __tablename__ = "vrt_mask"
    __table_args__ = (UniqueConstraint("uSessionID", "mask_name", name="uq_vrt_mask_session_name"),)

    mask_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the row"
    )
    uSessionID: Mapped[int] = mapped_column(
        ForeignKey("sessiondb.uSessionID", name="fk_vrt_mask_uSessionID"), doc="the session"
    )
    mask_name: Mapped[str] = mapped_column(text(255), doc="what it is called")
    function_name: Mapped[str] = mapped_column(
        text(255), doc="what made it, to be imported: package.module:function"
    )
    options: Mapped[Any] = mapped_column(JSONText, doc="the function's arguments, by name")
    code_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of the function's source, hexadecimal"
    )
    data_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of what is on record of the session's files, hexadecimal"
    )
    content: Mapped[str] = mapped_column(LongText, doc="the result, JSON")
    recorded_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="when it was made, UTC")

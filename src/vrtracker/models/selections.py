"""`vrt_selection`: selections of sessions that were frozen under a name."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import JSONText, UTCTime, text

__all__ = ["FrozenSelection"]


class FrozenSelection(Base):
    """One selection as it was when it was frozen; never changed."""

    __tablename__ = "vrt_selection"
    __table_args__ = (UniqueConstraint("selection_name"),)

    selection_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the selection"
    )
    selection_name: Mapped[str] = mapped_column(text(255), doc="what people call it: fig3")
    frozen_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="when, UTC")
    actor: Mapped[str] = mapped_column(text(255), doc="who froze it")
    content_hash: Mapped[str] = mapped_column(text(64), doc="SHA-256 of its rows, hexadecimal")
    content: Mapped[Any] = mapped_column(
        JSONText, doc="query, columns, and a digest of each row by its key"
    )

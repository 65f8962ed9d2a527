"""`vrt_one_session`: what a cache of ONE says of a session, and the lab's table does not."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import LongText, text

__all__ = ["OneSession"]


class OneSession(Base):
    """One row for each session that came from a cache of ONE."""

    __tablename__ = "vrt_one_session"

    uSessionID: Mapped[int] = mapped_column(
        ForeignKey("sessiondb.uSessionID", name="fk_vrt_one_session_uSessionID"),
        primary_key=True,
        autoincrement=False,
        doc="the session",
    )
    one_id: Mapped[str | None] = mapped_column(
        text(36), doc="the id that the cache gave it; NULL: the one that its key makes"
    )
    lab: Mapped[str | None] = mapped_column(text(255), doc="ONE's name of the laboratory")
    projects: Mapped[str | None] = mapped_column(LongText, doc="names, joined by commas")

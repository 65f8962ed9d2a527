"""`vrt_one_session`: what a cache of ONE says of a session, and the lab's table does not."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Name, OfSession, Words
from vrtracker.models.types import text


class OneSession(Base):
    """One row for each session that came from a cache of ONE."""

    __tablename__ = "vrt_one_session"

    uSessionID: Mapped[OfSession] = mapped_column(primary_key=True, autoincrement=False)
    one_id: Mapped[str | None] = mapped_column(
        text(36), doc="the id that the cache gave it; NULL: the one that its key makes"
    )
    lab: Mapped[Name | None] = mapped_column(doc="ONE's name of the laboratory")
    projects: Mapped[Words | None] = mapped_column(doc="names, joined by commas")

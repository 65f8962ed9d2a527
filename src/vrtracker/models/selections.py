"""`vrt_selection`: selections of sessions that were frozen under a name."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, RowNumber
from vrtracker.models.types import text


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

"""`mousedb`: one row a mouse, the lab's table column for column, then what was added to it."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.backends.caseless import Caseless
from vrtracker.models.base import Base
from vrtracker.models.types import CalendarDate, Flag, LongText, text

__all__ = ["Mouse"]


class Mouse(Base):
    """A mouse."""

    __tablename__ = "mousedb"
    __table_args__ = (
        UniqueConstraint("mouseName", name="uq_mousedb_mouseName"),
        {"sqlite_autoincrement": True},
    )

    uMouseID: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the row, counted by the database"
    )
    mouseName: Mapped[str] = mapped_column(text(255), doc="name of the mouse")
    tracked: Mapped[bool] = mapped_column(Flag, default=False, doc="has sessions with tracked ROIs")
    trackerExists: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the files of the tracking exist"
    )
    KO: Mapped[bool] = mapped_column(
        Flag, default=False, doc="conditional knock-out (false: control)"
    )
    Blinded: Mapped[bool] = mapped_column(Flag, default=False, doc="belongs to a blinded cohort")
    environmentOrder: Mapped[str | None] = mapped_column(
        text(255), doc="environments in order of introduction, such as 1.3.4"
    )
    experimentID: Mapped[int | None] = mapped_column(doc="the lab's number of the experiment")
    sex: Mapped[str | None] = mapped_column(text(1), doc="F, M, U (unknown) or O (other)")
    dateOfBirth: Mapped[dt.date | None] = mapped_column(CalendarDate, doc="date of birth")
    genotype: Mapped[str | None] = mapped_column(text(255), doc="genotype")
    strain: Mapped[str | None] = mapped_column(text(255), doc="strain")
    notes: Mapped[str | None] = mapped_column(LongText, doc="free notes")


Index("uq_mousedb_mouseName_caseless", Caseless(Mouse.__table__.c.mouseName), unique=True)

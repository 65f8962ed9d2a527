"""`mousedb`: one row a mouse, the lab's table column for column, then what was added to it."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.backends.caseless import Caseless
from vrtracker.models.base import Base, Name, RowNumber, Ticked, Words
from vrtracker.models.types import CalendarDate, text


class Mouse(Base):
    """A mouse."""

    __tablename__ = "mousedb"
    __table_args__ = (
        UniqueConstraint("mouseName", name="uq_mousedb_mouseName"),
        {"sqlite_autoincrement": True},
    )

    uMouseID: Mapped[RowNumber] = mapped_column(doc="number of the row, counted by the database")
    mouseName: Mapped[Name] = mapped_column(doc="name of the mouse")
    tracked: Mapped[Ticked] = mapped_column(doc="has sessions with tracked ROIs")
    trackerExists: Mapped[Ticked] = mapped_column(doc="the files of the tracking exist")
    KO: Mapped[Ticked] = mapped_column(doc="conditional knock-out (false: control)")
    Blinded: Mapped[Ticked] = mapped_column(doc="belongs to a blinded cohort")
    environmentOrder: Mapped[Name | None] = mapped_column(
        doc="environments in order of introduction, such as 1.3.4"
    )
    experimentID: Mapped[int | None] = mapped_column(doc="the lab's number of the experiment")
    sex: Mapped[str | None] = mapped_column(text(1), doc="F, M, U (unknown) or O (other)")
    dateOfBirth: Mapped[dt.date | None] = mapped_column(CalendarDate, doc="date of birth")
    genotype: Mapped[Name | None] = mapped_column(doc="genotype")
    strain: Mapped[Name | None] = mapped_column(doc="strain")
    notes: Mapped[Words | None] = mapped_column(doc="free notes")


Index("uq_mousedb_mouseName_caseless", Caseless(Mouse.__table__.c.mouseName), unique=True)

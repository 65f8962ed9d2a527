"""The lab's own tables, column for column, then what was added to them.

`mousedb` has one row a mouse, `sessiondb` one row a session.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.backends.caseless import Caseless
from vrtracker.models.base import Base, Name, RowNumber, Ticked, Words
from vrtracker.models.types import CalendarDate, Flag, LabTime, Number, text


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


class Session(Base):
    """A recording session of one mouse."""

    __tablename__ = "sessiondb"
    __table_args__ = (
        UniqueConstraint("mouseName", "sessionDate", "sessionID", name="uq_sessiondb_key"),
        Index("ix_sessiondb_next_registration", "vrRegistration", "sessionQC", "uSessionID"),
        Index("ix_sessiondb_next_suite2p", "imaging", "suite2p", "sessionQC", "uSessionID"),
        Index("ix_sessiondb_red_cell", "vrRegistration", "redCellQC", "sessionQC"),
        {"sqlite_autoincrement": True},
    )

    uSessionID: Mapped[RowNumber] = mapped_column(doc="number of the row, counted by the database")
    mouseName: Mapped[Name] = mapped_column(
        ForeignKey("mousedb.mouseName", name="fk_sessiondb_mouseName"),
        doc="name of the mouse; part 1 of the key",
    )
    sessionDate: Mapped[dt.date] = mapped_column(
        CalendarDate, doc="the lab's calendar date; part 2 of the key"
    )
    sessionID: Mapped[int] = mapped_column(
        doc="number of the session and name of its folder, such as 702; part 3 of the key"
    )
    experimentType: Mapped[Name | None] = mapped_column(
        doc="kind of experiment, such as Blender VR"
    )
    experimentID: Mapped[int | None] = mapped_column(
        doc="number of environments; 0 for gratings, others by convention of the lab"
    )
    variableGain: Mapped[Ticked] = mapped_column(doc="the gain from wheel to corridor varied")
    behavior: Mapped[Ticked] = mapped_column(doc="the behaviour is to be analysed")
    imaging: Mapped[Ticked] = mapped_column(doc="there is two-photon imaging")
    faceCamera: Mapped[Ticked] = mapped_column(doc="there is video of the face")
    vrEnvironments: Mapped[int | None] = mapped_column(
        doc="digits of the environments shown: 23 is the second and the third"
    )
    headPlateRotation: Mapped[float | None] = mapped_column(
        Number, doc="rotation of the head plate, degrees"
    )
    numPlanes: Mapped[int | None] = mapped_column(doc="number of imaging planes")
    planeSeparation: Mapped[float | None] = mapped_column(
        Number, doc="distance between planes, micrometres"
    )
    pockelsPercentage: Mapped[float | None] = mapped_column(Number, doc="laser power, per cent")
    objectiveRotation: Mapped[float | None] = mapped_column(
        Number, doc="rotation of the objective, degrees"
    )
    vrRegistration: Mapped[Ticked] = mapped_column(doc="registration has made its output")
    suite2p: Mapped[Ticked] = mapped_column(doc="suite2p has made its output")
    suite2pQC: Mapped[Ticked] = mapped_column(doc="the suite2p output was curated and accepted")
    redCellQC: Mapped[Ticked] = mapped_column(doc="the red cells were curated and accepted")
    sessionQC: Mapped[bool] = mapped_column(
        Flag, default=True, doc="false: the session is scratched"
    )
    scratchJustification: Mapped[Name | None] = mapped_column(
        doc="why it is scratched; set exactly when sessionQC is false"
    )
    logtime: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="time of entry, lab's clock; unused by the lab"
    )
    sessionNotes: Mapped[Words | None] = mapped_column(doc="free notes")
    suite2pDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when suite2p finished, lab's clock"
    )
    vrRegistrationDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when registration last succeeded, lab's clock"
    )
    vrRegistrationError: Mapped[Ticked] = mapped_column(
        doc="the last attempt at registration failed"
    )
    vrRegistrationException: Mapped[Words | None] = mapped_column(doc="message of that failure")
    redCellQCDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when the red cells were accepted, lab's clock"
    )
    vrBehaviorVersion: Mapped[int | None] = mapped_column(
        doc="format of the behaviour file: 1 vrControl, 2 the CR_Hippocannula rig"
    )
    dontTrack: Mapped[Ticked] = mapped_column(doc="leave the session out of ROI tracking")

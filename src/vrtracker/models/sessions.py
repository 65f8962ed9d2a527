"""`sessiondb`: one row a session, the lab's table column for column."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import CalendarDate, Flag, LabTime, LongText, Number, text

__all__ = ["Session"]


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

    uSessionID: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the row, counted by the database"
    )
    mouseName: Mapped[str] = mapped_column(
        text(255),
        ForeignKey("mousedb.mouseName", name="fk_sessiondb_mouseName"),
        doc="name of the mouse; part 1 of the key",
    )
    sessionDate: Mapped[dt.date] = mapped_column(
        CalendarDate, doc="the lab's calendar date; part 2 of the key"
    )
    sessionID: Mapped[int] = mapped_column(
        doc="number of the session and name of its folder, such as 702; part 3 of the key"
    )
    experimentType: Mapped[str | None] = mapped_column(
        text(255), doc="kind of experiment, such as Blender VR"
    )
    experimentID: Mapped[int | None] = mapped_column(
        doc="number of environments; 0 for gratings, others by convention of the lab"
    )
    variableGain: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the gain from wheel to corridor varied"
    )
    behavior: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the behaviour is to be analysed"
    )
    imaging: Mapped[bool] = mapped_column(Flag, default=False, doc="there is two-photon imaging")
    faceCamera: Mapped[bool] = mapped_column(Flag, default=False, doc="there is video of the face")
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
    vrRegistration: Mapped[bool] = mapped_column(
        Flag, default=False, doc="registration has made its output"
    )
    suite2p: Mapped[bool] = mapped_column(Flag, default=False, doc="suite2p has made its output")
    suite2pQC: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the suite2p output was curated and accepted"
    )
    redCellQC: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the red cells were curated and accepted"
    )
    sessionQC: Mapped[bool] = mapped_column(
        Flag, default=True, doc="false: the session is scratched"
    )
    scratchJustification: Mapped[str | None] = mapped_column(
        text(255), doc="why it is scratched; set exactly when sessionQC is false"
    )
    logtime: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="time of entry, lab's clock; unused by the lab"
    )
    sessionNotes: Mapped[str | None] = mapped_column(LongText, doc="free notes")
    suite2pDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when suite2p finished, lab's clock"
    )
    vrRegistrationDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when registration last succeeded, lab's clock"
    )
    vrRegistrationError: Mapped[bool] = mapped_column(
        Flag, default=False, doc="the last attempt at registration failed"
    )
    vrRegistrationException: Mapped[str | None] = mapped_column(
        LongText, doc="message of that failure"
    )
    redCellQCDate: Mapped[dt.datetime | None] = mapped_column(
        LabTime, doc="when the red cells were accepted, lab's clock"
    )
    vrBehaviorVersion: Mapped[int | None] = mapped_column(
        doc="format of the behaviour file: 1 vrControl, 2 the CR_Hippocannula rig"
    )
    dontTrack: Mapped[bool] = mapped_column(
        Flag, default=False, doc="leave the session out of ROI tracking"
    )

"""`vrt_rig`, `vrt_rig_feature` and `vrt_session_rig`: rigs by version, and who used which."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, Name, OfSession, RowNumber, Words
from vrtracker.models.types import text


class Rig(Base):
    """One version of a rig; never changed."""

    __tablename__ = "vrt_rig"
    __table_args__ = (UniqueConstraint("rig_name", "rig_version", name="uq_vrt_rig_version"),)

    rig_id: Mapped[RowNumber] = mapped_column(doc="number of the row")
    rig_name: Mapped[Name] = mapped_column(doc="what people call the rig")
    rig_version: Mapped[int] = mapped_column(doc="1 for its first description, 2 for the next")
    content_hash: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of the description, hexadecimal"
    )
    content: Mapped[Document] = mapped_column(doc="the description as it was given")
    added_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who added it")


class RigFeature(Base):
    """One thing that a version of a rig measures, shows or tracks."""

    __tablename__ = "vrt_rig_feature"

    rig_id: Mapped[int] = mapped_column(
        ForeignKey("vrt_rig.rig_id", name="fk_vrt_rig_feature_rig_id"),
        primary_key=True,
        autoincrement=False,
        doc="the version of the rig",
    )
    place: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, doc="place in the description, from 1"
    )
    feature_name: Mapped[Name] = mapped_column(doc="name, once in a rig")
    source_type: Mapped[str] = mapped_column(
        text(31), doc="acquisition, stimulus, processing or deeplabcut"
    )
    data_type: Mapped[str] = mapped_column(text(31), doc="digital, analog, interval or kinematics")
    ownership: Mapped[str] = mapped_column(text(31), doc="world or self")
    description: Mapped[Words] = mapped_column(doc="what it is, in words")


class SessionRig(Base):
    """The version of a rig on which a session was recorded."""

    __tablename__ = "vrt_session_rig"

    uSessionID: Mapped[OfSession] = mapped_column(primary_key=True, autoincrement=False)
    rig_id: Mapped[int] = mapped_column(
        ForeignKey("vrt_rig.rig_id", name="fk_vrt_session_rig_rig_id"),
        index=True,
        doc="the version of the rig",
    )

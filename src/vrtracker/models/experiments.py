"""`vrt_experiment`, `vrt_message`, `vrt_trial`: what happened in an experiment, trial by trial."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Document, Instant, OfSession, RowNumber, Words
from vrtracker.models.types import Flag, text


class Experiment(Base):
    """One experiment: its setup, and the session or the mouse that it belongs to."""

    __tablename__ = "vrt_experiment"
    __table_args__ = (
        UniqueConstraint("experiment_uid"),
        Index("ix_vrt_experiment_session", "uSessionID"),
        Index("ix_vrt_experiment_mouse", "uMouseID"),
        {"sqlite_autoincrement": True},
    )

    experiment_id: Mapped[RowNumber] = mapped_column(doc="number of the experiment")
    experiment_uid: Mapped[str] = mapped_column(
        text(64), doc="its id wherever it is: the one that the rig's program gave it"
    )
    uSessionID: Mapped[OfSession | None] = mapped_column(doc="the session, where there is one")
    uMouseID: Mapped[int | None] = mapped_column(
        ForeignKey("mousedb.uMouseID", name="fk_vrt_experiment_uMouseID"),
        doc="the mouse, where no session says it",
    )
    participant: Mapped[Words | None] = mapped_column(
        doc="what the rig's program called the participant"
    )
    experiment_name: Mapped[Words | None] = mapped_column(doc="what it is called")
    about: Mapped[Words | None] = mapped_column(doc="description")
    more: Mapped[Document] = mapped_column(nullable=True, doc="further metadata")
    origin: Mapped[Words | None] = mapped_column(doc="the file that it came from")
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was recorded, UTC")


class Message(Base):
    """One message of an experiment, or a version of its configuration or strategy."""

    __tablename__ = "vrt_message"
    __table_args__ = (Index("ix_vrt_message_experiment", "experiment_id"),)

    message_id: Mapped[RowNumber] = mapped_column(doc="number of the message, in order of writing")
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("vrt_experiment.experiment_id", name="fk_vrt_message_experiment_id"),
        doc="the experiment",
    )
    category: Mapped[str] = mapped_column(text(15), doc="message, config or strat")
    verb: Mapped[Words | None] = mapped_column(doc="of a message: setup, ask, tell and the like")
    sent: Mapped[str | None] = mapped_column(
        text(26), doc="when, by the rig's clock, ISO 8601 to the microsecond"
    )
    form: Mapped[str] = mapped_column(
        text(15), doc="what body holds: json, text, or opaque for bytes in base64"
    )
    body: Mapped[Words] = mapped_column(doc="the content")
    extra: Mapped[Document] = mapped_column(nullable=True, doc="what was sent along")
    sha256: Mapped[str] = mapped_column(
        text(64), doc="SHA-256 of the content, of opaque bytes of themselves, hexadecimal"
    )
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was recorded, UTC")


class Trial(Base):
    """One trial with its parameters and outcomes."""

    __tablename__ = "vrt_trial"
    __table_args__ = (Index("ix_vrt_trial_experiment", "experiment_id"),)

    trial_id: Mapped[RowNumber] = mapped_column(doc="number of the trial, in order of writing")
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("vrt_experiment.experiment_id", name="fk_vrt_trial_experiment_id"),
        doc="the experiment",
    )
    ended: Mapped[str | None] = mapped_column(
        text(26), doc="when its outcome came, by the rig's clock, ISO 8601 to the microsecond"
    )
    model_data: Mapped[bool] = mapped_column(
        Flag, default=True, doc="the strategy's model takes the trial into account"
    )
    parameters: Mapped[Document] = mapped_column(doc="[name, value] of each, in order")
    outcomes: Mapped[Document] = mapped_column(doc="[name, value] of each, in order")
    extra: Mapped[Document] = mapped_column(nullable=True, doc="what was sent along")
    recorded_at: Mapped[Instant] = mapped_column(doc="when it was recorded, UTC")

"""`vrt_qc_decision`: the append-only record of quality control."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base
from vrtracker.models.types import LongText, UTCTime, text

__all__ = ["QCDecision"]


class QCDecision(Base):
    """One decision on one check of one session; the latest counts, none is ever changed."""

    __tablename__ = "vrt_qc_decision"
    __table_args__ = (Index("ix_vrt_qc_decision_session", "uSessionID", "check_name"),)

    decision_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=True, doc="number of the decision, in order"
    )
    uSessionID: Mapped[int] = mapped_column(
        ForeignKey("sessiondb.uSessionID", name="fk_vrt_qc_decision_uSessionID"),
        doc="the session",
    )
    check_name: Mapped[str] = mapped_column(
        text(31), doc="session, or the stage: suite2p_qc, red_cell_qc, …"
    )
    qc_level: Mapped[int] = mapped_column(
        doc="0 NOT_SET, 10 PASS, 30 WARNING, 40 FAIL, 50 CRITICAL"
    )
    decided_at: Mapped[dt.datetime] = mapped_column(UTCTime, doc="when, UTC")
    actor: Mapped[str] = mapped_column(text(255), doc="who decided")
    criteria: Mapped[str | None] = mapped_column(text(255), doc="version of the criteria")
    evidence: Mapped[str | None] = mapped_column(LongText, doc="path of what it rests on")
    reason: Mapped[str | None] = mapped_column(LongText, doc="why")

"""`vrt_qc_decision`: the append-only record of quality control."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from vrtracker.models.base import Base, Instant, Name, OfSession, RowNumber, Words
from vrtracker.models.types import text


class QCDecision(Base):
    """One decision on one check of one session; the latest counts, none is ever changed."""

    __tablename__ = "vrt_qc_decision"
    __table_args__ = (Index("ix_vrt_qc_decision_session", "uSessionID", "check_name"),)

    decision_id: Mapped[RowNumber] = mapped_column(doc="number of the decision, in order")
    uSessionID: Mapped[OfSession]
    check_name: Mapped[str] = mapped_column(
        text(31), doc="session, or the stage: suite2p_qc, red_cell_qc, …"
    )
    qc_level: Mapped[int] = mapped_column(
        doc="0 NOT_SET, 10 PASS, 30 WARNING, 40 FAIL, 50 CRITICAL"
    )
    decided_at: Mapped[Instant] = mapped_column(doc="when, UTC")
    actor: Mapped[Name] = mapped_column(doc="who decided")
    criteria: Mapped[Name | None] = mapped_column(doc="version of the criteria")
    evidence: Mapped[Words | None] = mapped_column(doc="path of what it rests on")
    reason: Mapped[Words | None] = mapped_column(doc="why")

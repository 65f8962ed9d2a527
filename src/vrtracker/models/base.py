"""The declarative base: one metadata, one naming convention, and columns that many tables have."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, mapped_column

from vrtracker.models.types import Flag, JSONText, LongText, UTCTime, text

RowNumber = Annotated[int, mapped_column(primary_key=True, autoincrement=True)]
OfSession = Annotated[int, mapped_column(ForeignKey("sessiondb.uSessionID"), doc="the session")]
Ticked = Annotated[bool, mapped_column(Flag, default=False)]
Instant = Annotated[dt.datetime, mapped_column(UTCTime)]
Name = Annotated[str, mapped_column(text(255))]
Words = Annotated[str, mapped_column(LongText)]
Document = Annotated[Any, mapped_column(JSONText)]


class Base(DeclarativeBase):
    """Base of every table; constraint names stay within Access's 64 characters."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

"""The tables of one database: ours, with the columns that the lab has added to its two."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from sqlalchemy import Column, DateTime, MetaData, Table
from sqlalchemy.types import TypeEngine

from vrtracker.models import Base
from vrtracker.models.types import LabTime

LAB_TABLES = ("sessiondb", "mousedb")
"""The tables that belong to the lab, which may hold columns that we do not know."""


TRACKED = tuple(Base.metadata.tables)
"""All tables that the tracker writes, the lab's among them."""


class Tables:
    """The tables as declared, or a copy of them with further columns of the lab's.

    `added`: further columns, by table, as SQLAlchemy's inspector describes them.
    """

    def __init__(self, added: Mapping[str, list[Mapping[str, Any]]]) -> None:
        held = Base.metadata
        if any(added.values()):
            held = MetaData()
            for table in Base.metadata.tables.values():
                table.to_metadata(held)
        self.extra: dict[str, tuple[str, ...]] = {}
        for name in LAB_TABLES:
            self.extra[name] = _add(held.tables[name], added.get(name, ()))
        self.sessions: Table = held.tables["sessiondb"]
        self.mice: Table = held.tables["mousedb"]
        self.stage_states: Table = held.tables["vrt_stage_state"]
        self.attempts: Table = held.tables["vrt_attempt"]
        self.events: Table = held.tables["vrt_event"]
        self.qc_decisions: Table = held.tables["vrt_qc_decision"]
        self.datasets: Table = held.tables["vrt_dataset"]
        self.one_sessions: Table = held.tables["vrt_one_session"]
        self.deleted: Table = held.tables["vrt_deleted"]
        self.selections: Table = held.tables["vrt_selection"]
        self.experiments: Table = held.tables["vrt_experiment"]
        self.messages: Table = held.tables["vrt_message"]
        self.trials: Table = held.tables["vrt_trial"]
        self.masks: Table = held.tables["vrt_mask"]
        self.rigs: Table = held.tables["vrt_rig"]
        self.rig_features: Table = held.tables["vrt_rig_feature"]
        self.session_rigs: Table = held.tables["vrt_session_rig"]
        self.tracking: Table = held.tables["vrt_tracking"]

    @classmethod
    def of(cls, found: Mapping[str, list[Mapping[str, Any]]]) -> Self:
        """Return the tables for a database in whose lab tables these columns were found.

        Databases to which a lab has added nothing share theirs.
        """
        known = Base.metadata.tables
        added = {
            name: [column for column in columns if column["name"] not in known[name].c]
            for name, columns in found.items()
        }
        return cls(added) if any(added.values()) else cls._plain()

    @classmethod
    @cache
    def _plain(cls) -> Self:
        return cls({})


def _add(table: Table, added: Any) -> tuple[str, ...]:
    for column in added:
        table.append_column(Column(column["name"], _our_type(column["type"]), nullable=True))
    return tuple(column["name"] for column in added)


def _our_type(found: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type to work with: a time of the lab's is written as the lab's other times."""
    is_time = isinstance(found, DateTime) and not found.timezone
    return LabTime() if is_time else found

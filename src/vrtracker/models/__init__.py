"""The tables: columns, constraints, indexes. Mapping only, no behaviour."""

from vrtracker.models.base import Base
from vrtracker.models.experiments import Experiment, Message, Trial
from vrtracker.models.files import Dataset, Mask, OneSession, TrackedSession
from vrtracker.models.history import Deleted, Event, FrozenSelection
from vrtracker.models.lab import Mouse, Session
from vrtracker.models.rigs import Rig, RigFeature, SessionRig
from vrtracker.models.work import Attempt, QCDecision, StageState

__all__ = [
    "Attempt",
    "Base",
    "Dataset",
    "Deleted",
    "Event",
    "Experiment",
    "FrozenSelection",
    "Mask",
    "Message",
    "Mouse",
    "OneSession",
    "QCDecision",
    "Rig",
    "RigFeature",
    "Session",
    "SessionRig",
    "StageState",
    "TrackedSession",
    "Trial",
]

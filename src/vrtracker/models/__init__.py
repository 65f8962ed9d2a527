"""The tables: columns, constraints, indexes. Mapping only, no behaviour."""

from vrtracker.models.attempts import Attempt
from vrtracker.models.base import Base
from vrtracker.models.datasets import Dataset
from vrtracker.models.deleted import Deleted
from vrtracker.models.events import Event
from vrtracker.models.experiments import Experiment, Message, Trial
from vrtracker.models.masks import Mask
from vrtracker.models.mice import Mouse
from vrtracker.models.one_sessions import OneSession
from vrtracker.models.qc_decisions import QCDecision
from vrtracker.models.rigs import Rig, RigFeature, SessionRig
from vrtracker.models.selections import FrozenSelection
from vrtracker.models.sessions import Session
from vrtracker.models.stage_states import StageState
from vrtracker.models.tracking import TrackedSession

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

"""Experiments: what happened in sessions, trial by trial."""

from vrtracker.services.experiments.importing import ExperimentPlan
from vrtracker.services.experiments.service import ExperimentService, Replayed

__all__ = ["ExperimentPlan", "ExperimentService", "Replayed"]

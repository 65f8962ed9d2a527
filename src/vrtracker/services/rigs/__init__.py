"""Rigs: described in JSON, kept by version, and pointed to by the sessions that used them."""

from vrtracker.services.rigs.service import LONGEST_NAME, RigService
from vrtracker.services.rigs.versions import Rig, files_needed, keep, lacking, place_of, point

__all__ = [
    "LONGEST_NAME",
    "Rig",
    "RigService",
    "files_needed",
    "keep",
    "lacking",
    "place_of",
    "point",
]

"""Why a stage is stale, as the history tells it."""

from __future__ import annotations

from typing import Any

from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark
from vrtracker.domain.told import mark_name
from vrtracker.services.context import LabContext


def why_stale(lab: LabContext, snapshot: Snapshot, stage: Stage) -> str | None:
    """Return the reason of the last event that marked the stage as stale.

    Returns None where it is not marked so, and where no event tells.
    """
    if snapshot.row(stage).mark != Mark.STALE:
        return None
    with lab.unit(readonly=True) as unit:
        spans = unit.events.lineage("session", str(snapshot.record.key), is_there=True)
        told = unit.events.about_staleness("session", spans, stage.name)
    return next((why for verb, changes, why in told if _marks(verb, changes, stage)), None)


def _marks(verb: str, changes: Any, stage: Stage) -> bool:
    if verb == "invalidated":
        return True
    _, after = (changes or {}).get(mark_name(stage.name), (None, None))
    return bool(after == Mark.STALE)

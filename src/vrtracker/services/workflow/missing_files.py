"""Which files of a session are not there that the equipment of its rig leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage
from vrtracker.errors import RootUnavailableError
from vrtracker.files.trees import reason_of
from vrtracker.services.context import LabContext
from vrtracker.services.rigs import files_needed, lacking
from vrtracker.services.transitions import MISSING_FILES, Reason

_SETTLED = {"scratched", "not_applicable", "running", "done"}


def lacking_files(
    lab: LabContext, snapshot: Snapshot, stage: Stage, known: Sequence[Reason]
) -> Iterator[Reason]:
    """Yield what a stage that is still to be done will look for in vain.

    `known`: what keeps the session out of the queue.
    """
    if lab.root is None or any(reason.code in _SETTLED for reason in known):
        return
    number, key = snapshot.record.uSessionID, snapshot.record.key
    with lab.unit(readonly=True) as unit:
        needed = [
            each
            for each in files_needed(unit, [number]).get(number, ())
            if each.stage == stage.name
        ]
    if not needed:
        return
    try:
        folder = lab.folders().find(key)
        missing = needed if folder is None else lacking(folder, needed)
    except (OSError, RootUnavailableError) as error:
        why = reason_of(error) if isinstance(error, OSError) else str(error)
        yield Reason(MISSING_FILES, stage.name, f"Its folder cannot be looked into: {why}")
        return
    for each in missing:
        message = (
            f"{each.equipment} of its rig leaves {each.pattern}, and there is no such file; copy "
            "it into the session's folder, or say which rig was used: vrtracker rig set RIG "
            f"{key}; rigs: vrtracker rig list"
        )
        yield Reason(MISSING_FILES, stage.name, message)

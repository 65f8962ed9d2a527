"""The demo: a small lab on disk, its database, its sessions found and registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.demo_lab import DemoLab, is_demo_lab, make_demo_lab
from vrtracker.errors import ConfigurationError

if TYPE_CHECKING:
    from vrtracker.domain.keys import SessionKey
    from vrtracker.services.workflow.run_report import RunReport
    from vrtracker.tracker import Tracker

_LAB = "lab"
_DATABASE = "lab.db"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made.

    `added`: sessions that were not in the database before. `report`: what became of the sessions
    that were ready to be registered.
    """

    tracker: Tracker
    lab: DemoLab
    added: tuple[SessionKey, ...]
    report: RunReport


def run_demo(
    folder: Path,
    *,
    actor: str | None = None,
    found: Callable[[int], None] | None = None,
    progress: Callable[[int, int, Any, Any], None] | None = None,
) -> Demo:
    """Make the lab in `folder`, or complete an earlier one, and register what is ready.

    What failed before is not tried again, so that a second run changes nothing.

    `folder`: a new folder, an empty one, or that of an earlier demo. `actor`: name under which
    events are signed; the user's when not given. `found`: called with the number of sessions found
    on disk so far. `progress`: called before and after each session, as by
    ``tracker.workflow.run``. Raises ConfigurationError if the folder holds something else, or
    cannot be written; nothing is.
    """
    from vrtracker.opening import init

    folder = folder.expanduser().absolute()
    _require_free(folder)
    lab = make_demo_lab(folder / _LAB)
    tracker = init(folder / _DATABASE, root=lab.root, actor=actor)
    try:
        missing = [dict(mouse) for mouse in lab.mice if not tracker.mice.find(mouse["mouseName"])]
        if missing:
            tracker.mice.add_many(missing)
        added = tracker.scan(progress=found).apply()
        # The settings may name the lab's own registrar, which knows nothing of the demo's files.
        report = tracker.workflow.run(
            "registration", registrar="alf", retry_failed=False, progress=progress
        )
    except BaseException:
        tracker.close()
        raise
    return Demo(tracker, lab, tuple(added), report)


def _require_free(folder: Path) -> None:
    """Refuse a folder that holds anything before the first demo is made in it."""
    try:
        if not folder.exists() or is_demo_lab(folder / _LAB):
            return
        strange = [path.name for path in folder.iterdir() if path.name != _LAB]
    except OSError as error:
        raise ConfigurationError(
            f"{str(folder)!r} cannot be used for the demo ({error.strerror or error}). "
            "Choose another folder."
        ) from error
    if strange:
        raise ConfigurationError(
            f"{str(folder)!r} holds other things ({', '.join(sorted(strange)[:3])}), which are "
            "not touched. Choose a new or an empty folder."
        )

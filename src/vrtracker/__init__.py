"""Track mice, sessions, their processing and quality control.

>>> import vrtracker
>>> tracker = vrtracker.open("lab.db")
>>> tracker.sessions.frame(imaging=True, sessionID=(702, ">="))[["mouseName", "sessionDate"]]
  mouseName sessionDate
0   DEMO001  2023-01-20
1   DEMO002  2023-02-08
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrtracker import snapshots
    from vrtracker.database import dispose_all
    from vrtracker.domain.keys import SessionKey
    from vrtracker.domain.qc import QC
    from vrtracker.domain.registrars import DatasetFile, Job, RegistrarResult
    from vrtracker.domain.states import State
    from vrtracker.errors import VrtrackerError
    from vrtracker.opening import database_of, init
    from vrtracker.opening import open_tracker as open  # noqa: A004
    from vrtracker.services.doctor import examine as doctor
    from vrtracker.tracker import Tracker
    from vrtracker.transfers import bake, clone, iter_copy_tables, restore

    __version__: str

__all__ = [
    "QC",
    "DatasetFile",
    "Job",
    "RegistrarResult",
    "SessionKey",
    "State",
    "Tracker",
    "VrtrackerError",
    "__version__",
    "bake",
    "clone",
    "database_of",
    "dispose_all",
    "doctor",
    "init",
    "iter_copy_tables",
    "open",
    "restore",
    "snapshots",
]

_HOMES = {
    "QC": ("vrtracker.domain.qc", "QC"),
    "DatasetFile": ("vrtracker.domain.registrars", "DatasetFile"),
    "Job": ("vrtracker.domain.registrars", "Job"),
    "RegistrarResult": ("vrtracker.domain.registrars", "RegistrarResult"),
    "SessionKey": ("vrtracker.domain.keys", "SessionKey"),
    "State": ("vrtracker.domain.states", "State"),
    "Tracker": ("vrtracker.tracker", "Tracker"),
    "VrtrackerError": ("vrtracker.errors", "VrtrackerError"),
    "bake": ("vrtracker.transfers", "bake"),
    "clone": ("vrtracker.transfers", "clone"),
    "database_of": ("vrtracker.opening", "database_of"),
    "dispose_all": ("vrtracker.database", "dispose_all"),
    "doctor": ("vrtracker.services.doctor", "examine"),
    "init": ("vrtracker.opening", "init"),
    "iter_copy_tables": ("vrtracker.transfers", "iter_copy_tables"),
    "open": ("vrtracker.opening", "open_tracker"),
    "restore": ("vrtracker.transfers", "restore"),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for on first use, so that importing the package costs nothing."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("vrtracker")
    if name == "snapshots":
        return importlib.import_module("vrtracker.snapshots")
    if name not in _HOMES:
        raise AttributeError(f"module 'vrtracker' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)

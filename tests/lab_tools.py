"""A lab's own module, as the examples of the docstrings import one."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrtracker.interop.antelop import mask_function
from vrtracker.tracker import Tracker

__all__ = ["RIG", "early", "track"]

RIG: dict[str, Any] = {
    "specification": "antelop-behaviour",
    "version": "1.2",
    "reference_point": "centre of the wheel",
    "name": "b2",
    "features": [
        {
            "name": "licks",
            "source": {"source_type": "acquisition"},
            "ownership": {"ownership": "self", "animal": 1},
            "data_type": "digital",
            "coordinates": [0, 1.5, -2],
            "description": "touches of the spout",
        }
    ],
    "videos": [],
}


@mask_function
def early(session: Any, until: float) -> tuple[list[int], list[float]]:
    """Return a mask of the beginning of a session."""
    del session
    return [1, -1], [0.0, until]


def track(tracker: Tracker, mouse: str) -> None:
    """Write three cells of each session of a mouse, as ROICaT does, and have them recorded."""
    folder = tracker.root / mouse / "ROICaT"
    folder.mkdir()
    for place, key in enumerate(tracker.query(mouseName=mouse).keys()):
        name = f"{key.mouse}_{key.date}_{key.number}"
        np.save(folder / f"{name}.labels.npy", np.roll([0, 1, 2], place))
        np.save(folder / f"{name}.sample_silhouettes.npy", np.ones(3))
    np.save(folder / "cluster_silhouettes.npy", np.ones(3))
    tracker.reconcile().apply()

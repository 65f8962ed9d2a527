"""A rig to change, and the violations of a very broken one."""

from __future__ import annotations

import copy
from typing import Any

_RIG: dict[str, Any] = {
    "specification": "antelop-behaviour",
    "version": "1.2",
    "reference_point": "centre of the wheel",
    "name": "b2",
    "features": [
        {
            "name": "licks",
            "source": {"source_type": "acquisition", "module": "lick port"},
            "ownership": {"ownership": "self", "animal": 1},
            "data_type": "digital",
            "coordinates": [0, 1.5, -2],
            "description": "touches of the spout",
        },
        {
            "name": "pupil",
            "source": {"source_type": "deeplabcut", "video": "face"},
            "ownership": {"ownership": "self", "animal": 1},
            "data_type": "kinematics",
            "coordinates": [0, 0, 0],
            "description": "naïve ✓ position of the pupil",
        },
    ],
    "videos": [{"name": "face", "description": "left side", "format": "avi"}],
    "equipment": [
        {"name": "timeline", "required_files": ["*_Timeline.mat"]},
        {"name": "scanner", "stage": "suite2p", "required_files": ["tiffs/*.tif", "*.xml"]},
    ],
}

BROKEN: dict[str, Any] = {
    "specification": "antelope",
    "version": 2,
    "features": [
        {
            "name": "",
            "source": {"source_type": "processing"},
            "data_type": "wave",
            "coordinates": [1],
        },
        {
            "name": "a",
            "source": {},
            "ownership": {"ownership": "all", "animal": 1.5},
            "data_type": "analog",
            "coordinates": [0, "1", 0],
            "description": None,
        },
        {
            "name": "A",
            "source": {"source_type": "deeplabcut", "video": "none"},
            "ownership": {"ownership": "self"},
            "data_type": "kinematics",
            "coordinates": [0, 0, 0, 0],
            "description": "twice",
        },
        7,
    ],
    "videos": [{"name": "v", "format": "gif"}],
    "equipment": [{"required_files": ["/etc/passwd", "../up"]}],
}
BROKEN_PATHS = [
    "$.equipment[0].name",
    "$.equipment[0].required_files[0]",
    "$.equipment[0].required_files[1]",
    "$.features[0].coordinates",
    "$.features[0].data_type",
    "$.features[0].description",
    "$.features[0].name",
    "$.features[0].ownership",
    "$.features[0].source.module",
    "$.features[1].coordinates[1]",
    "$.features[1].description",
    "$.features[1].ownership.animal",
    "$.features[1].ownership.ownership",
    "$.features[1].source.source_type",
    "$.features[2].coordinates",
    "$.features[2].name",
    "$.features[2].source.video",
    "$.features[3]",
    "$.reference_point",
    "$.specification",
    "$.version",
    "$.videos[0].description",
    "$.videos[0].format",
]


def a_rig(**changed: Any) -> dict[str, Any]:
    """Return a description of a rig, with some of its parts changed; None takes one away."""
    rig = {**copy.deepcopy(_RIG), **changed}
    return {name: value for name, value in rig.items() if value is not None}

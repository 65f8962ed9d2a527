"""Files of tracking, named as ROICaT's are in the lab, and a plain reading of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

KINDS = ("labels", "sample_silhouettes", "cluster_silhouettes")


def write_run(
    folder: Path,
    names: Sequence[str],
    *,
    planes: int = 3,
    seed: int = 0,
    at: float | None = None,
) -> list[np.ndarray]:
    """Write a run over sessions, such as ``M1_2026-03-02_701``; return the labels of each.

    The ROIs of the planes stand one after the other, as do their clusters; some are in none.
    """
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clusters = draw.integers(20, 30, size=planes)
    starts = np.cumsum([0, *clusters])
    found = []
    for name in names:
        parts = []
        for plane in range(planes):
            rois = int(draw.integers(25, 45))
            labels = np.full(rois, -1, dtype=np.int64)
            count = int(draw.integers(10, min(rois, clusters[plane])))
            places = draw.choice(rois, count, replace=False)
            labels[places] = starts[plane] + draw.choice(clusters[plane], count, replace=False)
            parts.append(labels)
        found.append(np.concatenate(parts))
        np.save(folder / f"{name}.labels.npy", found[-1])
        np.save(folder / f"{name}.sample_silhouettes.npy", draw.random(len(found[-1])))
        if at is not None:
            os.utime(folder / f"{name}.labels.npy", (at, at))
    np.save(folder / "cluster_silhouettes.npy", draw.random(starts[-1]))
    settings = {"version": "1.5.5", "clustering": {"d_conf": 0.25}}
    (folder / "params_used.json").write_text(json.dumps(settings))
    return found


def tracked(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Return by plain loops where each cluster is in each session, -1 where it is not."""
    count = max(each.max() for each in labels) + 1
    return np.array(
        [
            [next(iter(np.where(each == cluster)[0]), -1) for each in labels]
            for cluster in range(count)
        ]
    )

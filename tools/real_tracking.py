"""Compare the tables of tracking with the lab's own ``Tracker.get_tracked_idx``.

Usage: ``PYTHONPATH=tests python tools/real_tracking.py FOLDER`` where vrAnalysis and its
roicat_support can be imported. In FOLDER, which must not be there yet, it writes a run over 5
sessions of 3 planes, has ``reconcile`` find it, and asks both for the ROIs of all pairs, threes,
fours and the five. vrAnalysis needs names with backslashes, and in order, as Windows has them; it
is handed such names. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import importlib
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import vrtracker
from support.roicat import write_run

MOUSE = "ATL012"
KEYS = [f"{MOUSE}.2023-01-{20 + day}.{701 + day}" for day in range(5)]


def main() -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    root = parser.parse_args().folder.resolve()
    for key in KEYS:
        folder = root / key.replace(".", "/")
        folder.mkdir(parents=True)
        for name in ("Options", "Preprocessing", "Values"):  # What says that it is registered.
            (folder / f"vrExperiment{name}.json").write_text("{}")
    write_run(root / MOUSE / "ROICaT2025", [key.replace(".", "_") for key in KEYS])
    with vrtracker.init(root / "lab.db", root=root) as tracker:
        tracker.mice.add(MOUSE)
        for key in KEYS:
            tracker.sessions.add(key, imaging=True)
        tracker.reconcile().apply()
        table = tracker.tracking.table(tracker.tracking.runs(MOUSE)[0])
    real = _real_tracker(root)
    order = [".".join(name) for name in real.session_names]
    wrong = compared = 0
    for size in range(2, len(KEYS) + 1):
        for chosen in combinations(range(len(KEYS)), size):
            idx, extras = real.get_tracked_idx(idx_ses=list(chosen), use_session_filters=False)
            ours = table[[order[place] for place in chosen]]
            ours = ours[(ours >= 0).all(axis=1)]
            same = np.array_equal(ours.to_numpy().T, idx)
            same &= np.array_equal(ours.index.to_numpy(), extras["cluster_ids"])
            wrong, compared = wrong + (not same), compared + 1
    for cluster in table.index:
        ours = table.loc[cluster, order].to_numpy()
        wrong += not np.array_equal(ours, real.get_cluster_idx(int(cluster)))
    print(f"{compared} sets of sessions and {len(table)} clusters compared, {wrong} differ")
    return int(wrong > 0)


class _InOrder(type(Path())):  # type: ignore[misc]
    """A folder that lists its files in order, as those of Windows do."""

    def glob(self, pattern: str) -> list[Path]:
        return sorted(super().glob(pattern))


def _real_tracker(root: Path) -> Any:
    classifier = root / "analysis" / "roicat_classification" / "train_classifier.joblib"
    classifier.parent.mkdir(parents=True)
    labels = {label: number for number, label in enumerate("abcd")}
    importlib.import_module("joblib").dump({"label_to_id": labels}, classifier)
    files = importlib.import_module("vrAnalysis.files")
    files._paths["storage"] = str(root)  # noqa: SLF001
    support = importlib.import_module("roicat_support.tracking")
    identify = support.identify_tracking_file_session
    support.identify_tracking_file_session = lambda path: identify(path.replace("/", "\\"))
    support.roicat_tracking_directory = lambda mouse: _InOrder(root / mouse / "ROICaT2025")
    return importlib.import_module("vrAnalysis.tracking").Tracker(MOUSE)


if __name__ == "__main__":
    raise SystemExit(main())

"""Each plot of a small lab with fixed times, without its letters, and the pictures to hold it to.

Letters are drawn otherwise by each version of FreeType; what they say is tested by their text.
``python tests/support/pictures.py`` draws the pictures anew: look at them before they are kept.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.plots import judged, overview, stages, work

__all__ = ["DRAWN", "KEPT", "draw"]

KEPT = Path(__file__).resolve().parents[1] / "unit" / "pictures"
STAGES = ("suite2p", "registration", "red_cell_qc")
_FIRST = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
_DAY = dt.timedelta(days=1)
_REACHED = (
    ("ATL012", 0, ("done", "done", "done")),
    ("ATL012", 3, ("done", "failed", "blocked")),
    ("ATL012", 9, ("done", "stale", "ready")),
    ("ATL020", 2, ("ready", "blocked", "blocked")),
    ("ATL020", 6, ("done", "done", "ready")),
)
_JUDGED = (
    ("a", "ada", QC.PASS),
    ("a", "bob", QC.PASS),
    ("b", "ada", QC.FAIL),
    ("b", "bob", QC.WARNING),
    ("c", "ada", QC.CRITICAL),
)

_rows = [
    {"mouseName": mouse, "sessionDate": (_FIRST + day * _DAY).replace(tzinfo=None)}
    | {f"state:{stage}": state for stage, state in zip(STAGES, states, strict=True)}
    for mouse, day, states in _REACHED
]
_events = [
    {"stage": stage, "occurred_at": _FIRST + day * _DAY, "from_state": old, "to_state": new}
    for stage, day, old, new in (
        ("suite2p", 1, "ready", "done"),
        ("registration", 2, "running", "done"),
        ("registration", 4, "running", "failed"),
        ("suite2p", 5, "ready", "done"),
        ("registration", 7, "done", "stale"),
        ("red_cell_qc", 8, "ready", "done"),
    )
]
_attempts = [
    {
        "stage": stage,
        "outcome": outcome,
        "finished_at": _FIRST + day * _DAY,
        "duration_s": seconds,
        "error_type": error,
    }
    for stage, outcome, day, seconds, error in (
        ("registration", "succeeded", 0, 30.0, None),
        ("registration", "succeeded", 0, 50.0, None),
        ("registration", "failed", 1, 4.0, "ValueError"),
        ("registration", "failed", 2, 9.0, "ValueError"),
        ("suite2p", "failed", 2, 2.0, "OSError"),
        ("suite2p", "succeeded", 3, 900.0, None),
    )
]
_decisions = [
    {
        "key": key,
        "check_name": "red_cell",
        "actor": actor,
        "mouseName": f"M{key}",
        "qc_level": qc,
        "decided_at": _FIRST + day * _DAY,
    }
    for day, (key, actor, qc) in enumerate(_JUDGED)
]
_sessions: list[dict[str, Any]] = [
    {"sessionDate": row["sessionDate"], "drug": drug}
    | {f"state.{stage}": row[f"state:{stage}"] for stage in STAGES}
    for row, drug in zip(_rows[:3], ("saline", "CNO", None), strict=True)
]
_keys = [SessionKey("ATL012", (_FIRST + day * _DAY).date(), 1) for day in (0, 3)]
_runs: list[Any] = [SimpleNamespace(sessions=_keys, is_stale=False)]
_files = [{"mouseName": name, "size_bytes": size} for name, size in (("A", 4e9), ("B", 1e9))]

DRAWN: Mapping[str, Callable[[Axes], Axes]] = {
    "pipeline": lambda ax: overview.pipeline(ax, _rows, STAGES),
    "progress": lambda ax: overview.progress(ax, _rows, _events, STAGES),
    "timeline": lambda ax: overview.timeline(
        ax,
        "ATL012",
        STAGES,
        _sessions,
        treatment="drug",
        events=_events,
        decisions=_decisions,
        runs=_runs,
    ),
    "throughput": lambda ax: work.throughput(ax, _attempts, dt.UTC),
    "durations": lambda ax: work.durations(ax, _attempts),
    "failures": lambda ax: work.failures(ax, _attempts),
    "sizes": lambda ax: work.sizes(ax, _files),
    "quality": lambda ax: judged.WAYS["reviewer"](ax, _decisions),
    "agreement": lambda ax: judged.WAYS["agreement"](ax, _decisions),
    "stages": stages.diagram,
    "nothing": lambda ax: overview.pipeline(ax, [], STAGES),
}


def draw(name: str, path: Path) -> None:
    """Draw a plot, its lines and areas alone, into a small file."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = Figure(figsize=(4, 3), dpi=60)
        ax: Any = figure.add_axes((0.05, 0.05, 0.9, 0.9))
        DRAWN[name](ax)
        ax.xaxis.set_visible(False)
        ax.yaxis.set_visible(False)
        ax.set_title("")
        if ax.get_legend():
            ax.get_legend().remove()
        for text in list(ax.texts):
            if not isinstance(text, Annotation):  # an arrow
                text.remove()
        figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    sys.path.insert(0, str(KEPT.parents[1]))
    KEPT.mkdir(exist_ok=True)
    for each in DRAWN:
        draw(each, KEPT / f"{each}.png")

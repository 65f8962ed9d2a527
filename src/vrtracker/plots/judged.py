"""What people decided, and whether they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.domain.qc import QC
from vrtracker.plots.looks import LEVELS, finished, nothing, slant, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[dict[str, Any]]


def _by_mouse(ax: Axes, decisions: Rows) -> Axes:
    latest = {(row["key"], row["check_name"]): row for row in decisions}
    return _bars(ax, [(row["mouseName"], row["qc_level"]) for row in latest.values()])


def _by_reviewer(ax: Axes, decisions: Rows) -> Axes:
    return _bars(ax, [(row["actor"], row["qc_level"]) for row in decisions])


def _bars(ax: Axes, judged: Sequence[tuple[str, int]]) -> Axes:
    found = Counter((name, QC(level).name) for name, level in judged)
    names = sorted({name for name, level in found if level in LEVELS})
    if not names:
        return nothing(ax, "decisions")
    below = [0] * len(names)
    for level, colour in LEVELS.items():
        heights = [found[name, level] for name in names]
        if any(heights):
            ax.bar(names, heights, bottom=below, color=colour, label=level)
        below = [old + new for old, new in zip(below, heights, strict=True)]
    slant(ax)
    whole(ax.yaxis)
    return finished(ax, title="Quality control", ylabel="decisions")


def _agreement(ax: Axes, decisions: Rows) -> Axes:
    latest = {
        (row["key"], row["check_name"], row["actor"]): row["qc_level"]
        for row in decisions
        if row["qc_level"] != QC.NOT_SET
    }
    people = sorted({actor for _, _, actor in latest})
    if not people:
        return nothing(ax, "decisions")
    table = [[_alike(latest, one, other) for other in people] for one in people]
    shown = [[float("nan") if share is None else share for share, _ in line] for line in table]
    ax.imshow(shown, vmin=0, vmax=1, cmap="cividis")
    for y, line in enumerate(table):
        for x, (share, both) in enumerate(line):
            text = "none" if share is None else f"{share:.0%}\n(of {both})"
            is_dark = share is not None and share < 0.5  # noqa: PLR2004
            ax.text(x, y, text, ha="center", va="center", color="white" if is_dark else "black")
    ax.set_xticks(range(len(people)), people)
    slant(ax)
    ax.set_yticks(range(len(people)), people)
    return finished(ax, title="Checks that both judged alike")


def _alike(
    latest: Mapping[tuple[str, str, str], int], one: str, other: str
) -> tuple[float | None, int]:
    """Return the share of the checks that two people judged alike, and how many both judged."""
    both = [
        level == latest[key, check, other]
        for (key, check, actor), level in latest.items()
        if actor == one and (key, check, other) in latest
    ]
    return (sum(both) / len(both) if both else None), len(both)


WAYS: Mapping[str, Callable[[Axes, Rows], Axes]] = {
    "mouse": _by_mouse,
    "reviewer": _by_reviewer,
    "agreement": _agreement,
}
"""What decisions are drawn by."""

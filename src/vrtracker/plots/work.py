"""What was tried: how much, how long, how often in vain, and how large it is."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.plots.looks import STATES, colours, dated, finished, nothing, slant, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[dict[str, Any]]
_COMMONEST = 15
_UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3}
_WIDTH = 0.35
_FEW = 20
_DAY = dt.timedelta(days=1)
_GOOD, _BAD = "succeeded", "failed"
_COLOURS = {_GOOD: STATES["done"], _BAD: STATES["failed"]}  # type: ignore[index]


def throughput(ax: Axes, attempts: Rows, zone: dt.tzinfo | None) -> Axes:
    """Draw successes a day, the stages on top of each other."""
    good = [row for row in attempts if row["outcome"] == _GOOD]
    if not good:
        return nothing(ax, "finished work")
    found = Counter((row["stage"], row["finished_at"].astimezone(zone).date()) for row in good)
    days = sorted({day for _, day in found})
    below = [0] * len(days)
    for stage, colour in colours(sorted({stage for stage, _ in found})).items():
        heights = [found[stage, day] for day in days]
        ax.bar(days, heights, bottom=below, color=colour, label=stage)
        below = [old + new for old, new in zip(below, heights, strict=True)]
    ax.set_xlim(days[0] - 2 * _DAY, days[-1] + 2 * _DAY)
    dated(ax)
    whole(ax.yaxis)
    return finished(ax, title="Sessions that succeeded each day", ylabel="sessions")


def durations(ax: Axes, attempts: Rows) -> Axes:
    """Draw boxes of the seconds that attempts took."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in attempts:
        if row["outcome"] in _COLOURS and row["duration_s"]:
            took[row["stage"], row["outcome"]].append(row["duration_s"])
    if not took:
        return nothing(ax, "finished work")
    stages = sorted({stage for stage, _ in took})
    for side, (outcome, colour) in enumerate(_COLOURS.items()):
        places = [place for place, stage in enumerate(stages) if (stage, outcome) in took]
        if not places:
            continue
        boxes = ax.boxplot(
            [took[stages[place], outcome] for place in places],
            positions=[place + (side - 0.5) * _WIDTH for place in places],
            widths=_WIDTH * 0.9,
            patch_artist=True,
            manage_ticks=False,
            label=outcome,
            medianprops={"color": "black"},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=colour, edgecolor=colour)
        # Of a few attempts a box is a line, or says more than is known.
        for place in places:
            times = took[stages[place], outcome]
            if len(times) <= _FEW:
                at = [place + (side - 0.5) * _WIDTH] * len(times)
                ax.scatter(at, times, color=colour, edgecolor="black", zorder=3)
    ax.set_xticks(range(len(stages)), stages)
    ax.set_yscale("log")
    return finished(ax, title="How long attempts took", ylabel="seconds")


def failures(ax: Axes, attempts: Rows) -> Axes:
    """Draw bars of how often each kind of error ended an attempt."""
    bad = Counter(
        (row["stage"], row["error_type"] or "unknown") for row in attempts if row["outcome"] == _BAD
    )
    if not bad:
        return nothing(ax, "failures")
    common = bad.most_common(_COMMONEST)[::-1]
    names = [f"{stage}: {kind}" for (stage, kind), _ in common]
    ax.barh(names, [count for _, count in common], color=_COLOURS[_BAD], height=0.6)
    ax.set_ylim(-1, len(names))
    whole(ax.xaxis)
    return finished(ax, title="Attempts that failed", xlabel="attempts")


def sizes(ax: Axes, datasets: Rows) -> Axes:
    """Draw bars of the bytes of each mouse's files."""
    by_mouse: Counter[str] = Counter()
    for row in datasets:
        by_mouse[row["mouseName"]] += row["size_bytes"] or 0
    if not by_mouse:
        return nothing(ax, "recorded files")
    mice = sorted(by_mouse)
    most = max(by_mouse.values())
    unit = next((name for name, size in _UNITS.items() if most >= size), "kB")
    heights = [by_mouse[mouse] / _UNITS[unit] for mouse in mice]
    ax.bar(mice, heights, color=colours(["files"])["files"])
    slant(ax)
    return finished(ax, title="Recorded files", ylabel=unit)

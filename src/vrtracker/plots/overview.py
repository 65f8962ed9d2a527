"""Where the sessions stand, and how they got there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, cycle
from typing import TYPE_CHECKING, Any

from vrtracker.domain.states import State
from vrtracker.plots.looks import STATES, colours, dated, finished, nothing, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pipeline", "progress", "timeline"]

Rows = Sequence[dict[str, Any]]
_HAS_OUTPUT = {State.DONE, State.STALE}
_BEGUN = "nothing yet"


def pipeline(ax: Axes, rows: Rows, stages: Sequence[str]) -> Axes:
    """Draw mice against dates; rows as `WorkflowService.table` has them."""
    if not rows:
        return nothing(ax, "sessions")
    mice = sorted({row["mouseName"] for row in rows}, reverse=True)
    level = {name: number for number, name in enumerate(mice)}
    reached = [_reached(row, stages) for row in rows]
    for name, colour in colours([_BEGUN, *stages]).items():
        chosen = [row for row, last in zip(rows, reached, strict=True) if last == name]
        if chosen:
            _points(ax, chosen, level, marker="s", color=colour, label=name, s=60)
    failed = [row for row in rows if State.FAILED in _states(row, stages)]
    if failed:
        _points(ax, failed, level, marker="x", color="black", label="failed", s=30)
    ax.set_yticks(range(len(mice)), mice)
    ax.set_ylim(-0.7, len(mice) - 0.3)
    dated(ax)
    return finished(ax, title="Last stage that each session reached")


def _points(ax: Axes, rows: Rows, level: dict[str, int], **looks: Any) -> None:
    dates = [row["sessionDate"] for row in rows]
    ax.scatter(dates, [level[row["mouseName"]] for row in rows], **looks)


def _states(row: dict[str, Any], stages: Sequence[str]) -> list[State]:
    return [State(row[f"state:{stage}"]) for stage in stages]


def _reached(row: dict[str, Any], stages: Sequence[str]) -> str:
    states = zip(stages, _states(row, stages), strict=True)
    return [_BEGUN, *(stage for stage, state in states if state in _HAS_OUTPUT)][-1]


def progress(ax: Axes, rows: Rows, events: Rows, stages: Sequence[str]) -> Axes:
    """Draw counts over time; events as `HistoryService.stage_events` has them."""
    if not events:
        return nothing(ax, "events of any stage")
    colour, lines = colours(stages), cycle(("-", "--", ":", "-."))
    for stage in stages:
        steps = [
            (event["occurred_at"], (event["to_state"] in _HAS_OUTPUT) - _had_output(event))
            for event in events
            if event["stage"] == stage
        ]
        now = sum(row[f"state:{stage}"] in _HAS_OUTPUT for row in rows)
        # What was done before there was a history is there from the start.
        before = now - sum(change for _, change in steps)
        if steps or now:
            times = [events[0]["occurred_at"], *(time for time, _ in steps)]
            counts = list(accumulate((change for _, change in steps), initial=before))
            looks: dict[str, Any] = {
                "color": colour[stage],
                "linestyle": next(lines),
                "linewidth": 2,
            }
            ax.step(times, counts, where="post", label=stage, **looks)
    ax.set_ylim(bottom=0)
    whole(ax.yaxis)
    dated(ax)
    return finished(ax, title="Sessions done, by stage", ylabel="sessions")


def _had_output(event: dict[str, Any]) -> bool:
    return event["from_state"] in _HAS_OUTPUT


def timeline(ax: Axes, mouse: str, rows: Rows, events: Rows, stages: Sequence[str]) -> Axes:
    """Draw one mouse's sessions and what became of them."""
    if not rows:
        return nothing(ax, f"sessions of {mouse}")
    lines = ["sessions", *stages]
    place = {name: -number for number, name in enumerate(lines)}
    dates = [row["sessionDate"] for row in rows]
    ax.scatter(dates, [0] * len(dates), marker="|", color="black", s=200, linewidth=2)
    for state, colour in STATES.items():
        chosen = [event for event in events if event["to_state"] == state]
        if chosen:
            times = [event["occurred_at"].replace(tzinfo=None) for event in chosen]
            levels = [place[event["stage"]] for event in chosen]
            ax.scatter(times, levels, color=colour, edgecolor="black", label=state.value, s=40)
    ax.set_yticks([place[name] for name in lines], lines)
    dated(ax)
    return finished(ax, title=mouse)

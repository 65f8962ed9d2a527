"""Where the sessions stand, and how they got there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import accumulate, cycle
from typing import TYPE_CHECKING, Any

from vrtracker.domain.qc import QC
from vrtracker.domain.states import State
from vrtracker.plots.looks import LEVELS, STATES, colours, dated, finished, nothing, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vrtracker.services.tracking import TrackingRun

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
            (
                event["occurred_at"],
                (event["to_state"] in _HAS_OUTPUT) - (event["from_state"] in _HAS_OUTPUT),
            )
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


def timeline(
    ax: Axes,
    mouse: str,
    stages: Sequence[str],
    sessions: Rows,
    *,
    treatment: str,
    events: Rows,
    decisions: Rows,
    runs: Sequence[TrackingRun],
) -> Axes:
    """Draw one mouse's sessions, coloured by what `treatment` holds, and what became of them."""
    if not sessions:
        return nothing(ax, f"sessions of {mouse}")
    lines = ["sessions", *stages, "QC", "tracking"]
    place = {name: -number for number, name in enumerate(lines)}
    _treated(ax, sessions, treatment)
    states = [
        (row["sessionDate"], place[stage], row[f"state.{stage}"])
        for row in sessions
        for stage in stages
    ]
    happened = [
        (_naive(event["occurred_at"]), place[event["stage"]], event["to_state"]) for event in events
    ]
    for state, colour in STATES.items():
        looks: dict[str, Any] = {"color": colour, "edgecolor": "black", "linewidth": 0.5}
        _marks(ax, states, state, marker="s", s=25, label=f"{state.value} now", **looks)
        _marks(ax, happened, state, marker="o", s=40, label=f"became {state.value}", **looks)
    judged = [
        (_naive(row["decided_at"]), place["QC"], QC(row["qc_level"]).name) for row in decisions
    ]
    for level, colour in LEVELS.items():
        _marks(ax, judged, level, marker="D", s=40, label=level, color=colour, edgecolor="black")
    for run in runs:
        dates: Any = [key.date for key in run.sessions]
        colour = STATES[State.STALE if run.is_stale else State.DONE]
        ax.plot(dates, [place["tracking"]] * len(dates), "o-", color=colour, mec="black")
    ax.set_yticks([place[name] for name in lines], lines)
    ax.set_ylim(0.5 - len(lines), 0.5)
    dated(ax)
    return finished(ax, title=mouse)


def _treated(ax: Axes, sessions: Rows, treatment: str) -> None:
    treatments = ("" if row[treatment] is None else str(row[treatment]) for row in sessions)
    given = [(row["sessionDate"], 0, each) for row, each in zip(sessions, treatments, strict=True)]
    found = sorted({each for _, _, each in given if each})
    for name, colour in {"": "black", **colours(found)}.items():
        _marks(ax, given, name, marker="|", s=200, linewidth=2, color=colour, label=name or None)


def _marks(ax: Axes, points: Sequence[tuple[Any, int, str]], kind: str, **looks: Any) -> None:
    chosen = [(time, level) for time, level, each in points if each == kind]
    if chosen:
        ax.scatter(*zip(*chosen, strict=True), **looks)


def _naive(time: dt.datetime) -> dt.datetime:
    return time.replace(tzinfo=None)

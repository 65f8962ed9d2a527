"""The states of a stage, drawn from the table of transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vrtracker.domain.states import ALLOWED, State, Transition, target_of
from vrtracker.plots.looks import STATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLACES = {
    State.STALE: (0.0, 0.0),
    State.RUNNING: (2.2, 0.0),
    State.READY: (5.2, 0.0),
    State.DONE: (7.4, 2.0),
    State.FAILED: (7.4, -2.0),
    State.BLOCKED: (0.0, -3.6),
    State.NOT_APPLICABLE: (2.2, -3.6),
    State.SCRATCHED: (4.4, -3.6),
}
"""Placed so that no two arrows cross: two lie inside and outside of the triangle of the others."""
_BENDS = {
    (State.STALE, State.DONE): -0.45,
    (State.STALE, State.FAILED): 0.45,
    (State.READY, State.FAILED): -0.14,
}
_BOX = (1.4, 0.5)
_ENDS = {Transition.FAIL: State.FAILED, Transition.CANCEL: State.READY}
"""Where what depends on the facts leads to in most cases."""
_FROM_ANYWHERE = {Transition.SCRATCH, Transition.UNSCRATCH, Transition.CLEAR_QC, Transition.RESET}
_LIGHT = {State.STALE, State.READY, State.NOT_APPLICABLE}


def arrows() -> dict[tuple[State, State], list[str]]:
    """Return the transitions from one state to another, by both; none to itself."""
    found: dict[tuple[State, State], list[str]] = {}
    for transition, states in ALLOWED.items():
        target = target_of(transition) or _ENDS.get(transition)
        if target is None or transition in _FROM_ANYWHERE:
            continue
        for state in State:
            if state in states and state is not target:
                found.setdefault((state, target), []).append(transition.value)
    return found


def diagram(ax: Axes) -> Axes:
    """Draw the states as boxes and the transitions as arrows."""
    boxes = {state: _box(ax, state) for state in State}
    for (start, end), names in arrows().items():
        bend = _BENDS.get((start, end), 0.14)
        ax.annotate(
            "",
            xy=_PLACES[end],
            xytext=_PLACES[start],
            arrowprops={
                "arrowstyle": "-|>",
                "patchA": boxes[start],
                "patchB": boxes[end],
                "connectionstyle": f"arc3,rad={bend}",
                "color": "#444444",
            },
        )
        # On the arrow: half-way between the straight line and the point to which it bends.
        (x, y), (to_x, to_y) = _PLACES[start], _PLACES[end]
        place = (x + to_x + bend * (to_y - y)) / 2, (y + to_y - bend * (to_x - x)) / 2
        around = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        ax.text(*place, "\n".join(names), fontsize=7, ha="center", va="center", bbox=around)
    ax.text(
        -0.7,
        -3.1,
        "scratch leads from everywhere to scratched; unscratch and reset to what the facts say:",
        fontsize=8,
    )
    ax.set(xlim=(-0.8, 8.2), ylim=(-4.0, 2.9), aspect="equal", title="States of a stage")
    ax.axis("off")
    return ax


def _box(ax: Axes, state: State) -> Any:
    from matplotlib.patches import FancyBboxPatch

    (x, y), (wide, high) = _PLACES[state], _BOX
    box = FancyBboxPatch(
        (x - wide / 2, y - high / 2),
        wide,
        high,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=STATES[state],
        edgecolor="black",
        zorder=3,
    )
    colour = "black" if state in _LIGHT else "white"
    ax.text(x, y, state.value, ha="center", va="center", color=colour, fontsize=9, zorder=4)
    return ax.add_patch(box)

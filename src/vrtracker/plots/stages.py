"""The states of a stage, drawn from the table of transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vrtracker.domain.states import ALLOWED, State, Transition, target_of
from vrtracker.plots.looks import STATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["arrows", "diagram"]

_PLACES = {
    State.BLOCKED: (0.0, 1.0),
    State.READY: (0.0, 0.0),
    State.RUNNING: (1.5, 0.0),
    State.DONE: (3.0, 0.6),
    State.FAILED: (3.0, -0.9),
    State.STALE: (1.5, 1.3),
    State.SCRATCHED: (0.0, -1.2),
    State.NOT_APPLICABLE: (3.0, 1.6),
}
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
    for (start, end), names in arrows().items():
        ax.annotate(
            "",
            xy=_PLACES[end],
            xytext=_PLACES[start],
            arrowprops={
                "arrowstyle": "-|>",
                "shrinkA": 32,
                "shrinkB": 32,
                "connectionstyle": "arc3,rad=0.15",
                "color": "#444444",
            },
        )
        (x, y), (to_x, to_y) = _PLACES[start], _PLACES[end]
        # Beside the middle of the arrow, on the side to which it bends.
        place = x + 0.45 * (to_x - x) + 0.08 * (to_y - y), y + 0.45 * (to_y - y) - 0.1 * (to_x - x)
        ax.text(*place, "\n".join(names), fontsize=7, ha="center", va="center")
    for state, (x, y) in _PLACES.items():
        ax.text(
            x,
            y,
            state.value,
            ha="center",
            va="center",
            color="black" if state in _LIGHT else "white",
            bbox={"boxstyle": "round,pad=0.5", "facecolor": STATES[state], "edgecolor": "black"},
        )
    ax.text(
        1.5, -1.5, "scratch, unscratch and reset lead from and to what the facts say", ha="center"
    )
    ax.set(xlim=(-0.7, 3.7), ylim=(-1.7, 2.0), title="States of a stage")
    ax.axis("off")
    return ax

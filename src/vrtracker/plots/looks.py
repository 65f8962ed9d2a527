"""What all plots share: colours for the colour-blind, an Axes to draw into, how nothing looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.domain.states import State
from vrtracker.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's, which the colour-blind tell apart (Wong, Nature Methods 8, 441, 2011)."""

STATES: Mapping[State, str] = {
    State.DONE: "#009E73",
    State.READY: "#56B4E9",
    State.RUNNING: "#0072B2",
    State.STALE: "#F0E442",
    State.FAILED: "#D55E00",
    State.BLOCKED: "#999999",
    State.NOT_APPLICABLE: "#DDDDDD",
    State.SCRATCHED: "#555555",
}
LEVELS = {"PASS": "#009E73", "WARNING": "#E69F00", "FAIL": "#D55E00", "CRITICAL": "#7A2E00"}


def axes_of(ax: Axes | None, size: tuple[float, float] = (8, 4.5)) -> Axes:
    """Return the Axes, or that of a new figure of this size, inches.

    Raises MissingDependencyError if matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("A plot", "plot") from error
    _, made = plt.subplots(figsize=size, layout="constrained")
    return made


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name, the same for the same names."""
    return {name: _PALETTE[number % len(_PALETTE)] for number, name in enumerate(names)}


def nothing(ax: Axes, what: str) -> Axes:
    """Say in the middle of an Axes that there is nothing to be shown."""
    ax.text(0.5, 0.5, f"No {what}", transform=ax.transAxes, ha="center", va="center")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def finished(ax: Axes, **labels: Any) -> Axes:
    """Label an Axes, take away the frame's upper and right line, and return it."""
    ax.set(**labels)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def slant(ax: Axes) -> None:
    """Slant the names below an Axes, so that they do not run into each other."""
    for label in ax.get_xticklabels():
        label.set(rotation=30, ha="right")


def dated(ax: Axes) -> None:
    """Write times below an Axes as short as they can be told apart; days where they are days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=2, maxticks=8)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    formatter: Any = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(formatter)


def whole(axis: Axis) -> None:
    """Have an axis count: whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))

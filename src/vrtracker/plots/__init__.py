"""Pictures of a lab: ``tracker.plot.pipeline(imaging=True)``; each takes and returns an Axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vrtracker.errors import UnknownNameError
from vrtracker.plots import judged, overview, stages, work
from vrtracker.plots.looks import axes_of
from vrtracker.services.context import LabContext
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.tracking import TrackingService

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vrtracker.services.workflow import WorkflowService

__all__ = ["NAMES", "Plots"]

NAMES = (
    "pipeline",
    "progress",
    "throughput",
    "quality",
    "durations",
    "failures",
    "sizes",
    "timeline",
    "stages",
)
"""The plots by name."""


class Plots:
    """Draws; needs matplotlib (extra ``plot``).

    Each method takes what selects sessions, as ``tracker.sessions.frame``, draws into `ax`, or
    into a new figure, and returns the Axes. Where nothing is to be shown it says so.

    Examples
    --------
    >>> ax = tracker.plot("pipeline", "imaging")
    >>> ax.get_title()
    'Last stage that each session reached'
    """

    def __init__(
        self, lab: LabContext, sessions: SessionService, find_workflow: Callable[[], Any]
    ) -> None:
        self._lab = lab
        self._sessions = sessions
        self._find_workflow = find_workflow

    def __call__(self, name: str, /, *args: Any, **options: Any) -> Axes:
        """Draw the plot of this name.

        Raises UnknownNameError if there is none; it carries the nearest ones.
        """
        if name not in NAMES:
            raise UnknownNameError("plot", name, NAMES)
        drawn: Axes = getattr(self, name)(*args, **options)
        return drawn

    @property
    def _workflow(self) -> WorkflowService:
        found: WorkflowService = self._find_workflow()
        return found

    def pipeline(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw mice against dates, each session coloured by the last stage that it reached.

        Sessions with a failure are marked by a cross, scratched ones are left out.

        Examples
        --------
        >>> ax = tracker.plot.pipeline("imaging and sessionDate >= 2023-02-01")
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['DEMO003', 'DEMO002']
        """
        rows = self._workflow.table.records(where, **filters)
        return overview.pipeline(axes_of(ax), rows, list(self._lab.stages))

    def progress(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw how many sessions were done in each stage over time, from the history.

        Examples
        --------
        >>> [line.get_label() for line in tracker.plot.progress("mouse.KO").lines]
        ['suite2p', 'registration']
        """
        rows = self._workflow.table.records(where, **filters)
        events = self._workflow.stage_events.records(where, **filters)
        return overview.progress(axes_of(ax), rows, events, list(self._lab.stages))

    def timeline(
        self, mouse: str, /, *, treatment: str = "experimentType", ax: Axes | None = None
    ) -> Axes:
        """Draw a mouse's sessions, their stages, QC and tracking, each on a line of its own.

        Squares stand at a session's date and tell its state now, circles when it became so.

        Parameters
        ----------
        treatment
            The column of sessions, also one of the lab's own, by which they are coloured.

        Raises
        ------
        NotFoundError
            If there is no such mouse.
        UnknownNameError
            If there is no such column.

        Examples
        --------
        >>> tracker.plot.timeline("DEMO001", treatment="numPlanes").get_title()
        'DEMO001'
        """
        name = self._lab_mouse(mouse)
        own, stages = {"mouseName": name}, list(self._lab.stages)
        rows = self._sessions.query(own, include_scratched=True)
        return overview.timeline(
            axes_of(ax),
            name,
            stages,
            rows.select("sessionDate", treatment, *(f"state.{each}" for each in stages)).records(),
            treatment=treatment,
            events=self._workflow.stage_events.records(own),
            decisions=[row for session in rows.preload("qc") for row in session.qc],
            runs=TrackingService(self._lab).runs(name),
        )

    def throughput(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw how many sessions succeeded each day, by stage; days are the lab's.

        Examples
        --------
        >>> tracker.plot.throughput().get_ylabel()
        'sessions'
        """
        return work.throughput(axes_of(ax), self._attempts(where, filters), self._lab.zone)

    def durations(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw how long attempts took, seconds, by stage, failures beside successes.

        Examples
        --------
        >>> tracker.plot.durations("imaging").get_legend_handles_labels()[1]
        ['succeeded', 'failed']
        """
        return work.durations(axes_of(ax), self._attempts(where, filters))

    def failures(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw how often attempts failed, by stage and kind of error; the fifteen commonest.

        Examples
        --------
        >>> [label.get_text() for label in tracker.plot.failures().get_yticklabels()]
        ['registration: InvalidValueError']
        """
        return work.failures(axes_of(ax), self._attempts(where, filters))

    def sizes(self, where: Any = None, /, *, ax: Axes | None = None, **filters: Any) -> Axes:
        """Draw how much the recorded files of each mouse take, in GB, MB or kB (powers of 1000).

        Examples
        --------
        >>> ax = tracker.plot.sizes()
        >>> ax.figure.savefig("sizes.svg")
        """
        return work.sizes(axes_of(ax), self._hanging("datasets", where, filters))

    def quality(
        self,
        where: Any = None,
        /,
        *,
        by: str = "mouse",
        ax: Axes | None = None,
        **filters: Any,
    ) -> Axes:
        """Draw the decisions of quality control.

        Parameters
        ----------
        by
            ``mouse``: the latest level of each check, by mouse. ``reviewer``: all decisions by who
            made them. ``agreement``: of the checks that two people judged, how many they judged
            alike, in each one's latest decision.

        Raises
        ------
        UnknownNameError
            If it is none of these.

        Examples
        --------
        >>> state = tracker.workflow.set_qc("DEMO001.2023-01-18.701", "red_cell", "PASS")
        >>> tracker.plot.quality(by="reviewer").get_legend_handles_labels()[1]
        ['PASS']
        """
        if by not in judged.WAYS:
            raise UnknownNameError("way to draw quality", by, judged.WAYS)
        return judged.WAYS[by](axes_of(ax), self._hanging("qc", where, filters))

    def stages(self, *, ax: Axes | None = None) -> Axes:
        """Draw the states of a stage and what leads from one to the other.

        Examples
        --------
        >>> tracker.plot.stages().get_title()
        'States of a stage'
        """
        return stages.diagram(axes_of(ax, size=(9, 6)))

    def _hanging(self, part: str, where: Any, filters: Any) -> list[dict[str, Any]]:
        sessions = self._sessions.query(where, **filters).preload(part)
        return [
            {**row, "key": str(session.key), "mouseName": session.mouseName}
            for session in sessions
            for row in getattr(session, part)
        ]

    def _attempts(self, where: Any, filters: Any) -> list[dict[str, Any]]:
        return self._hanging("attempts", where, filters)

    def _lab_mouse(self, name: str) -> str:
        from vrtracker.services.entries.mice import MouseService

        found: str = MouseService(self._lab).get(name).mouseName
        return found

"""What needs doing, and why not yet: queues, states and reasons, stale stages, missing files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, queued
from vrtracker.domain.told import mark_name
from vrtracker.errors import RootUnavailableError
from vrtracker.files.trees import reason_of
from vrtracker.found import Found, Selected, framed
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.stages import StageRepository
from vrtracker.services.context import LabContext
from vrtracker.services.rigs import files_needed, lacking
from vrtracker.services.transitions import MISSING_FILES, Reason, Reasons, explain, read

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Select

    from vrtracker.database import Tables


class WorkflowReading:
    """The part of `WorkflowService` that reads."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self._queues: dict[Any, tuple[Tables, Select[Any]]] = {}

    @framed
    def needs(
        self,
        stage: str,
        where: Any = None,
        /,
        *,
        include_blocked: bool = False,
        include_stale: bool = False,
        limit: int | None = None,
        **filters: Any,
    ) -> Found:
        """Return the work queue of a stage: sessions that are ready, or failed before.

        Parameters
        ----------
        stage
            ``suite2p``, ``suite2p_qc``, ``registration``, ``red_cell_qc`` or a declared one.
        include_blocked
            Add sessions that wait for an earlier stage. A stage of people's review never lists
            them: without the output there is nothing to review.
        include_stale
            Add sessions that are done, but from inputs that were made again since, or were
            marked as outdated.

        Returns
        -------
        pandas.DataFrame
            The columns of `sessiondb`, then `state`; in order of the sessions' numbers.

        Examples
        --------
        >>> tracker.workflow.needs("suite2p")[["mouseName", "sessionID", "state"]]
          mouseName  sessionID  state
        0   DEMO003        701  ready
        """
        chosen = self._lab.stages[stage]
        states = queued(chosen.kind, include_blocked=include_blocked, include_stale=include_stale)
        listing = Listing(self._lab.selection(where, filters), limit=limit)
        return Selected(self._lab.database, self._queue(chosen, tuple(states), listing))

    def _queue(self, stage: Stage, states: tuple[State, ...], listing: Listing) -> Select[Any]:
        """Return the SELECT of a queue; one of all sessions is kept, as composing it takes long."""
        tables, name = self._lab.database.tables, (stage.name, states)
        is_of_all = not listing.filters and listing.limit is None
        if is_of_all and name in self._queues and self._queues[name][0] is tables:
            return self._queues[name][1]
        statement = self._stages.queue(
            stage, self._lab.stages, states, now=self._lab.now, listing=listing
        )
        if is_of_all:
            self._queues[name] = tables, statement
        return statement

    def why_not(self, key: Any, stage: str) -> Reasons:
        """Return the conditions that keep a session out of the queue of a stage; none: it is in.

        They are a tuple, which reads as sentences when it is printed or shown in a notebook.

        Raises
        ------
        NotFoundError
            If there is no such session.

        Examples
        --------
        >>> tracker.workflow.why_not("DEMO003.2023-03-15.701", "registration")[0].stage
        'suite2p'
        """
        chosen = self._lab.stages[stage]
        snapshot = read(self._lab, None, SessionKey.parse(key))
        why = why_stale(self._lab, snapshot, chosen)
        reasons = explain(self._lab, snapshot, chosen, at=self._lab.now(), why_stale=why)
        return Reasons([*reasons, *lacking_files(self._lab, snapshot, chosen, reasons)])

    def states(self, key: Any) -> dict[str, State]:
        """Return the state of one session in each stage.

        Examples
        --------
        >>> tracker.workflow.states("DEMO003.2023-03-15.701")["registration"]
        <State.BLOCKED: 'blocked'>
        """
        snapshot = read(self._lab, None, SessionKey.parse(key))
        at = self._lab.now()
        return {
            name: snapshot.state(stage, self._lab.stages, at)
            for name, stage in self._lab.stages.items()
        }

    def status(self, where: Any = None, /, **filters: Any) -> pd.DataFrame:
        """Return how many sessions are in each state of each stage, scratched ones too.

        Returns
        -------
        pandas.DataFrame
            Index: stage. Columns: the states, int64.

        Examples
        --------
        >>> tracker.workflow.status("mouse.KO")[["done", "blocked", "failed", "ready"]]
                      done  blocked  failed  ready
        stage
        suite2p          4        0       0      0
        suite2p_qc       0        0       0      4
        registration     3        0       1      0
        red_cell_qc      0        1       0      3
        """
        import pandas as pd

        from vrtracker.frames import TEXT

        counts = self.state_counts(where, **filters)
        frame = pd.DataFrame.from_dict(counts, orient="index").astype("int64")
        frame.columns = pd.Index([state.value for state in State], dtype=TEXT)
        frame.index = pd.Index(list(counts), dtype=TEXT, name="stage")
        return frame

    def state_counts(self, where: Any = None, /, **filters: Any) -> dict[str, dict[State, int]]:
        """Return what `status` does by stage and state, without pandas.

        Examples
        --------
        >>> tracker.workflow.state_counts("mouse.KO")["registration"]["failed"]
        1
        """
        listing = Listing(self._lab.selection(where, filters), include_scratched=True)
        with self._lab.unit(readonly=True) as unit:
            counts = unit.activity.counts(
                self._lab.stages, now=self._lab.now(), listing=listing, by_mouse=False
            )
        return {stage: states for (_, stage), states in counts.items()}

    @framed
    def table(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> Found:
        """Return the state of every session in every stage.

        Returns
        -------
        pandas.DataFrame
            mouseName, sessionDate, sessionID, then a column of states for each stage, named
            ``state:`` and the stage.

        Examples
        --------
        >>> tracker.workflow.table("mouse.KO").columns.tolist()[3:]
        ['state:suite2p', 'state:suite2p_qc', 'state:registration', 'state:red_cell_qc']
        """
        listing = Listing(
            self._lab.selection(where, filters),
            ("mouseName", "sessionDate", "sessionID"),
            include_scratched=include_scratched,
        )
        statement = self._stages.table(self._lab.stages, now=self._lab.now(), listing=listing)
        return Selected(self._lab.database, statement)

    @property
    def _stages(self) -> StageRepository:
        return StageRepository(LookUps(self._lab.database))


def why_stale(lab: LabContext, snapshot: Snapshot, stage: Stage) -> str | None:
    """Return the reason of the last event that marked the stage as stale.

    Returns None where it is not marked so, and where no event tells.
    """
    if snapshot.row(stage).mark != Mark.STALE:
        return None
    with lab.unit(readonly=True) as unit:
        spans = unit.events.lineage("session", str(snapshot.record.key), is_there=True)
        told = unit.events.about_staleness("session", spans, stage.name)
    return next((why for verb, changes, why in told if _marks(verb, changes, stage)), None)


def _marks(verb: str, changes: Any, stage: Stage) -> bool:
    if verb == "invalidated":
        return True
    _, after = (changes or {}).get(mark_name(stage.name), (None, None))
    return bool(after == Mark.STALE)


_SETTLED = {"scratched", "not_applicable", "running", "done"}


def lacking_files(
    lab: LabContext, snapshot: Snapshot, stage: Stage, known: Sequence[Reason]
) -> Iterator[Reason]:
    """Yield what a stage that is still to be done will look for in vain.

    `known`: what keeps the session out of the queue.
    """
    if lab.root is None or any(reason.code in _SETTLED for reason in known):
        return
    number, key = snapshot.record.uSessionID, snapshot.record.key
    with lab.unit(readonly=True) as unit:
        needed = [
            each
            for each in files_needed(unit, [number]).get(number, ())
            if each.stage == stage.name
        ]
    if not needed:
        return
    try:
        folder = lab.folders().find(key)
        missing = needed if folder is None else lacking(folder, needed)
    except (OSError, RootUnavailableError) as error:
        why = reason_of(error) if isinstance(error, OSError) else str(error)
        yield Reason(MISSING_FILES, stage.name, f"Its folder cannot be looked into: {why}")
        return
    for each in missing:
        message = (
            f"{each.equipment} of its rig leaves {each.pattern}, and there is no such file; copy "
            "it into the session's folder, or say which rig was used: vrtracker rig set RIG "
            f"{key}; rigs: vrtracker rig list"
        )
        yield Reason(MISSING_FILES, stage.name, message)

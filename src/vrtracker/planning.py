"""What a tracker plans: each verb looks first and returns a plan, whose ``apply()`` writes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.dates import parse_date
from vrtracker.errors import UnknownNameError

if TYPE_CHECKING:
    from vrtracker.services.context import LabContext
    from vrtracker.services.disk import ReconcilePlan, ScanPlan
    from vrtracker.services.entries.bulk_edits import EditPlan
    from vrtracker.services.entries.entering import EntryPlan
    from vrtracker.services.entries.imports import ImportPlan
    from vrtracker.services.entries.mice import MouseService
    from vrtracker.services.entries.rows import RowService
    from vrtracker.services.entries.sessions import SessionService


class Planning:
    """The verbs of `Tracker` that return a plan: of sessions found, entered, compared, or read."""

    _lab: LabContext
    sessions: SessionService
    mice: MouseService

    def scan(
        self,
        *,
        mice: Collection[str] | None = None,
        add_mice: bool = False,
        date: Any = None,
        like: Any = None,
        progress: Any = None,
    ) -> ScanPlan:
        """Look through the root for sessions not in the database yet; ``.apply()`` adds them.

        Parameters
        ----------
        mice, date
            Look at these mice, this day only; also ``today``, ``yesterday``, ``today - 7 days``.
        add_mice
            Add mice too that the database does not know; their sessions are held back otherwise.
        like
            A session whose description new ones take over where their folder does not tell: a
            key, or ``LAST`` for the last one of the mouse.

        Examples
        --------
        >>> tracker.sessions.delete("DEMO003.2023-03-16.1")
        >>> plan = tracker.scan(mice=["DEMO003"])
        >>> plan
        1 new session to add: .apply() does it; 3 known.
          mouseName  sessionDate  sessionID  behavior
          DEMO003    2023-03-16   1          yes
        >>> [str(key) for key in plan.apply()]
        ['DEMO003.2023-03-16.1']
        """
        from vrtracker.services.disk import ScanService

        day = self._lab.day(date)
        return ScanService(self._lab, self.sessions, self.mice).plan(
            mice=mice,
            add_mice=add_mice,
            date=None if day is None else parse_date(day),
            like=like,
            progress=progress,
        )

    def enter(
        self,
        keys: Any,
        values: Mapping[str, Any] | None = None,
        *,
        like: Any = None,
        preset: str | None = None,
        strict: bool = False,
    ) -> EntryPlan:
        """Put new sessions together and return them as a plan; ``.apply()`` enters them.

        Parameters
        ----------
        keys
            A key, or a list of them.
        values
            Columns by name. They come before those of the preset, these before those of `like`.
        like
            A session whose description is taken over: a key, or ``LAST`` for the last session
            of the same mouse that is not scratched. What became of it is not.
        preset
            Name of a preset in the profile: ``[profiles.NAME.presets.PRESET]``.
        strict
            Refuse values that no session has yet, and future dates, in place of a warning.

        Raises
        ------
        NotFoundError, UnknownNameError
            If there is no such session, preset or column.
        InvalidValueError
            If a value does not fit its column, or something is odd and `strict` is set.

        Examples
        --------
        >>> plan = tracker.enter("DEMO001.2023-01-21.701", {"numPlanes": 4}, like="LAST")
        >>> plan
        1 session to enter: .apply() does it.
          mouseName  sessionDate  sessionID  behavior  imaging  numPlanes
          DEMO001    2023-01-21   701        yes       yes      4
        >>> [str(key) for key in plan.apply()]
        ['DEMO001.2023-01-21.701']
        """
        from vrtracker.services.entries.entering import EntryService

        service = EntryService(self._lab, self.sessions)
        return service.plan(keys, dict(values or {}), like=like, preset=preset, strict=strict)

    def reconcile(
        self,
        where: Any = None,
        /,
        *,
        stages: Collection[str] | None = None,
        by_hash: bool = False,
        only_present: bool = False,
        progress: Callable[[int], None] | None = None,
        **filters: Any,
    ) -> ReconcilePlan:
        """Compare the database with the disk; ``.apply()`` writes the difference, ``.undo()`` back.

        Parameters
        ----------
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; all that are not scratched if not.
        stages
            ``suite2p``, ``registration``, ``red_cell_qc``; all when not given. The recorded
            datasets are compared with registration; runs of tracking are looked for with all.
        by_hash
            Hash the files that were written after they were recorded; else they are only named.
        only_present
            Leave sessions alone that have no folder here, as on a computer with part of the data.
        progress
            Called with the number of session folders seen so far.

        Returns
        -------
        ReconcilePlan
            ``found`` (changes, notes, doubts about the root), ``frame()``, ``only(keep)``,
            ``save(path)``, ``apply()``, ``undo()``.

        Raises
        ------
        RootUnavailableError
            If the root is missing, empty or cannot be read.

        Examples
        --------
        >>> Path("lab/DEMO002/2023-02-06/701/oneData/licks.times.npy").unlink()
        >>> plan = tracker.reconcile("mouseName = DEMO002")
        >>> plan.frame()[["key", "what"]]
                              key                     what
        0  DEMO002.2023-02-06.701  oneData/licks.times.npy
        """
        from vrtracker.services.disk import ReconcileService

        return ReconcileService(self._lab).plan(
            self._lab.selection(where, filters),
            stages=stages,
            by_hash=by_hash,
            only_present=only_present,
            progress=progress,
        )

    def load_reconciliation(self, path: str | os.PathLike[str]) -> ReconcilePlan:
        """Read a plan that ``reconcile(...).save(path)`` wrote, to apply it or take it back.

        Examples
        --------
        >>> Path("lab/DEMO002/2023-02-06/701/oneData/licks.times.npy").unlink()
        >>> tracker.reconcile("mouseName = DEMO002").save("plan.json")
        >>> [str(key) for key in tracker.load_reconciliation("plan.json").apply()]
        ['DEMO002.2023-02-06.701']
        """
        from vrtracker.services.disk import ReconcileService

        return ReconcileService(self._lab).load(path)

    def import_csv(self, what: str, path: str | os.PathLike[str]) -> ImportPlan:
        """Read a plain CSV file; the older name of ``sessions.read_table`` and ``mice.read_table``.

        Parameters
        ----------
        what
            ``mice`` or ``sessions``.
        path
            CSV, UTF-8, comma-separated, dates with the year first. Nothing is found out.

        Raises
        ------
        UnknownNameError
            If `what` is neither.

        Examples
        --------
        >>> pd.DataFrame({"mouseName": ["ATL012"], "sex": ["F"]}).to_csv("mice.csv", index=False)
        >>> tracker.import_csv("mice", "mice.csv").apply()
        1
        """
        from vrtracker.files.tables.table import PLAIN_CSV
        from vrtracker.services.entries.imports import plan_import

        services: dict[str, RowService[Any, Any]] = {"mice": self.mice, "sessions": self.sessions}
        if what not in services:
            raise UnknownNameError("kind of import", what, services)
        return plan_import(services[what].rules, Path(path), PLAIN_CSV)

    def edit_csv(
        self, path: str | os.PathLike[str], *, base: str | os.PathLike[str] | None = None
    ) -> EditPlan:
        """Read new values of sessions from a CSV file; ``.apply()`` writes them, all or none.

        Parameters
        ----------
        path
            CSV, UTF-8, with a header: mouseName, sessionDate, sessionID, and the columns that
            the file says the values of. An empty field empties the column.
        base
            The file as it was before people edited it. Then only fields that differ from it are
            changes, and a field that somebody else has changed in the database since is a
            problem that names both versions.

        Raises
        ------
        ImportFileError
            If it is not such a file at all.

        Examples
        --------
        >>> query = tracker.query("mouseName = DEMO001")
        >>> frame = query.select("mouseName", "sessionDate", "sessionID").frame()
        >>> frame.assign(numPlanes=3).to_csv("planes.csv", index=False)
        >>> tracker.edit_csv("planes.csv").apply()
        Update(matched=4, rows=4, dry_run=False)
        """
        from vrtracker.services.entries.bulk_edits import BulkEditService

        service = BulkEditService(self._lab, self.sessions)
        return service.plan(Path(path), base=None if base is None else Path(base))

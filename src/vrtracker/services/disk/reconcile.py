"""Compare the database with the disk: one look, one plan, one transaction, and back again."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import Findings, SessionChange
from vrtracker.domain.rigs import Required
from vrtracker.errors import InvalidValueError
from vrtracker.files.scan import scan
from vrtracker.files.trees import reason_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabService
from vrtracker.services.disk.comparison import Comparison
from vrtracker.services.disk.reconcile_apply import Reconciler
from vrtracker.services.disk.reconcile_rules import parts_of
from vrtracker.services.rigs import files_needed

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ["key", "what", "old", "new", "why"]
_COLUMNS = (
    "uSessionID",
    "mouseName",
    "sessionDate",
    "sessionID",
    "numPlanes",
    "suite2p",
    "suite2pDate",
    "vrRegistration",
    "vrRegistrationDate",
    "redCellQC",
    "redCellQCDate",
)


@dataclass(frozen=True, slots=True, repr=False)
class ReconcilePlan(Shown):
    """What reconciling found and would change; nothing is written before `apply`.

    Examples
    --------
    >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
    >>> plan = tracker.reconcile("DEMO001.2023-01-18.701")
    >>> [row["what"] for row in plan.rows()]
    ['suite2p', 'registration:mark']
    """

    found: Findings
    _reconciler: Reconciler
    removed: list[str] = field(default_factory=list)
    """What `apply` did about attempts that had ended, a sentence each."""

    def facts(self) -> Facts:
        """Return what would change and why, and what is to be known besides.

        Examples
        --------
        >>> tracker.reconcile("DEMO001.2023-01-18.701").facts().notes
        ['DEMO001.2023-01-18.701: There are red-cell cut-offs, but red-cell QC is not set. ...']
        """
        notes = [*self.found.doubts, *map(str, self.found.notes)]
        rows = [list(row.values()) for row in self.rows()]
        return Facts(self.found.summary, rows, _SHOWN, notes=notes)

    def apply(self, *, force: bool = False) -> list[SessionKey]:
        """Write all changes in one transaction, an event a session; return the sessions.

        Then remove what ended attempts left in the sessions' folders, and end the claims that
        nobody holds any more; `removed` lists it.

        Parameters
        ----------
        force
            Even if the disk is hard to believe.

        Raises
        ------
        RootUnavailableError
            If so much would be lost that the root must be the wrong one.
        ConcurrentUpdateError
            If a session is not as the plan saw it any more; nothing is written.
        NotFoundError
            If a session is gone.

        Examples
        --------
        >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
        >>> [str(key) for key in tracker.reconcile().apply()]
        ['DEMO001.2023-01-18.701']
        """
        keys = self._reconciler.apply(self.found, force=force)
        self.removed.extend(self._reconciler.clean(self.found))
        return keys

    def undo(self) -> list[SessionKey]:
        """Take the changes back, if nobody changed them since; as `apply`.

        Examples
        --------
        >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
        >>> plan = tracker.reconcile()
        >>> plan.apply() == plan.undo()
        True
        >>> tracker.reconcile().rows() == plan.rows()
        True
        """
        return self._reconciler.undo(self.found)

    def only(self, keep: Callable[[SessionChange], bool]) -> ReconcilePlan:
        """Return the plan of those changes of sessions alone for which `keep` is true.

        Examples
        --------
        >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
        >>> plan = tracker.reconcile().only(lambda change: change.key.mouse == "DEMO002")
        >>> plan.apply()
        []
        """
        changes = tuple(filter(keep, self.found.changes))
        found = replace(self.found, changes=changes, runs=(), mice=())
        return ReconcilePlan(found, self._reconciler)

    def frame(self) -> pd.DataFrame:
        """Return the changes, one row for each value: key, what, old, new, why.

        Examples
        --------
        >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
        >>> tracker.reconcile().frame()[["key", "what", "old", "new"]]
                              key               what    old    new
        0  DEMO001.2023-01-18.701            suite2p  False   True
        1  DEMO001.2023-01-18.701  registration:mark   None  stale
        """
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=_SHOWN, dtype=object)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `frame` as plain values.

        Examples
        --------
        >>> keys = tracker.sessions.update({"suite2p": False}, "DEMO001.2023-01-18.701")
        >>> tracker.reconcile().rows()[0]["what"]
        'suite2p'
        """
        values = [
            (str(each.key), *value, "; ".join(each.reasons))
            for each in self.found.changes
            for value in each.values()
        ]
        values += [
            (each.mouse, "tracking", None, f"{len(each.sessions)} sessions", each.folder)
            for each in self.found.runs
        ]
        values += [
            (each.mouse, name, *pair, each.why)
            for each in self.found.mice
            for name, pair in each.columns.items()
        ]
        return [dict(zip(_SHOWN, each, strict=True)) for each in values]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON.

        Raises
        ------
        InvalidValueError
            If the file cannot be written.

        Examples
        --------
        >>> tracker.reconcile("mouseName = DEMO001").save("plan.json")
        >>> tracker.load_reconciliation("plan.json").rows()
        []
        """
        try:
            Path(path).write_text(json.dumps(self.found.to_json(), indent=1), "utf-8")
        except OSError as error:
            raise InvalidValueError(
                f"The plan cannot be written to {os.fspath(path)!r} ({reason_of(error)}); give "
                "another path."
            ) from error


class ReconcileService(LabService):
    """Plans what the database should say."""

    def plan(
        self,
        filters: Selection,
        *,
        stages: Collection[str] | None = None,
        by_hash: bool = False,
        only_present: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> ReconcilePlan:
        """Look at the disk; see `vrtracker.tracker.Tracker.reconcile`."""
        parts = parts_of(stages)
        root = self._lab.folders().root
        self._lab.folders().check()
        recorded = self._recorded(Listing(filters, _COLUMNS), parts)
        rows = recorded[0]
        comparison = Comparison(self._lab, parts, *recorded, by_hash=by_hash)
        mice = {row["mouseName"] for row in rows}
        asked = mice if filters else None
        found = scan(root, mice=asked, known=mice, progress=progress, look=comparison.look)
        result = comparison.result(root, found, only_present=only_present)
        return ReconcilePlan(result, Reconciler(self._lab))

    def load(self, path: str | os.PathLike[str]) -> ReconcilePlan:
        """Read a plan that was saved.

        Raises InvalidValueError if the file cannot be read, or is no plan.
        """
        try:
            document = json.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise InvalidValueError(
                f"The plan {os.fspath(path)!r} cannot be read ({reason_of(error)})."
            ) from error
        except ValueError as error:
            raise InvalidValueError(f"{os.fspath(path)!r} is no plan: it is not JSON.") from error
        return ReconcilePlan(Findings.from_json(document), Reconciler(self._lab))

    def _recorded(
        self, listing: Listing, parts: Sequence[str]
    ) -> tuple[
        list[dict[str, Any]],
        Mapping[int, list[dict[str, Any]]],
        Mapping[int, Sequence[Required]],
    ]:
        datasets: dict[int, list[dict[str, Any]]] = defaultdict(list)
        with self._lab.unit(readonly=True) as unit:
            rows = unit.stages.table_rows(self._lab.stages, now=self._lab.now(), listing=listing)
            needed = files_needed(unit, [row["uSessionID"] for row in rows])
            if "suite2p" in parts and len(parts) == 1:
                return rows, datasets, needed
            bare = Listing(listing.filters, include_scratched=listing.include_scratched)
            for row in unit.datasets.of_listing(bare):
                datasets[row["uSessionID"]].append(row)
        return rows, datasets, needed

"""Sessions found on disk: plan what to add, then add it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.display import Facts, Shown, counted, table_of
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.alf import find_alf_files
from vrtracker.files.probe import FolderProbe, probe
from vrtracker.files.scan import FoundSession, SkippedFolder, scan
from vrtracker.repositories.listing import Listing
from vrtracker.services.context import LabContext
from vrtracker.services.entries.adding import explained, fitted, insert
from vrtracker.services.entries.entering import EntryService
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.sessions import SessionService

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class ScanPlan(Shown):
    """What a scan found, and what adding it would do.

    Attributes
    ----------
    new : tuple of dict
        Rows of sessions to add: key, and what the folder tells.
    held_back : tuple of SessionKey
        New sessions of mice that are not in the database.
    new_mice : tuple of str
        Those mice.
    known : int
        Sessions that are in the database already.
    skipped : tuple of SkippedFolder
        Folders that look like sessions but are not, and why.
    warnings : tuple of str
        What is odd about sessions that will be added.

    Examples
    --------
    >>> Path("lab/DEMO001/2023-05-02/1").mkdir(parents=True)
    >>> print(tracker.scan())
    1 new session to add: .apply() does it; 12 known.
      mouseName  sessionDate  sessionID
      DEMO001    2023-05-02   1
    """

    new: tuple[dict[str, Any], ...]
    held_back: tuple[SessionKey, ...]
    new_mice: tuple[str, ...]
    known: int
    skipped: tuple[SkippedFolder, ...]
    warnings: tuple[str, ...] = ()
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would be added, and what would not and why.

        Examples
        --------
        >>> tracker.scan().facts().title
        '0 new sessions to add: .apply() does it; 12 known.'
        """
        columns, rows = table_of(self.new)
        title = f"{counted(len(rows), 'new session')} to add: .apply() does it; {self.known} known."
        notes = [f"{key} is held back: its mouse is not known." for key in self.held_back]
        held = "add_mice=True adds it" if self.held_back else "is added too"
        notes += [f"Mouse {name} is not in the database: {held}." for name in self.new_mice]
        notes += [f"{each.path} is skipped: {each.reason}" for each in self.skipped]
        return Facts(title, rows, columns, notes=[*self.warnings, *notes])

    def apply(self) -> list[SessionKey]:
        """Add the new sessions, all or none, and return their keys.

        Examples
        --------
        >>> Path("lab/DEMO001/2023-05-02/1").mkdir(parents=True)
        >>> [str(key) for key in tracker.scan().apply()]
        ['DEMO001.2023-05-02.1']
        """
        added: list[SessionKey] = self._service.add(self)
        return added

    def frame(self) -> pd.DataFrame:
        """Return the rows to add.

        Examples
        --------
        >>> Path("lab/DEMO001/2023-05-02/1").mkdir(parents=True)
        >>> tracker.scan().frame()[["mouseName", "sessionID", "imaging"]]
          mouseName  sessionID  imaging
        0   DEMO001          1    False
        """
        import pandas as pd

        return pd.DataFrame(list(self.new))


class ScanService:
    """Compares the sessions on disk with those in the database."""

    def __init__(self, lab: LabContext, sessions: SessionService, mice: MouseService) -> None:
        self._lab = lab
        self._sessions = sessions
        self._mice = mice

    def plan(
        self,
        *,
        mice: Collection[str] | None = None,
        add_mice: bool = False,
        date: dt.date | None = None,
        like: Any = None,
        progress: Callable[[int], None] | None = None,
    ) -> ScanPlan:
        """Look through the root and return what is new there; nothing is written.

        `mice`: look at these mice only.
        `add_mice`: plan to add mice that are not in the database; their sessions are held back
            otherwise.
        `date`: look at sessions of this day only.
        `like`: a session whose description new ones take over, where their folder does not tell: a
            key, or ``LAST`` for the last one of the mouse, where it has one.
        `progress`: called with the number of sessions found so far.

        Raises RootUnavailableError if the root is missing, empty or cannot be read.
        """
        known_keys, known_mice = self._known()
        root = self._lab.folders().root
        found = scan(root, mice=mice, known=known_mice, progress=progress, look=self._look)
        seen = [one for one in found.found if date is None or one.key.date == date]
        fresh = [session for session in seen if session.key not in known_keys]
        unknown = [s for s in fresh if s.key.mouse not in known_mice]
        wanted = fresh if add_mice else [s for s in fresh if s.key.mouse in known_mice]
        rows, unread = _rows(wanted)
        chosen = [session for session in wanted if session.key in rows]
        return ScanPlan(
            new=tuple(
                _described(rows[session.key], model)
                for session, model in zip(chosen, self._models(chosen, like), strict=True)
            ),
            held_back=() if add_mice else tuple(session.key for session in unknown),
            new_mice=tuple(sorted({session.key.mouse for session in unknown})),
            known=len(seen) - len(fresh),
            skipped=(*found.skipped, *unread),
            warnings=tuple(text for session in chosen for text in _warnings(session)),
            _service=self,
        )

    def add(self, plan: ScanPlan) -> list[SessionKey]:
        """Add what a plan lists, mice and sessions, all or none."""
        if not plan.new:
            return []
        mice = [] if plan.held_back else [{"mouseName": name} for name in plan.new_mice]
        rules = self._sessions.rules
        sessions = fitted(rules, plan.new)
        try:
            with self._lab.unit() as unit:
                if mice:
                    insert(self._mice.rules, unit, fitted(self._mice.rules, mice))
                keys = insert(rules, unit, sessions)
                unit.commit()
        except ViolationError as error:
            raise explained(rules, error, sessions) from error
        return keys

    def _models(self, chosen: list[FoundSession], like: Any) -> list[dict[str, Any]]:
        """Return for each session what it takes over from an earlier one."""
        entry = EntryService(self._lab, self._sessions)
        return entry.models([session.key for session in chosen], like, may_lack=True)

    def _look(self, _: SessionKey, folder: str) -> FolderProbe:
        return probe(folder, output=self._lab.output, zone=self._lab.zone)

    def _known(self) -> tuple[set[SessionKey], set[str]]:
        with self._lab.unit(readonly=True) as unit:
            rows = unit.sessions.present_keys(Listing(include_scratched=True))
            return {SessionKey(*row) for row in rows}, set(unit.mice.names())


def _rows(
    sessions: Iterable[FoundSession],
) -> tuple[dict[SessionKey, dict[str, Any]], list[SkippedFolder]]:
    """Return what the folders tell, by key, and those in which something cannot be read."""
    rows, unread = {}, []
    for session in sessions:
        try:
            rows[session.key] = _row(session)
        except (InvalidValueError, NotFoundError) as error:
            unread.append(SkippedFolder(session.folder, str(error)))
    return rows, unread


def _row(session: FoundSession) -> dict[str, Any]:
    """Return the columns that the folder tells of."""
    probe = session.probe
    row: dict[str, Any] = {
        **session.key.columns,
        "behavior": probe.behaviour,
        "faceCamera": probe.face_camera,
        "imaging": bool(probe.suite2p_planes) or _has_imaging_data(session),
        "suite2p": probe.suite2p_complete,
    }
    if probe.suite2p_worked_on:
        row["numPlanes"] = probe.suite2p_worked_on
    if probe.suite2p_complete:
        row["suite2pDate"] = probe.suite2p_modified
    return row


def _described(row: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return what the folder tells, and of an earlier session what it does not tell."""
    # The raw imaging data need not be in the folder, so that its absence tells nothing.
    return {**model, **row, "imaging": row["imaging"] or model.get("imaging", False)}


def _has_imaging_data(session: FoundSession) -> bool:
    names = (file.rel_path.rpartition("/")[2] for file in find_alf_files(session.folder))
    return any(name.startswith("mpci") for name in names)


def _warnings(session: FoundSession) -> list[str]:
    return [
        f"{session.key}: suite2p {plane.name} lacks {', '.join((*plane.missing, *plane.empty))}; "
        "suite2p is not counted as done."
        for plane in session.probe.suite2p_planes
        if plane.missing or plane.empty
    ]

"""One comparison of rows with folders: what reconciling would change, and what it only tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrtracker.domain.dates import parse_date
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import LEFT_OVER, Finding, Findings, SessionChange
from vrtracker.domain.rigs import Required
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.states import Mark, State
from vrtracker.errors import VrtrackerError
from vrtracker.files.layout import SUBJECTS
from vrtracker.files.probe import FolderProbe, probe
from vrtracker.files.recovery import may_replace
from vrtracker.files.scan import ScanResult, SkippedFolder
from vrtracker.files.trees import reason_of
from vrtracker.repositories.listing import Listing
from vrtracker.services.context import LabContext
from vrtracker.services.disk.reconcile_rules import PARTS, Proposal, Seen
from vrtracker.services.disk.tracked import look_for_runs
from vrtracker.services.rigs import lacking
from vrtracker.services.transitions import outcome_columns, read, stale_dependents
from vrtracker.services.workflow.abandoned import left_by_the_ended


class Comparison:
    """One comparison of rows with folders."""

    def __init__(
        self,
        lab: LabContext,
        parts: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        datasets: Mapping[int, Sequence[Mapping[str, Any]]],
        needed: Mapping[int, Sequence[Required]],
        *,
        by_hash: bool,
    ) -> None:
        self._lab = lab
        self._parts = parts
        self._rows = {SessionKey.of_row(row): row for row in rows}
        self._datasets = datasets
        self._needed = needed
        self._mice: dict[str, Path] = {}
        self._by_hash = by_hash
        self._now, self._lab_now = lab.now(), lab.lab_now()
        self._states = [f"state:{name}" for name in lab.stages]
        self._done_columns = {part: lab.stages[part].done_column or "" for part in parts}
        self._changes: dict[SessionKey, SessionChange] = {}
        self._notes: list[Finding] = []
        self._folders: set[SessionKey] = set()
        self._looked_at = self._with_folder = 0
        self._marked: dict[str, int] = dict.fromkeys((*PARTS, "datasets"), 0)
        self._lost: dict[str, int] = dict.fromkeys((*PARTS, "datasets"), 0)

    def look(self, key: SessionKey, folder: str) -> None:
        """Compare a session with its folder, at once: what is in it need not be kept."""
        row = self._rows.get(key)
        if row is not None:
            self._mice.setdefault(key.mouse, Path(folder).parent.parent)
        if row is not None and self._may_change(key, row):
            found = probe(
                folder,
                output=self._lab.output,
                required=self._lab.disk.suite2p_files,
                zone=self._lab.zone,
            )
            left = left_by_the_ended(self._lab, row["uSessionID"], Path(folder))
            what = f"Applying removes what ended attempts left: {', '.join(left)}." if left else ""
            if left and may_replace(Path(folder), output=self._lab.output):
                what += " It is compared after that, with the next plan."
            else:
                self._one(key, row, folder, found)
            if what:
                self._note(LEFT_OVER, key, what)
        self._folders.add(key)

    def _may_change(self, key: SessionKey, row: Mapping[str, Any]) -> bool:
        states = [row[name] for name in self._states]
        if State.RUNNING in states:
            self._note("running", key, "Somebody works on it right now; look again later.")
        return State.RUNNING not in states and State.SCRATCHED not in states

    def _one(
        self, key: SessionKey, row: Mapping[str, Any], folder: str | None, found: FolderProbe
    ) -> None:
        datasets = self._datasets.get(row["uSessionID"], ())
        seen = Seen(
            key=key,
            row=row,
            datasets=datasets,
            folder=folder,
            probe=found,
            rules=self._lab.disk,
            output=self._lab.output,
            now=self._now,
            lab_now=self._lab_now,
            zone=self._lab.zone,
            by_hash=self._by_hash,
        )
        try:
            self._note_lacking(key, row, folder)
            proposals = seen.proposals(self._parts)
            files = seen.dataset_changes() if "registration" in self._parts else []
        except OSError as error:
            self._note("unreadable", key, f"A file of it cannot be read: {reason_of(error)}.")
            return
        except VrtrackerError as error:
            self._note("unreadable", key, str(error))
            return
        self._looked_at += 1
        self._with_folder += folder is not None
        self._notes += seen.notes
        missing = sum(each.new is None for each in files)
        self._count(row, proposals, datasets=len(datasets), missing=missing)
        columns, marks = self._changes_of(key, proposals) if proposals else ({}, {})
        if columns or marks or files:
            reasons = [each.why for each in proposals]
            reasons += [f"{len(files)} recorded files differ from those on disk"] if files else []
            self._changes[key] = SessionChange(key, columns, marks, tuple(files), tuple(reasons))

    def _note_lacking(self, key: SessionKey, row: Mapping[str, Any], folder: str | None) -> None:
        """Note the files that the session's rig leaves, and that are not there."""
        needed = [
            each
            for each in self._needed.get(row["uSessionID"], ())
            if each.stage in self._parts or len(self._parts) == len(PARTS)
        ]
        for each in lacking(Path(folder), needed) if folder is not None and needed else ():
            what = f"{each.equipment} of its rig leaves {each.pattern}, and there is no such file."
            self._note("incomplete", key, what)

    def _count(
        self,
        row: Mapping[str, Any],
        proposals: Sequence[Proposal],
        *,
        datasets: int,
        missing: int,
    ) -> None:
        for part, column in self._done_columns.items():
            self._marked[part] += bool(row[column])
        for each in proposals:
            self._lost[each.stage] += each.done is False or each.outdated
        if "registration" in self._parts:
            self._marked["datasets"] += datasets > 0
            self._lost["datasets"] += missing > datasets / 2

    def _changes_of(
        self, key: SessionKey, proposals: Sequence[Proposal]
    ) -> tuple[dict[str, tuple[Any, Any]], dict[str, tuple[str | None, str | None]]]:
        """Return what the proposals mean for the columns and marks, by the workflow's rules."""
        snapshot = read(self._lab, None, key)
        columns: dict[str, Any] = {}
        marks: dict[str, str | None] = {}
        for each in proposals:
            self._settle(snapshot, each, columns, marks)
        record = snapshot.record
        changed = {
            name: (getattr(record, name), value)
            for name, value in columns.items()
            if getattr(record, name) != value
        }
        old = {name: row.mark for name, row in snapshot.rows.items()}
        remarked = {
            name: (old.get(name), mark) for name, mark in marks.items() if old.get(name) != mark
        }
        return changed, remarked

    def _settle(
        self,
        snapshot: Snapshot,
        each: Proposal,
        columns: dict[str, Any],
        marks: dict[str, str | None],
    ) -> None:
        stage = self._lab.stages[each.stage]
        if each.outdated:
            marks[stage.name] = Mark.STALE.value
        elif each.done is None:
            columns[stage.date_column or ""] = each.date
        else:
            columns |= outcome_columns(stage, done=each.done, date=each.date)
            marks[stage.name] = None
            for other in stale_dependents(self._lab, snapshot, stage):
                marks[other.name] = Mark.STALE.value

    def _note(self, kind: str, key: SessionKey, message: str) -> None:
        self._notes.append(Finding(kind, str(key), message))

    def result(self, root: Path, found: ScanResult, *, only_present: bool) -> Findings:
        """Return all that was found, after a look at the sessions that have no folder."""
        hidden = unseen_folders(found.skipped, root, seen={key.mouse for key in self._folders})
        self._notes += [Finding("unreadable", str(s.path), s.reason) for s in found.skipped]
        for key, row in self._rows.items():
            if key in self._folders:
                continue
            reason = hidden.get(key) or (None if only_present else hidden.in_a_lab(key))
            if reason is not None:
                self._note("unreadable", key, f"Its folder cannot be looked into: {reason}")
            elif not only_present and self._may_change(key, row):
                self._one(key, row, None, FolderProbe(exists=False))
        looks = len(self._parts) == len(PARTS)
        runs, mice, notes = look_for_runs(self._lab, self._mice if looks else {})
        return Findings(
            root=str(root),
            made_at=self._now,
            looked_at=self._looked_at,
            with_folder=self._with_folder,
            unknown=self._unknown(),
            changes=tuple(self._changes[key] for key in self._rows if key in self._changes),
            runs=tuple(runs),
            mice=tuple(mice),
            notes=(*self._notes, *notes),
            doubts=tuple(self._doubts()),
        )

    def _unknown(self) -> int:
        """Return how many of the folders are of no session in the database."""
        left = self._folders - self._rows.keys()
        if not left:
            return 0
        with self._lab.unit(readonly=True) as unit:
            known = set(unit.sessions.present_keys(Listing(include_scratched=True)))
        return sum((key.mouse, key.date, key.number) not in known for key in left)

    def _doubts(self) -> list[str]:
        limit = self._lab.disk.loss_limit
        return [
            f"{self._lost[what]} of {marked} {_NOUNS[what]} would be lost"
            for what, marked in self._marked.items()
            if self._lost[what] > limit * max(marked, _FEW)
        ]


_FEW = 2
"""Of fewer sessions a share says little: the only one may well be made anew."""

_NOUNS = {
    "suite2p": "sessions with suite2p",
    "registration": "registered sessions",
    "red_cell_qc": "sessions with red-cell QC",
    "datasets": "sessions with recorded files",
}


@dataclass(frozen=True, slots=True)
class UnseenFolders:
    """Why folders were not seen."""

    reasons: dict[tuple[object, ...], str]
    """By what the folders stand for: a mouse (in small letters), a day of it, a session."""
    anywhere: str | None
    """Why a session without a folder may have one all the same: a lab's mice were not seen."""
    elsewhere: str | None
    """Why a mouse without any folder may have one: a link that may be a lab's was not followed."""
    seen: Collection[str]
    """The mice of which a folder was seen."""

    def get(self, key: SessionKey) -> str | None:
        """Return why the session's own folder cannot be seen, or None if it can."""
        parts = (key.mouse.casefold(), key.date, key.number)
        spans = (parts[:length] for length in range(1, len(parts) + 1))
        return next((self.reasons[span] for span in spans if span in self.reasons), None)

    def in_a_lab(self, key: SessionKey) -> str | None:
        """Return why the session's folder may be in a lab's that cannot be seen, or None."""
        return self.anywhere or (None if key.mouse in self.seen else self.elsewhere)


def unseen_folders(
    skipped: Iterable[SkippedFolder], root: Path, *, seen: Collection[str]
) -> UnseenFolders:
    """Return what the skipped folders hide; `seen` are the mice of which a folder was seen."""
    reasons: dict[tuple[object, ...], str] = {}
    labs: list[str] = []
    links: list[str] = []
    for skip in skipped:
        parts = skip.path.relative_to(root).parts
        span, perhaps = _span(parts), f"It may be in {skip.path}. {skip.reason}"
        if not span:
            labs.append(perhaps)
        elif skip.is_link and len(parts) == 1:
            # It may have been a lab's, or anything: it says nothing of mice that are elsewhere.
            links.append(perhaps)
        reasons.setdefault(span, skip.reason)
    return UnseenFolders(reasons, next(iter(labs), None), next(iter(links), None), seen)


def _span(parts: tuple[str, ...]) -> tuple[object, ...]:
    """Return the mouse, date and number that a path below the root stands for.

    The mouse in small letters, since its folder may be spelled otherwise than it. None of them,
    which is all mice, for the folder of a lab's mice: nobody knows which they are.
    """
    if parts[1:2] == (SUBJECTS,):
        parts = parts[2:]
    span: list[object] = [name.casefold() for name in parts[:1]]
    readers: tuple[Callable[[str], object], ...] = (parse_date, int)
    for text, reader in zip(parts[1:], readers, strict=False):
        try:
            span.append(reader(text))
        except ValueError:
            span.append(text)
    return tuple(span)

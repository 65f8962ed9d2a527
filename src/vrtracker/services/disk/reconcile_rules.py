"""What one session's folder says about its row: the rules of reconciling, without a database."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.domain.disk_rules import DiskRules
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import DatasetChange, Finding
from vrtracker.domain.states import State
from vrtracker.errors import UnknownNameError
from vrtracker.files.alf import hash_file, is_curated, parse_alf_name, revision_of
from vrtracker.files.probe import FolderProbe, local_time
from vrtracker.files.trees import FileFacts

PARTS = ("suite2p", "registration", "red_cell_qc")
"""The stages whose output on disk is compared."""

_RED_OUTPUT = ("mpciROIs.red", "parametersRed")
_NOT_RED_OUTPUT = "mpciROIs.redS2P"  # suite2p's own guess, which is there without curation too
_CUT_OFFS = re.compile(r"parametersRed\w*\.minMaxCutoff\.npy")
_OPEN = {State.READY, State.FAILED, State.BLOCKED}
_OF_DATASET: tuple[str, ...] = ("stage", "attempt_id", "written", "revision", "size_bytes", "md5")
_OF_DATASET += ("qc_level", "sha256", "modified", "missing_since", "one_id")


def parts_of(stages: Collection[str] | None) -> list[str]:
    """Return the stages to compare, in order: all if none are named."""
    if stages is None:
        return list(PARTS)
    wanted = [stages] if isinstance(stages, str) else list(stages)
    for name in wanted:
        if name not in PARTS:
            raise UnknownNameError("stage with output to compare", name, PARTS)
    return [name for name in PARTS if name in wanted]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be written of one stage."""

    stage: str
    why: str
    """What was found."""
    done: bool | None = None
    """Whether it is done; None leaves that as it is."""
    date: dt.datetime | None = None
    """When it was done, the lab's clock."""
    outdated: bool = False
    """Mark it as stale."""


@dataclass
class Seen:
    """One session: its row, its states, its recorded files, and its folder.

    `row`: columns of `sessiondb`, and the states of the stages as ``state:`` and the name.
    `datasets`: its rows of `vrt_dataset`.
    `folder`: its folder, None where there is none.
    `now`, `lab_now`: the instant of the comparison, UTC and on the lab's clock; a file of a later
        time has no date.
    `by_hash`: hash the files that were written after they were recorded.
    """

    key: SessionKey
    row: Mapping[str, Any]
    datasets: Sequence[Mapping[str, Any]]
    folder: str | None
    probe: FolderProbe
    rules: DiskRules
    output: str
    now: dt.datetime
    lab_now: dt.datetime
    zone: dt.tzinfo | None
    by_hash: bool = False
    notes: list[Finding] = field(default_factory=list)

    def note(self, kind: str, message: str) -> None:
        """Keep something that a person should know of."""
        self.notes.append(Finding(kind, str(self.key), message))

    def state(self, stage: str) -> str:
        """Return the state of a stage, the value of a `State`."""
        state: str = self.row[f"state:{stage}"]
        return state

    def proposals(self, parts: Sequence[str]) -> list[Proposal]:
        """Return what is to be written of the stages, an earlier stage before a later one."""
        found: list[Proposal] = []
        for part in parts:
            if self.state(part) != State.NOT_APPLICABLE:
                found += getattr(self, f"_{part}")()
            elif part == "suite2p" and self.probe.suite2p_planes:
                self.note("unexpected", "There is suite2p output, but the session has no imaging.")
        return found

    # -- suite2p ------------------------------------------------------------------------------

    def _suite2p(self) -> Iterator[Proposal]:
        planes, wanted = self.probe.suite2p_worked_on, self.row["numPlanes"]
        lacks = self._lacking_planes()
        for doubt in self.probe.suite2p_doubts:
            self.note("unreadable", doubt)
        if wanted and planes > wanted:
            self.note("unexpected", f"suite2p has {planes} planes; numPlanes says {wanted}.")
        if lacks and self.row["suite2p"]:
            yield Proposal("suite2p", f"suite2p is incomplete: {lacks}", done=False)
        elif lacks and self.probe.suite2p_planes:
            self.note("incomplete", f"suite2p is incomplete: {lacks}.")
        elif not lacks:
            date = self._past(self.probe.suite2p_modified, "suite2p")
            why = "; ".join([f"suite2p is complete: {planes} planes", *self._by_settings()])
            yield from self._kept("suite2p", "suite2p", "suite2pDate", date, why)

    def _lacking_planes(self) -> str:
        """Return in words what keeps suite2p from being complete, empty if nothing does."""
        planes, wanted = self.probe.suite2p_planes, self.row["numPlanes"]
        if not planes:
            return "there is no plane" if self.probe.exists else "there is no session folder"
        if not self.probe.suite2p_worked_on:
            return "its settings ignore every plane"
        parts = [
            f"{plane.name} lacks {', '.join(plane.missing)}" for plane in planes if plane.missing
        ]
        parts += [
            f"{', '.join(plane.empty)} of {plane.name} is empty (0 bytes)"
            for plane in planes
            if plane.empty
        ]
        if wanted and len(planes) < wanted:
            parts.append(f"there are {len(planes)} of {wanted} planes")
        return "; ".join(parts)

    def _by_settings(self) -> Iterator[str]:
        """Yield in words what is not there because suite2p was told so."""
        for plane in self.probe.suite2p_planes:
            if plane.ignored:
                yield f"{plane.name} was to be ignored"
            elif plane.spared:
                yield f"{plane.name} was to have no {', '.join(plane.spared)}"

    # -- registration ---------------------------------------------------------------------------

    def _registration(self) -> Iterator[Proposal]:
        lacks = self._lacking_output()
        required = [self.probe.output.get(name) for name in self.rules.registration_files]
        if lacks and self.row["vrRegistration"]:
            yield Proposal("registration", f"registration is incomplete: {lacks}", done=False)
        elif lacks and self.probe.output and self.state("registration") in _OPEN:
            self.note("incomplete", f"There is output of registration, but {lacks}.")
        elif not lacks and required:
            latest = max(facts[1] for facts in required if facts)
            date = self._past(local_time(latest, self.zone), self.output)
            why = f"registration is complete: {len(required)} required files"
            if self.state("registration") != State.BLOCKED:
                columns = ("vrRegistration", "vrRegistrationDate")
                yield from self._kept("registration", *columns, date, why)
        elif not lacks and self.state("registration") in _OPEN:
            self.note(
                "unexpected",
                f"{self.output} holds {len(self.probe.output)} files, but the session is not "
                "registered.",
            )

    def _lacking_output(self) -> str:
        if not self.probe.exists:
            return "there is no session folder"
        output = self.probe.output
        missing = [name for name in self.rules.registration_files if name not in output]
        if missing:
            return f"{self.output} lacks {', '.join(missing)}"
        empty = sorted([name for name, (size, _) in output.items() if not size])
        if empty:
            return f"{', '.join(empty)} in {self.output} is empty (0 bytes)"
        if not output and not any(self._facts(each["rel_path"]) for each in self.datasets):
            return f"there is no file in {self.output}"
        return ""

    # -- red cells ------------------------------------------------------------------------------

    def _red_cell_qc(self) -> Iterator[Proposal]:
        files = {
            name: facts[1]
            for name, facts in self.probe.output.items()
            if name.startswith(_RED_OUTPUT) and not name.startswith(_NOT_RED_OUTPUT)
        }
        curated = {name: time for name, time in files.items() if is_curated(name)}
        cut_offs = [name for name in curated if _CUT_OFFS.fullmatch(name)]
        if not self.row["redCellQC"]:
            if cut_offs and self.state("red_cell_qc") in _OPEN:
                self.note("unexpected", "There are red-cell cut-offs, but red-cell QC is not set.")
            return
        known = any(is_curated(each["rel_path"]) for each in self.datasets)
        if not curated and self.probe.output and (known or files):
            why = "the curated red-cell files are gone"
            if self.state("red_cell_qc") != State.STALE:
                yield Proposal("red_cell_qc", why, outdated=True)
            return
        date = self._past(self._curated_at(curated), "red-cell")
        why = "the red-cell files tell when they were curated"
        yield from self._kept("red_cell_qc", "redCellQC", "redCellQCDate", date, why)

    def _curated_at(self, curated: Mapping[str, float]) -> dt.datetime | None:
        """Return when a person last saved a choice.

        Registration makes the selection and the manual assignments too, before its own date;
        where that is not known, the files' time is the best there is.
        """
        registered = self.row["vrRegistrationDate"]
        times = (
            local_time(time, self.zone)
            for name, time in curated.items()
            if _CUT_OFFS.fullmatch(name)
            or registered is None
            or local_time(time, self.zone) > registered
        )
        return max(times, default=None)

    # -- datasets -------------------------------------------------------------------------------

    def dataset_changes(self) -> list[DatasetChange]:
        """Return how the recorded files differ from those on disk."""
        if not self.probe.exists:
            return [DatasetChange(e["rel_path"], recorded(e), None) for e in self.datasets]
        compared = (self._compared(each) for each in self.datasets)
        return [*filter(None, compared), *self._new_datasets()]

    def _compared(self, each: Mapping[str, Any]) -> DatasetChange | None:
        path, old = each["rel_path"], recorded(each)
        facts = self._facts(path)
        if facts is None:
            return DatasetChange(path, old, None)
        size, modified = facts
        if size == each["size_bytes"]:
            if modified <= each["recorded_at"].timestamp() + 1:
                return None
            if not self.by_hash:
                self.note("touched", f"{path} was written after it was recorded; by hash?")
                return None
        md5 = self._hash(path)
        if md5 is not None and md5 == each["md5"] and size == each["size_bytes"]:
            return None
        return DatasetChange(path, old, {**old, **self._fresh(size), "md5": md5})

    def _new_datasets(self) -> Iterator[DatasetChange]:
        """Yield files of the output that are not recorded, where some are: it was registered."""
        known = {each["rel_path"] for each in self.datasets}
        if not any(each["stage"] == "registration" for each in self.datasets):
            return
        for name, (size, _) in sorted(self.probe.output.items()):
            path = f"{self.output}/{name}"
            if path in known:
                continue
            if parse_alf_name(name.rpartition("/")[2]) is None or len(path) > 255:  # noqa: PLR2004
                self.note("unexpected", f"{path} is no dataset: its name is not an ALF name.")
                continue
            row = {
                **dict.fromkeys(_OF_DATASET),
                **self._fresh(size),
                "stage": "registration",
                "written": False,
                "revision": revision_of(path),
                "qc_level": 0,
                "md5": self._hash(path),
            }
            yield DatasetChange(path, None, row)

    def _fresh(self, size: int) -> dict[str, Any]:
        # The next scan of the datasets finds out what is left open.
        unknown = dict.fromkeys(("sha256", "modified", "missing_since"))
        return {**unknown, "size_bytes": float(size), "recorded_at": self.now}

    def _hash(self, rel_path: str) -> str | None:
        if not self.by_hash or self.folder is None:
            return None
        return hash_file(Path(self.folder, rel_path))

    def _facts(self, rel_path: str) -> FileFacts | None:
        """Return size and time of a recorded file, None if it is not there.

        Raises OSError if it cannot be looked at, or is a link that leads nowhere.
        """
        prefix = f"{self.output}/"
        if rel_path.startswith(prefix):
            name = rel_path.removeprefix(prefix)
            if name in self.probe.output:
                return self.probe.output[name]
        if self.folder is None:
            return None
        path = Path(self.folder, rel_path)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            if path.is_symlink():
                raise
            return None
        return status.st_size, status.st_mtime

    # -- helpers --------------------------------------------------------------------------------

    def _kept(
        self, stage: str, column: str, date_column: str, date: dt.datetime | None, why: str
    ) -> Iterator[Proposal]:
        """Propose what files that are all there say: done, and a date not before the stated one."""
        stated = self.row[date_column]
        if not self.row[column]:
            yield Proposal(stage, why, done=True, date=date)
        elif date is not None and (stated is None or date > stated):
            yield Proposal(stage, f"{stage} was last written at {date}", date=date)

    def _past(self, date: dt.datetime | None, what: str) -> dt.datetime | None:
        """Return a file's date, or None, and a note, where it lies in the future."""
        if date is None or date <= self.lab_now:
            return date
        self.note("future", f"The {what} files are of {date}, which is yet to come; no date taken.")
        return None


def recorded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of `vrt_dataset` says of its file, without the numbers of rows."""
    return {name: row[name] for name in (*_OF_DATASET, "recorded_at")}

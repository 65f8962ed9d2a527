"""The datasets of sessions: list them, record what is on disk, compare contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.datasets import DatasetCheck, DatasetRecord, DatasetScan, Problem
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.alf import hash_twice, revision_of
from vrtracker.repositories.row_images import DATASETS, differences
from vrtracker.services.context import LabService
from vrtracker.services.disk.looking import Look, looks, settle
from vrtracker.services.disk.pruning import PrunePlan, Pruning, Restored
from vrtracker.services.history import HistoryService
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd

_STAGE = "scan"
"""What stands for a stage in the record of a file that no stage recorded."""
_VERB = "scanned"
_FACTS = ("size_bytes", "md5", "sha256", "modified", "missing_since", "recorded_at")
_Progress = Callable[[int], None] | None


class DatasetService(LabService):
    """What ``tracker.datasets`` shows; called with a key it returns the records as a frame.

    Examples
    --------
    >>> tracker.datasets("DEMO003.2023-03-16.1")[["rel_path", "stage"]].head(2)
                                    rel_path         stage
    0                oneData/licks.times.npy  registration
    1  oneData/positionTracking.position.npy  registration
    """

    def __call__(self, key: Any) -> pd.DataFrame:
        """Return the datasets of a session, by path; columns as `vrt_dataset`."""
        return HistoryService(self._lab).datasets(key)

    def records(self, key: Any) -> list[dict[str, Any]]:
        """Return the same as plain rows.

        Examples
        --------
        >>> tracker.datasets.records("DEMO003.2023-03-16.1")[0]["rel_path"]
        'oneData/licks.times.npy'
        """
        return HistoryService(self._lab).datasets.records(key)

    def list(self, key: Any) -> list[DatasetRecord]:
        """Return the datasets of a session, by path, as they are recorded.

        Raises
        ------
        NotFoundError
            If there is no such session.

        Examples
        --------
        >>> tracker.datasets.list("DEMO003.2023-03-16.1")[0].path
        'oneData/licks.times.npy'
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit(readonly=True) as unit:
            record = unit.sessions.get(wanted)
            if record is None:
                raise self._lab.not_found("session", wanted, unit=unit)
            return [
                DatasetRecord.of_row(row) for row in unit.datasets.of_session(record.uSessionID)
            ]

    # -- scan -----------------------------------------------------------------------------------

    def scan(
        self,
        where: Any = None,
        /,
        *,
        hashes: bool = True,
        rehash: bool = False,
        progress: _Progress = None,
        **filters: Any,
    ) -> DatasetScan:
        """Record the files of sessions: the ALF-named ones, and those on record.

        What has the size and the time that are recorded is not read again. A record keeps its
        number and its QC; the one of a file that is gone stays, and says since when. Some
        sessions are written together: what was done before an interruption is kept.

        Parameters
        ----------
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; all that are not scratched if not.
        hashes
            Read new and changed files for MD5 and SHA-256; else their hashes are left open.
        rehash
            Read all files, whatever their sizes and times: what `verify` found changed is recorded.
        progress
            Called with the number of sessions looked at so far.

        Raises
        ------
        RootUnavailableError
            If the root is missing, empty or cannot be read.
        NotFoundError
            If the session does not exist.

        Examples
        --------
        >>> print(tracker.datasets.scan("DEMO003.2023-03-16.1"))
        Datasets of 1 session
          added      0
          updated    9
          unchanged  0
          missing    0
          hashed     9
        """
        # The one session that is named is meant, even if its folder is gone.
        named = self._lab.selection(where, filters).is_key
        hashes = hashes or rehash
        how = None if rehash else hashes
        found = {"sessions": 0, "added": 0, "updated": 0, "unchanged": 0, "missing": 0, "hashed": 0}
        without, problems = [], []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for alike, part in looks(self._lab, where, filters, hashed=how):
                for one in part:
                    self._compare(one, hashes=hashes, rehash=rehash)
                found["hashed"] += _hash(part, pool) if hashes else 0
                self._write(part)
                found["sessions"] += len(alike) + len(part)
                found["unchanged"] += sum(alike)
                for one in part:
                    if one.problem is not None:
                        problems.append(Problem(one.key, one.problem))
                    elif one.folder is None and not named:
                        without.append(one.key)
                    else:
                        _count(found, one)
                if progress is not None:
                    progress(found["sessions"])
        return DatasetScan(**found, without_folder=tuple(without), problems=tuple(problems))

    def _compare(self, one: Look, *, hashes: bool, rehash: bool) -> None:
        """Set what of a session's files is new, differs or is gone."""
        at = self._lab.now()
        for path, file in one.files.items():
            row = one.rows.get(path)
            fresh = {"size_bytes": float(file.size_bytes), "modified": file.modified}
            if row is None:
                new = {"uSessionID": one.number, "rel_path": path, "stage": _STAGE, "qc_level": 0}
                new |= {"written": False, "revision": file.revision, "recorded_at": at, **fresh}
                one.added.append(new)
            elif rehash or _differs(row, fresh, hashes=hashes):
                one.updated.append(_renewed(row, fresh))
        for path, row in one.rows.items():
            if path not in one.files and one.problem is None:
                one.gone += 1
                if row["missing_since"] is None:
                    one.updated.append({**row, "missing_since": at})

    def _write(self, part: Sequence[Look]) -> None:
        changed = [one for one in part if one.problem is None and one.changes()]
        if not changed:
            return
        at = self._lab.now()
        with self._lab.unit() as unit:
            settle(unit, changed, at)
            for one in changed:
                _date(one, at)
            good = [one for one in changed if one.problem is None]
            changes = {one.number: one.changes() for one in good}
            for number, renewed in _update(unit, good).items():
                changes[number] |= renewed
            unit.datasets.replace(remove=(), insert_rows=[row for one in good for row in one.added])
            unit.events.append(
                [
                    self._lab.event(one.key, _VERB, at=at, changes=changes[one.number])
                    for one in good
                ]
            )
            unit.commit()

    # -- prune ----------------------------------------------------------------------------------

    def prune(
        self, where: Any = None, /, *, progress: _Progress = None, **filters: Any
    ) -> PrunePlan:
        """Find ALF-named files that are not recorded, and records without a file.

        ``.apply()`` moves the files into a trash folder below the root, and removes those of the
        records that a scan or an import made; `restore` brings both back. A recorded file is never
        moved, nor a record of a stage removed. Parameters and errors as for `scan`.

        Examples
        --------
        >>> file = tracker.sessions.get("DEMO003.2023-03-16.1").path / "oneData/notes.text.npy"
        >>> size = file.write_bytes(b"of no use")
        >>> print(tracker.datasets.prune("DEMO003.2023-03-16.1"))
        1 file to move into the trash, 0 records to remove: .apply() does it
          key                   path                    what
          DEMO003.2023-03-16.1  oneData/notes.text.npy  unknown
        """
        found = looks(self._lab, where, filters, hashed=False)
        return Pruning(self._lab).plan(found, progress)

    def restore(self, name: str | None = None) -> Restored:
        """Bring back what a pruning took away: the last one, or the one of this name.

        Where another file is by now, that stays, and the old one stays in the trash. A record that
        was made anew gets the QC that it had; where it has another one by now, both are told.

        Raises
        ------
        NotFoundError
            If nothing was pruned from this database, or nothing under this name.
        InvalidValueError
            If it was pruned from another database, or its list is damaged.

        Examples
        --------
        >>> file = tracker.sessions.get("DEMO003.2023-03-16.1").path / "oneData/notes.text.npy"
        >>> size = file.write_bytes(b"of no use")
        >>> name = tracker.datasets.prune("DEMO003.2023-03-16.1").apply()
        >>> tracker.datasets.restore().files
        1
        >>> file.exists()
        True
        """
        return Pruning(self._lab).restore(name)

    # -- verify ---------------------------------------------------------------------------------

    def verify(
        self, where: Any = None, /, *, progress: _Progress = None, **filters: Any
    ) -> DatasetCheck:
        """Read every recorded file again, and compare its content with the hash on record.

        Nothing is written. Parameters and errors as for `scan`.

        Examples
        --------
        >>> print(tracker.datasets.verify("DEMO003.2023-03-16.1"))
        9 files as recorded
        """
        good, seen = 0, 0
        found: dict[str, list[tuple[SessionKey, str]]] = {"changed": [], "missing": []}
        found["unhashed"] = []
        problems = []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _, part in looks(self._lab, where, filters, gone_counts=True):
                for one in part:
                    if one.problem is not None:
                        problems.append(Problem(one.key, one.problem))
                        continue
                    for path, what in pool.map(partial(_verified, one), one.rows):
                        good += what == "good"
                        if what in found:
                            found[what].append((one.key, path))
                        elif what != "good":
                            problems.append(Problem(one.key, what))
                seen += len(part)
                if progress is not None:
                    progress(seen)
        return DatasetCheck(good=good, problems=problems, **found)


def facts_of(folder: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return size, time and hashes of files, as they are recorded, by path.

    Raises InvalidValueError, NotFoundError if one cannot be read.
    """
    found = {}
    for path in paths:
        status, (md5, sha256) = (folder / path).stat(), hash_twice(folder / path)
        facts = {"size_bytes": float(status.st_size), "modified": status.st_mtime}
        found[path] = {**facts, "md5": md5, "sha256": sha256, "missing_since": None}
    return found


def record_files(
    unit: UnitOfWork, number: int, facts: Mapping[str, Mapping[str, Any]], at: Any
) -> dict[str, int]:
    """Record files of a session, given by `facts_of`, within a unit; return how many."""
    known = unit.datasets.of_sessions([number])[number]
    new = {"uSessionID": number, "stage": _STAGE, "qc_level": 0, "written": False}
    added, updated = [], []
    for path, fresh in facts.items():
        row = known.get(path)
        if row is None:
            revision = {"rel_path": path, "revision": revision_of(path), "recorded_at": at}
            added.append({**new, **revision, **fresh})
        elif any(row[name] != value for name, value in fresh.items()):
            updated.append({**row, **fresh, "recorded_at": at})
    unit.datasets.update(_FACTS, updated)
    unit.datasets.replace(remove=(), insert_rows=added)
    return {"datasets:added": len(added), "datasets:updated": len(updated)}


def _update(unit: UnitOfWork, looks: Sequence[Look]) -> dict[int, dict[str, Any]]:
    """Write the records that changed; return as events keep it how they were, by session."""
    numbers = [one.number for one in looks if one.updated]
    before = unit.images.of(numbers, DATASETS)
    unit.datasets.update(_FACTS, [row for one in looks for row in one.updated])
    after = unit.images.of(numbers, DATASETS)
    return {number: differences(before[number], after[number]) for number in numbers}


def _differs(row: Mapping[str, Any], fresh: Mapping[str, Any], *, hashes: bool) -> bool:
    is_known = row["missing_since"] is None and not (hashes and row["sha256"] is None)
    return not is_known or any(row[name] != value for name, value in fresh.items())


def _renewed(row: Mapping[str, Any], fresh: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a file that was written since, or that has come back."""
    # A stage knows the size and the MD5 of what it made, and not the time.
    is_same = row["size_bytes"] == fresh["size_bytes"]
    is_same &= row["modified"] in {None, fresh["modified"]}
    hashes = {} if is_same else {"md5": None, "sha256": None}
    return {**row, **hashes, **fresh, "missing_since": None}


def _date(one: Look, at: Any) -> None:
    """Date the records anew whose files hold something else than before."""
    for row in one.updated:
        before = one.rows[row["rel_path"]]
        if any(before[name] not in {None, row[name]} for name in ("size_bytes", "md5", "sha256")):
            row["recorded_at"] = at


def _hash(part: Sequence[Look], pool: ThreadPoolExecutor) -> int:
    """Read the files that are new or differ, several at a time; return how many."""
    wanted = [
        (one, row, one.folder / row["rel_path"])
        for one in part
        if one.folder is not None and one.problem is None
        for row in (*one.added, *one.updated)
        if row["rel_path"] in one.files
    ]
    paths = [path for *_, path in wanted]
    for (one, row, _), hashes in zip(wanted, pool.map(_hashes, paths), strict=True):
        if isinstance(hashes, str):
            one.problem = hashes
        else:
            row["md5"], row["sha256"] = hashes
    for one in part:
        one.updated = [row for row in one.updated if row != one.rows[row["rel_path"]]]
    return len(wanted)


def _hashes(path: Path) -> tuple[str, str] | str:
    """Return the two hashes of a file, or why it cannot be read."""
    try:
        return hash_twice(path)
    except (InvalidValueError, NotFoundError) as error:
        return str(error)


def _count(found: dict[str, int], one: Look) -> None:
    found["added"] += len(one.added)
    found["updated"] += len(one.updated)
    found["missing"] += one.gone
    there = [row for row in one.updated if row["missing_since"] is None]
    found["unchanged"] += len(one.files) - len(one.added) - len(there)


def _verified(one: Look, path: str) -> tuple[str, str]:
    """Return a path, and good, changed, missing, unhashed, or why the file cannot be read."""
    row = one.rows[path]
    if one.folder is None or path not in one.files:
        return path, "missing"
    if row["md5"] is None and row["sha256"] is None:
        return path, "unhashed"
    hashes = _hashes(one.folder / path)
    if isinstance(hashes, str):
        return path, hashes
    is_alike = all(
        row[name] in {None, value} for name, value in zip(("md5", "sha256"), hashes, strict=True)
    )
    return path, "good" if is_alike else "changed"

"""Cells tracked over the sessions of a mouse: the runs on record, and their tables."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.alf import hash_twice, load
from vrtracker.services.context import LabContext, LabService

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("session", "labels", "labelled at")


@dataclass(frozen=True, slots=True, repr=False)
class TrackingRun(Shown):
    """A run that tracked cells over the sessions of a mouse.

    `run`: SHA-256 of the names and contents of its files, hexadecimal.
    `plane`: the imaging plane; None: all planes, whose ROIs are counted on from one to the next.
    `folder`: of its files, below the root, with ``/``.
    `made_by`: version of ROICaT, where its files tell.
    `settings`: its parameters by file, where there are files in JSON.
    `sessions`: in order of date and number; those that are deleted left out.
    `files`: of each session, by kind: ``{"name": …, "sha256": …}``.
    `labelled_at`: when the labels of each session were written, UTC.
    `stale`: those of them whose suite2p is newer than its labels.
    `recorded_at`: UTC.
    """

    run: str
    mouse: str
    plane: int | None
    folder: str
    made_by: str | None
    settings: Mapping[str, Any] | None
    sessions: tuple[SessionKey, ...]
    files: tuple[Mapping[str, Mapping[str, str]], ...]
    labelled_at: tuple[dt.datetime, ...]
    stale: tuple[SessionKey, ...]
    recorded_at: dt.datetime
    _lab: LabContext = field(repr=False, compare=False)

    @property
    def is_stale(self) -> bool:
        """Whether suite2p of one of its sessions is newer."""
        return bool(self.stale)

    def facts(self) -> Facts:
        """Return its sessions, and what is out of date."""
        rows = [
            (str(key), files["labels"]["name"], f"{at:%Y-%m-%d %H:%M:%S}")
            for key, files, at in zip(self.sessions, self.files, self.labelled_at, strict=True)
        ]
        plane = "all planes" if self.plane is None else f"plane {self.plane}"
        notes = [f"stale: suite2p of {key} is newer; track again." for key in self.stale]
        title = f"Cells of {self.mouse} tracked in {self.folder} ({plane}), run {self.run[:12]}."
        return Facts(title, rows, _SHOWN, notes=notes)


class TrackingService(LabService):
    """The runs of tracking of a lab; ``tracker.reconcile()`` finds new ones.

    Examples
    --------
    >>> from lab_tools import track  # writes ROICaT's labels, then reconciles
    >>> track(tracker, "DEMO001")
    >>> tracker.tracking.table(tracker.tracking.runs("DEMO001")[0]).shape
    (3, 4)
    """

    def runs(self, mouse: str | None = None) -> list[TrackingRun]:
        """Return the runs of a mouse, or of all mice, in the order in which they were recorded.

        Raises
        ------
        NotFoundError
            If there is no such mouse.

        Examples
        --------
        >>> from lab_tools import track
        >>> track(tracker, "DEMO001")
        >>> [(run.folder, len(run.sessions)) for run in tracker.tracking.runs("DEMO001")]
        [('DEMO001/ROICaT', 4)]
        """
        with self._lab.unit(readonly=True) as unit:
            rows = unit.tracking.of_mouse(mouse)
            if mouse is not None and not rows and unit.mice.get(mouse) is None:
                raise self._lab.not_found("mouse", mouse, unit=unit)
        return self._of_rows(rows)

    def get(self, run: str) -> TrackingRun:
        """Return a run by its hash, or by as much of it as no other has.

        Raises
        ------
        NotFoundError
            If there is none.
        InvalidValueError
            If there are several.

        Examples
        --------
        >>> from lab_tools import track
        >>> track(tracker, "DEMO001")
        >>> run = tracker.tracking.runs("DEMO001")[0]
        >>> tracker.tracking.get(run.run[:8]).is_stale
        False
        """
        found = [each for each in self.runs() if each.run.startswith(run)]
        if not found or not run:
            raise NotFoundError("run of tracking", run, [])
        if len(found) > 1:
            raise InvalidValueError(f"{len(found)} runs begin with {run!r}; give more of the hash.")
        return found[0]

    def table(self, run: TrackingRun | str) -> pd.DataFrame:
        """Return where each cluster is in each session.

        Parameters
        ----------
        run
            One of `runs`, or its hash.

        Returns
        -------
        pandas.DataFrame
            (clusters, sessions), int64: index of the ROI in the session, from 0 in the order of
            suite2p's planes; -1 where the cluster was lost. Rows are named by the cluster, from 0,
            columns by the session's key.

        Raises
        ------
        InvalidValueError
            If a file is not what was recorded, or has a cluster twice.
        NotFoundError
            If a file is gone.

        Examples
        --------
        >>> from lab_tools import track
        >>> track(tracker, "DEMO001")
        >>> tracker.tracking.table(tracker.tracking.runs("DEMO001")[0]).loc[0].tolist()
        [0, 1, 2, 0]
        """
        import numpy as np
        import pandas as pd

        found = self.get(run) if isinstance(run, str) else run
        labels = [self._labels(found, files) for files in found.files]
        count = max((int(each.max(initial=-1)) for each in labels), default=-1) + 1
        table = np.full((count, len(labels)), -1, dtype=np.int64)
        for column, each in enumerate(labels):
            rois = np.flatnonzero(each >= 0)
            clusters = each[rois]
            if len(np.unique(clusters)) < len(clusters):
                values, counts = np.unique(clusters, return_counts=True)
                twice = values[counts > 1][0]
                raise InvalidValueError(
                    f"{found.sessions[column]} has cluster {twice} in more than one ROI; its "
                    "labels are damaged: run ROICaT again."
                )
            table[clusters, column] = rois
        names = pd.Index([str(key) for key in found.sessions], name="session")
        return pd.DataFrame(table, index=pd.RangeIndex(count, name="cluster"), columns=names)

    def _labels(self, run: TrackingRun, files: Mapping[str, Mapping[str, str]]) -> Any:
        """Return the cluster of each ROI of a session, (rois,) int64."""
        import numpy as np

        path = Path(self._lab.folders().root, run.folder, files["labels"]["name"])
        if hash_twice(path)[1] != files["labels"]["sha256"]:
            raise InvalidValueError(
                f"{path} was written again since it was recorded; vrtracker reconcile --apply "
                "records the run that is there now."
            )
        found: Any = load(path)
        if found.ndim != 1 or not np.issubdtype(found.dtype, np.number):
            raise InvalidValueError(f"{path} holds no labels: they are numbers, one for each ROI.")
        return found.astype(np.int64)

    def _of_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[TrackingRun]:
        grouped: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            grouped[row["run_hash"]].append(row)
        return [self._run(sorted(each, key=lambda row: row["place"])) for each in grouped.values()]

    def _run(self, rows: Sequence[Mapping[str, Any]]) -> TrackingRun:
        first = rows[0]
        keys = [SessionKey.of_row(row) for row in rows]
        return TrackingRun(
            run=first["run_hash"],
            mouse=first["mouseName"],
            plane=first["plane"],
            folder=first["folder"],
            made_by=first["made_by"],
            settings=first["settings"],
            sessions=tuple(keys),
            files=tuple(row["files"] for row in rows),
            labelled_at=tuple(row["labelled_at"] for row in rows),
            stale=tuple(key for key, row in zip(keys, rows, strict=True) if self._is_stale(row)),
            recorded_at=first["recorded_at"],
            _lab=self._lab,
        )

    def _is_stale(self, row: Mapping[str, Any]) -> bool:
        done, labelled = row["suite2pDate"], row["labelled_at"].astimezone(self._lab.zone)
        return done is not None and bool(done > labelled.replace(tzinfo=None))

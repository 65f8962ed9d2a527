"""Write sessions as NWB: rows, rig, series, trials, tables, and what suite2p found."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import veiled
from vrtracker.domain.records import values_of
from vrtracker.errors import InvalidValueError, MissingDependencyError, VrtrackerError
from vrtracker.files.trees import reason_of
from vrtracker.interop.nwb.arrays import (
    Array,
    Arrays,
    Series,
    columns_of,
    read_arrays,
    timing_of,
    trial_times,
)
from vrtracker.interop.nwb.ophys import add_suite2p

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker

__all__ = ["SCRATCH", "NwbExport", "export_many", "export_nwb"]

SCRATCH = "vrtracker"
"""The entry that holds rows and rig as JSON."""
_MODULE = "alf"
_SPECIES = "Mus musculus"
_NO_UNIT = "unknown"


@dataclass(frozen=True, slots=True)
class NwbExport(Shown):
    """What was written.

    Attributes
    ----------
    series, tables, trials, planes : int
        How many.
    left_out : tuple of (str, str)
        Files that NWB has no place for, and why.
    """

    key: str
    path: Path
    series: int
    tables: int
    trials: int
    planes: int
    left_out: tuple[tuple[str, str], ...] = ()

    def facts(self) -> Facts:
        """Return where it is, and what it holds."""
        rows = [(name, getattr(self, name)) for name in ("series", "tables", "trials", "planes")]
        notes = [f"left out: {path}: {why}" for path, why in self.left_out]
        return Facts(f"{self.key} was written to {self.path}.", rows, notes=notes)


def export_nwb(
    tracker: Tracker,
    key: Any,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    show_blinded: bool = False,
) -> NwbExport:
    """Write a session as one NWB file, under a temporary name first.

    Parameters
    ----------
    overwrite
        Replace a file that is there.
    show_blinded
        Write the genotype of a blinded mouse too.

    Raises
    ------
    MissingDependencyError
        If pynwb is not installed.
    NotFoundError
        If there is no such session.
    RootUnavailableError
        If its folder cannot be searched for.
    InvalidValueError
        If the file is there already, or cannot be written.
    """
    pynwb = _pynwb()
    target = Path(path)
    if target.exists() and not overwrite:
        raise InvalidValueError(f"{target} is there already; go on with overwrite=True.")
    session = tracker.sessions.get(key)
    mouse = tracker.mice.get(session.mouseName)
    folder = None if tracker.root is None else tracker._lab.folders().find(session.key)  # noqa: SLF001
    columns = values_of(mouse) if show_blinded else veiled(values_of(mouse))
    rig = tracker.rigs.of(session.key)
    file = _start(pynwb, session, columns, rig, tracker)
    arrays = Arrays() if folder is None else read_arrays(folder)
    _add_series(pynwb, file, arrays.series)
    _add_trials(file, arrays.trials)
    _add_tables(file, arrays)
    planes, left_out = (0, []) if folder is None else add_suite2p(file, folder, arrays.series)
    _write(pynwb, file, target)
    return NwbExport(
        key=str(session.key),
        path=target,
        series=len(arrays.series),
        tables=len(arrays.tables),
        trials=len(arrays.trials[0].data) if arrays.trials else 0,
        planes=planes,
        left_out=(*arrays.left_out, *left_out),
    )


def export_many(
    tracker: Tracker,
    folder: str | os.PathLike[str],
    where: Any = None,
    /,
    *,
    overwrite: bool = False,
    show_blinded: bool = False,
    progress: Callable[[int, int, Any, Any], object] | None = None,
    **filters: Any,
) -> tuple[list[NwbExport], list[SessionKey], list[tuple[SessionKey, str]]]:
    """Write the sessions of a query, each as ``FOLDER/MOUSE/MOUSE_DATE_NUMBER.nwb``.

    What is there already is passed over, so that a run that broke off can be gone on with.

    Returns
    -------
    list of NwbExport
    list of SessionKey
        Those that were passed over.
    list of (SessionKey, str)
        Those that failed, and why.
    """
    keys = tracker.sessions.query(where, **filters).keys()
    written, passed, failed = [], [], []
    for place, each in enumerate(keys, start=1):
        key = SessionKey.parse(each)
        target = Path(folder) / key.mouse / f"{_session_id(key)}.nwb"
        if target.exists() and not overwrite:
            passed.append(key)
        else:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                options = {"overwrite": overwrite, "show_blinded": show_blinded}
                written.append(export_nwb(tracker, key, target, **options))
            except MissingDependencyError:
                raise
            except (VrtrackerError, OSError) as error:
                failed.append((key, str(error)))
        if progress is not None:
            progress(place, len(keys), key, None)
    return written, passed, failed


def _pynwb() -> Any:
    try:
        import pynwb
    except ImportError as error:
        raise MissingDependencyError("An NWB file", "nwb") from error
    return pynwb


def _session_id(key: SessionKey) -> str:
    return f"{key.mouse}_{key.date.isoformat()}_{key.number}"


def _start(pynwb: Any, session: Any, mouse: dict[str, Any], rig: Any, tracker: Any) -> Any:
    key, zone = session.key, tracker._lab.zone  # noqa: SLF001
    rows = {
        "format": 1,
        "key": str(key),
        "session": {n: v for n, v in values_of(session.record).items() if n != "uSessionID"},
        "mouse": {name: value for name, value in mouse.items() if name != "uMouseID"},
        "rig": None if rig is None else {"name": rig.row.rig_name, "content": rig.content},
    }
    file = pynwb.NWBFile(
        identifier=str(key.uuid),
        session_description=session.experimentType or f"session {key.number} of {key.mouse}",
        session_start_time=_midnight(key.date, zone),
        session_id=_session_id(key),
        notes=session.sessionNotes,
        subject=_subject(pynwb, mouse, zone),
    )
    if rig is not None:
        what = "; ".join(f"{each['name']}: {each['description']}" for each in rig.features)
        file.create_device(name=rig.row.rig_name.replace("/", "_"), description=what or rig.name)
    file.add_scratch(
        json.dumps(rows, default=str, ensure_ascii=False),
        name=SCRATCH,
        description="the rows of session and mouse, and the rig, as JSON",
    )
    return file


def _midnight(day: dt.date, zone: dt.tzinfo | None) -> dt.datetime:
    """Return when the lab's day begins: at what time a session began, nobody wrote down."""
    start = dt.datetime.combine(day, dt.time(), tzinfo=zone)
    return start if zone is not None else start.astimezone()


def _subject(pynwb: Any, mouse: dict[str, Any], zone: dt.tzinfo | None) -> Any:
    born = mouse.get("dateOfBirth")
    return pynwb.file.Subject(
        subject_id=mouse["mouseName"],
        description=mouse.get("notes") or "mouse",
        sex=mouse.get("sex") or "U",
        species=_SPECIES,
        genotype=mouse.get("genotype"),
        strain=mouse.get("strain"),
        date_of_birth=None if born is None else _midnight(born, zone),
    )


# -- arrays ---------------------------------------------------------------------------------


def _add_series(pynwb: Any, file: Any, series: list[Series]) -> None:
    made: dict[str, Any] = {}
    names: set[str] = set()
    for each in series:
        timing = timing_of(each.times.data)
        if "timestamps" in timing and each.times.path in made:
            timing = {"timestamps": made[each.times.path]}
        name = each.array.path.removesuffix(".npy").rpartition("/")[2]
        name = name if name not in names else each.array.path.removesuffix(".npy").replace("/", "_")
        names.add(name)
        one = pynwb.TimeSeries(
            name=name,
            data=each.array.data,
            unit=_NO_UNIT,
            description=f"{each.array.name.attribute} of {each.array.name.object}",
            comments=f"{each.array.path}; times: {each.times.path}",
            **timing,
        )
        made.setdefault(each.times.path, one)
        file.add_acquisition(one)


def _add_trials(file: Any, trials: list[Array]) -> None:
    found = trial_times(trials)
    if found is None:
        return
    start, stop = found
    others = [each for each in trials if each is not start and each is not stop]
    begin = start.data[:, 0] if start is stop else start.data
    end = stop.data[:, 1] if start is stop else stop.data
    from pynwb.epoch import TimeIntervals

    table = TimeIntervals(name="trials", description=f"{start.path}; {stop.path}")
    columns = list(columns_of(others))
    for name, each in columns:
        table.add_column(name=name, description=each.path)
    for place in range(len(begin)):
        row = {name: _cell(each.data[place]) for name, each in columns}
        table.add_row(start_time=float(begin[place]), stop_time=float(end[place]), **row)
    file.trials = table


def _cell(value: Any) -> Any:
    return (
        str(value)
        if getattr(value, "dtype", None) is not None and value.dtype.kind == "U"
        else value
    )


def _add_tables(file: Any, arrays: Arrays) -> None:
    from hdmf.common import DynamicTable, VectorData

    if not arrays.tables:
        return
    module = file.create_processing_module(
        name=_MODULE, description="arrays of the session without times"
    )
    names: set[str] = set()
    for each in arrays.tables:
        name = each.name
        while name in names:
            name += "_"
        names.add(name)
        columns = [
            VectorData(name=called, description=array.path, data=_column(array.data))
            for called, array in columns_of(each.columns)
        ]
        module.add(DynamicTable(name=name, description=f"arrays of {each.name}", columns=columns))


def _column(data: Any) -> Any:
    return data.astype(object) if data.dtype.kind == "U" else data


def _write(pynwb: Any, file: Any, target: Path) -> None:
    """Write under a hidden name, and rename: a file that is there is whole."""
    work = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}.part.nwb")
    try:
        with pynwb.NWBHDF5IO(str(work), "w") as io:
            io.write(file)
        work.replace(target)
    except OSError as error:
        raise InvalidValueError(f"{target} cannot be written ({reason_of(error)}).") from error
    finally:
        with contextlib.suppress(OSError):
            work.unlink(missing_ok=True)

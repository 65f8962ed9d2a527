"""Write sessions as NWB: rows, rig, series, trials, tables, and what suite2p found."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.experiments import Experiment
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import veiled
from vrtracker.domain.records import values_of
from vrtracker.errors import InvalidValueError, MissingDependencyError
from vrtracker.interop.nwb.arrays import (
    Array,
    Arrays,
    Series,
    columns_of,
    free_names,
    read_arrays,
    readable,
    timing_of,
    trial_times,
)
from vrtracker.interop.nwb.beside import Beside
from vrtracker.interop.nwb.ophys import add_suite2p
from vrtracker.interop.nwb.preflight import in_our_words, reason

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker

SCRATCH = "vrtracker"
"""The entry that holds rows, rig, experiments, masks and runs of tracking as JSON."""
TRIALS_OF = "trials of the experiment "
"""How a table is described that shows again what is in there."""
_MODULE = "alf"
_SPECIES = "Mus musculus"
_NO_UNIT = "unknown"
_RIG = {"name": "rig_name", "version": "rig_version", "content": "content"}


@dataclass(frozen=True, slots=True)
class NwbExport(Shown):
    """What was written.

    Attributes
    ----------
    series, tables, trials, experiments, planes : int
        How many; trials are those of the table ``trials``.
    left_out : tuple of (str, str)
        Files that NWB has no place for, and why.

    Examples
    --------
    >>> from vrtracker.interop.nwb import export_nwb
    >>> written = export_nwb(tracker, "DEMO001.2023-01-18.701", "session.nwb")
    >>> written.series, written.trials, written.planes
    (3, 0, 2)
    """

    key: str
    path: Path
    series: int
    tables: int
    trials: int
    experiments: int
    planes: int
    left_out: tuple[tuple[str, str], ...] = ()

    def facts(self) -> Facts:
        """Return where it is, and what it holds.

        Examples
        --------
        >>> from vrtracker.interop.nwb import export_nwb
        >>> export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb").facts().title
        'DEMO003.2023-03-16.1 was written to session.nwb.'
        """
        names = ("series", "tables", "trials", "experiments", "planes")
        rows = [(name, getattr(self, name)) for name in names]
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
        If the file does not end in ``.nwb``, is there already, or cannot be written.

    Examples
    --------
    >>> from vrtracker.interop.nwb import export_nwb
    >>> export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb").series
    2
    """
    pynwb = pynwb_module()
    target = Path(path)
    if target.suffix.lower() != ".nwb":
        raise InvalidValueError(f"{target} is no name for NWB: let it end in .nwb.")
    if target.exists() and not overwrite:
        raise InvalidValueError(f"{target} is there already; go on with overwrite=True.")
    session = tracker.sessions.get(key)
    with in_our_words(session.key):
        return _export(pynwb, tracker, session, target, show_blinded=show_blinded)


def _export(
    pynwb: Any, tracker: Tracker, session: Any, target: Path, *, show_blinded: bool
) -> NwbExport:
    mouse = tracker.mice.get(session.mouseName)
    folder = None if tracker.root is None else tracker._lab.folders().find(session.key)  # noqa: SLF001
    columns = values_of(mouse) if show_blinded else veiled(values_of(mouse))
    rig = tracker.rigs.of(session.key)
    with tracker._lab.unit(readonly=True) as unit:  # noqa: SLF001
        beside = Beside.of(unit, session.key, session.uSessionID)
    file = _start(pynwb, session, columns, rig, beside.document(), tracker)
    arrays = Arrays() if folder is None else read_arrays(folder)
    _add_series(pynwb, file, arrays.series)
    _add_trials(file, arrays.trials)
    for number, experiment in enumerate(beside.experiments, start=1):
        _add_experiment(file, experiment, number, session.key.date)
    _add_tables(file, arrays)
    planes, left_out = (0, []) if folder is None else add_suite2p(file, folder, arrays.series)
    _write(pynwb, file, target)
    return NwbExport(
        key=str(session.key),
        path=target,
        series=len(arrays.series),
        tables=len(arrays.tables),
        trials=0 if file.trials is None else len(file.trials),
        experiments=len(beside.experiments),
        planes=planes,
        left_out=(*arrays.left_out, *left_out),
    )


def pynwb_module() -> Any:
    """Return pynwb; MissingDependencyError if it is not installed."""
    try:
        import pynwb
    except ImportError as error:
        raise MissingDependencyError("An NWB file", "nwb") from error
    return pynwb


def session_id(key: SessionKey) -> str:
    """Return what a session is called in a file, and its file."""
    return f"{key.mouse}_{key.date.isoformat()}_{key.number}"


def _start(  # noqa: PLR0917 -- what a file begins with
    pynwb: Any, session: Any, mouse: dict[str, Any], rig: Any, beside: Any, tracker: Any
) -> Any:
    key, zone = session.key, tracker._lab.zone  # noqa: SLF001
    rows = {
        "format": 1,
        "key": str(key),
        "session": {n: v for n, v in values_of(session.record).items() if n != "uSessionID"},
        "mouse": {name: value for name, value in mouse.items() if name != "uMouseID"},
        "rig": None if rig is None else {name: getattr(rig.row, of) for name, of in _RIG.items()},
        "beside": beside,
    }
    file = pynwb.NWBFile(
        identifier=str(key.uuid),
        session_description=readable(
            session.experimentType or f"session {key.number} of {key.mouse}"
        ),
        session_start_time=_midnight(key.date, zone),
        session_id=session_id(key),
        notes=None if session.sessionNotes is None else readable(session.sessionNotes),
        subject=_subject(pynwb, mouse, zone),
    )
    if rig is not None:
        what = "; ".join(f"{each['name']}: {each['description']}" for each in rig.features)
        (name,) = free_names([rig.row.rig_name])
        file.create_device(name=name, description=what or rig.name)
    file.add_scratch(
        json.dumps(rows, default=str),
        name=SCRATCH,
        description="the rows of session and mouse, and what hangs on them, as JSON",
    )
    return file


def _midnight(day: dt.date, zone: dt.tzinfo | None) -> dt.datetime:
    """Return when the lab's day begins: at what time a session began, nobody wrote down."""
    start = dt.datetime.combine(day, dt.time(), tzinfo=zone)
    return start if zone is not None else start.astimezone()


def _subject(pynwb: Any, mouse: dict[str, Any], zone: dt.tzinfo | None) -> Any:
    born = mouse.get("dateOfBirth")
    mouse = {n: readable(v) if isinstance(v, str) else v for n, v in mouse.items()}
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
        name = (
            name if name not in names else next(free_names([each.array.path.removesuffix(".npy")]))
        )
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
    columns = [(name, each.path, _column(each.data)) for name, each in columns_of(others)]
    file.trials = _intervals("trials", f"{start.path}; {stop.path}", begin, end, columns)


def _add_experiment(file: Any, experiment: Experiment, number: int, day: dt.date) -> None:
    """Add the trials of an experiment as a table; the first one is the file's if it has none.

    A trial lasts from the end of the one before, the first one from the first message.
    """
    if not experiment.trials:
        return
    midnight = dt.datetime.combine(day, dt.time())
    ends = [_seconds(each.ended, midnight) for each in experiment.trials]
    sent = [_seconds(each.sent, midnight) for each in experiment.messages[:1]]
    flags = [each.model_data for each in experiment.trials]
    columns: list[tuple[str, str, list[Any]]] = [("model_data", "taken into account", flags)]
    for what in ("parameters", "outcomes"):
        for name in dict.fromkeys(n for each in experiment.trials for n, _ in getattr(each, what)):
            values = [dict(getattr(each, what)).get(name) for each in experiment.trials]
            columns.append((name, f"one of its {what}", _alike(values)))
    free = free_names(name for name, *_ in columns)
    described = [(name, *each[1:]) for name, each in zip(free, columns, strict=True)]
    name = "trials" if file.trials is None else f"experiment_{number}"
    begin = [*(sent or ends[:1]), *ends[:-1]]
    table = _intervals(name, f"{TRIALS_OF}{experiment.uid}", begin, ends, described)
    if name == "trials":
        file.trials = table
    else:
        file.add_time_intervals(table)


def _seconds(iso: str | None, midnight: dt.datetime) -> float:
    """Return a time of the rig's clock in s from the session's start, NaN for none."""
    if iso is None:
        return math.nan
    return (dt.datetime.fromisoformat(iso) - midnight).total_seconds()


def _alike(values: list[Any]) -> list[Any]:
    """Return values of one type, which a column of NWB needs: else as texts."""
    kinds = {type(each) for each in values}
    if kinds <= {int, float, type(None)} and kinds != {type(None)}:
        return [math.nan if each is None else float(each) for each in values]
    if kinds == {bool}:
        return values
    return ["" if each is None else readable(str(each)) for each in values]


def _intervals(
    name: str, about: str, begin: Any, end: Any, columns: list[tuple[str, str, Any]]
) -> Any:
    from hdmf.common import VectorData
    from pynwb.epoch import TimeIntervals

    times = [("start_time", "s", begin), ("stop_time", "s", end)]
    made = [VectorData(name=n, description=told, data=data) for n, told, data in times + columns]
    return TimeIntervals(name=name, description=about, columns=made)


def _add_tables(file: Any, arrays: Arrays) -> None:
    from hdmf.common import DynamicTable, VectorData

    if not arrays.tables:
        return
    module = file.create_processing_module(
        name=_MODULE, description="arrays of the session without times"
    )
    names = free_names(each.name for each in arrays.tables)
    for name, each in zip(names, arrays.tables, strict=True):
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
        raise InvalidValueError(f"{target} cannot be written ({reason(error)}).") from error
    finally:
        with contextlib.suppress(OSError):
            work.unlink(missing_ok=True)

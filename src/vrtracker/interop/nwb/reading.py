"""What an NWB file holds: arrays by the paths that they get, and the rows beside them."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.files.alf import parse_alf_name
from vrtracker.interop.nwb.beside import Beside
from vrtracker.interop.nwb.exporting import SCRATCH, TRIALS_OF
from vrtracker.services.rigs import LONGEST_NAME

_TIMES = "; times: "
_WORD = re.compile(r"[A-Za-z0-9]+")
_NOT_KEPT = {"uSessionID", "uMouseID", "mouseName", "sessionDate", "sessionID"}


@dataclass(slots=True)
class Content:
    """What a file holds: arrays by their paths, rows, what hangs on them, what is left out."""

    output: str
    subject: str | None = None
    arrays: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=lambda: {"mouse": {}, "session": {}, "rig": None})
    beside: Beside = field(default_factory=Beside)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, path: str | None, parts: tuple[str, str], data: Any) -> None:
        """Keep an array under the path that it had, else under one that is made of its names."""
        name = path if path is not None and _is_alf(path) else None
        if name is None:
            name = f"{self.output}/{_camel(parts[0])}.{_camel(parts[1])}.npy"
        while name in self.arrays and not alike(self.arrays[name], data):
            stem, _, attribute = name.removesuffix(".npy").rpartition(".")
            name = f"{stem}.{attribute}2.npy"
        self.arrays[name] = data


def read_content(path: Path, output: str) -> Content:
    """Read a file in which `problems_of` found none; what pynwb raises is passed on.

    `output`: the folder of arrays that have no path of their own.
    """
    import pynwb

    content = Content(output)
    with warnings.catch_warnings(), pynwb.NWBHDF5IO(str(path), "r") as io:
        warnings.simplefilter("ignore")
        file = io.read()
        subject = file.subject
        content.subject = None if subject is None else subject.subject_id
        _rows(content, file)
        for where, each in _parts(file):
            _take(content, where, each)
    return content


def _rows(content: Content, file: Any) -> None:
    """Keep the rows that `export_nwb` wrote, else what the file says of mouse and session."""
    kept = file.scratch.get(SCRATCH) if file.scratch else None
    if kept is not None:
        try:
            told = json.loads(str(kept.data[()] if hasattr(kept.data, "shape") else kept.data))
            for kind in ("mouse", "session"):
                content.rows[kind] = {n: v for n, v in told[kind].items() if n not in _NOT_KEPT}
            rig = content.rows["rig"] = told.get("rig")
            if rig is not None and not (
                rig["content"] and 0 < len(rig["name"]) <= LONGEST_NAME and "@" not in rig["name"]
            ):
                content.problems.append("Its rig has no name, a very long one, or one with '@'.")
            content.beside = Beside.parse(told.get("beside", {}))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            content.problems.append(f"Its entry {SCRATCH} in /scratch is damaged ({error}).")
        return
    subject = file.subject
    if subject is not None:
        born = subject.date_of_birth
        told = {
            "sex": subject.sex,
            "genotype": subject.genotype,
            "strain": subject.strain,
            "dateOfBirth": None if born is None else born.date(),
        }
        content.rows["mouse"] = {name: value for name, value in told.items() if value is not None}
    notes = file.notes or file.session_description
    content.rows["session"] = {"sessionNotes": str(notes)} if notes else {}


def _parts(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield what holds data, with where it is."""
    held = {
        "acquisition": file.acquisition,
        "stimulus": file.stimulus,
        "intervals": file.intervals or {},
    }
    for place, members in held.items():
        for name, each in members.items():
            yield f"{place}/{name}", each
    for name in ("trials", "epochs", "invalid_times"):
        if getattr(file, name) is not None:
            yield f"intervals/{name}", getattr(file, name)
    for module in file.processing.values():
        for name, each in module.data_interfaces.items():
            yield f"processing/{module.name}/{name}", each


def _take(content: Content, where: str, part: Any) -> None:
    from hdmf.common import DynamicTable
    from pynwb import TimeSeries
    from pynwb.epoch import TimeIntervals
    from pynwb.image import ImageSeries
    from pynwb.ophys import Fluorescence, ImageSegmentation, RoiResponseSeries

    if isinstance(part, Fluorescence | ImageSegmentation | RoiResponseSeries):
        content.left_out.append((where, "what suite2p found is made again by suite2p"))
    elif isinstance(part, ImageSeries):
        content.left_out.append((where, "images and videos stay where they are"))
    elif isinstance(part, TimeIntervals):
        _take_intervals(content, part)
    elif isinstance(part, DynamicTable):
        _take_table(content, where, part, list(part.colnames))
    elif isinstance(part, TimeSeries):
        _take_series(content, part)
    else:
        members = getattr(part, "children", ())
        if not members:
            content.left_out.append((where, f"a {type(part).__name__} is not taken over"))
        for each in members:
            _take(content, f"{where}/{each.name}", each)


def _take_series(content: Content, series: Any) -> None:
    import numpy as np

    told = str(series.comments or "")
    path, _, times_path = told.partition(_TIMES)
    data = np.asarray(series.data[:])
    if series.timestamps is None:
        times = (series.starting_time or 0.0) + np.arange(len(data)) / series.rate
    else:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    content.add(path, (series.name, "values"), data)
    content.add(times_path, (series.name, "times"), times)


def _take_intervals(content: Content, table: Any) -> None:
    import numpy as np

    _, is_ours, uid = str(table.description).partition(TRIALS_OF)
    if is_ours and any(each.uid == uid for each in content.beside.experiments):
        return
    begin, end = (
        np.asarray(table[name][:], dtype=np.float64) for name in ("start_time", "stop_time")
    )
    start, sign, stop = str(table.description).partition("; ")
    if sign and start != stop and _is_alf(start) and _is_alf(stop):
        content.add(start, (table.name, "startTimes"), begin)
        content.add(stop, (table.name, "endTimes"), end)
    else:
        path = start if sign else None
        content.add(path, (table.name, "intervals"), np.stack([begin, end], axis=1))
    names = [name for name in table.colnames if name not in {"start_time", "stop_time"}]
    _take_table(content, f"intervals/{table.name}", table, names)


def _take_table(content: Content, where: str, table: Any, names: list[str]) -> None:
    import numpy as np
    from hdmf.common import DynamicTableRegion, VectorIndex

    for name in names:
        column = table[name]
        if isinstance(column, VectorIndex | DynamicTableRegion):
            content.left_out.append((f"{where}/{name}", "a ragged column, or one of references"))
            continue
        data = np.asarray(column.data[:])
        if data.dtype.kind in "OS":
            texts = [v.decode() if isinstance(v, bytes) else str(v) for v in data.ravel()]
            data = np.array(texts).reshape(data.shape)
        content.add(str(column.description), (table.name, name), data)


def _is_alf(path: str) -> bool:
    parts = path.split("/")
    name = parse_alf_name(parts[-1])
    is_plain = not any(part.startswith(".") or part == "" for part in parts) and "\\" not in path
    return name is not None and name.extension == "npy" and is_plain and ":" not in path


def _camel(name: str) -> str:
    words: list[str] = _WORD.findall(name) or ["data"]
    return words[0][0].lower() + words[0][1:] + "".join(w[0].upper() + w[1:] for w in words[1:])


def alike(one: Any, other: Any) -> bool:
    """Return whether two arrays are the same, of the same type."""
    import numpy as np

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))

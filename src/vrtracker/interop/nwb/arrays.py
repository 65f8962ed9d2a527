"""The ALF arrays of a session, sorted into trials, series with times, and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.errors import VrtrackerError
from vrtracker.files.alf import AlfName, find_alf_files, load, parse_alf_name

_TIMES, _INTERVALS = "times", "intervals"
_STARTS = ("startTimes", "start_times", "startTime")
_STOPS = ("endTimes", "stopTimes", "end_times", "stop_times", "endTime")
_KINDS = "biufU"
_DEEPEST = 4
"""Dimensions that a column or a series of NWB takes."""


@dataclass(frozen=True, slots=True)
class Array:
    """One file: its path below the session's folder, the parts of its name, what it holds."""

    path: str
    name: AlfName
    data: Any


@dataclass(frozen=True, slots=True)
class Series:
    """An array with the times of its first axis, s, float64."""

    array: Array
    times: Array


@dataclass(slots=True)
class Table:
    """Arrays of one object that are equally long."""

    name: str
    columns: list[Array] = field(default_factory=list)


@dataclass(slots=True)
class Arrays:
    """All that was found, and what is left out: path, reason."""

    series: list[Series] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    trials: list[Array] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_arrays(folder: Path) -> Arrays:
    """Return the arrays of a session.

    Raises NotFoundError, InvalidValueError if the folder is not there, or cannot be read.
    """
    found = Arrays()
    objects: dict[tuple[Any, ...], list[Array]] = defaultdict(list)
    for file in find_alf_files(folder):
        collection, _, base = file.rel_path.rpartition("/")
        name = parse_alf_name(base)
        if name is None or name.extension != "npy":
            found.left_out.append((file.rel_path, "only .npy files are exported"))
            continue
        try:
            data: Any = load(folder / file.rel_path)
        except VrtrackerError as error:
            found.left_out.append((file.rel_path, str(error)))
            continue
        if data.dtype.kind not in _KINDS or not 1 <= data.ndim <= _DEEPEST:
            why = f"an array of {data.dtype} with {data.ndim} dimensions has no place in NWB"
            found.left_out.append((file.rel_path, why))
            continue
        if data.dtype.kind == "U" and any(each != readable(each) for each in data.ravel().tolist()):
            why = "a text with NUL or half a character has no place in NWB"
            found.left_out.append((file.rel_path, why))
            continue
        if not data.size:
            why = "an empty array, which NWB's own tools do not read"
            found.left_out.append((file.rel_path, why))
            continue
        whose = (collection, name.namespace, name.object, name.timescale)
        objects[whose].append(Array(file.rel_path, name, data))
    for (collection, *_), arrays in objects.items():
        _sort(found, collection, arrays)
    return found


def trial_times(arrays: list[Array]) -> tuple[Array, Array] | None:
    """Return start and stop of trials: twice the same array where it holds both, or None."""
    by_name = {each.name.attribute: each for each in arrays}
    both = by_name.get(_INTERVALS)
    if both is not None and both.data.ndim == 2 and both.data.shape[1] == 2:  # noqa: PLR2004
        return both, both
    start = next((by_name[name] for name in _STARTS if name in by_name), None)
    stop = next((by_name[name] for name in _STOPS if name in by_name), None)
    if start is None or stop is None or start.data.shape != stop.data.shape:
        return None
    return (start, stop) if start.data.ndim == 1 else None


def _sort(found: Arrays, collection: str, arrays: list[Array]) -> None:
    trials = trial_times(arrays) if arrays[0].name.object == "trials" else None
    if trials is not None and not found.trials:
        count = len(trials[0].data)
        found.trials = [each for each in arrays if len(each.data) == count]
        arrays = [each for each in arrays if len(each.data) != count]
    times = next((each for each in arrays if _tells_times(each)), None)
    if times is not None:
        timed = [
            each
            for each in arrays
            if each is not times
            and len(each.data) == len(times.data)
            and each.data.dtype.kind != "U"
        ]
        found.series += [Series(each, times) for each in timed]
        taken = [*timed, times] if timed else []
        arrays = [each for each in arrays if not any(each is other for other in taken)]
    lengths: dict[int, Table] = {}
    for each in arrays:
        number = f"_{len(lengths) + 1}" if lengths else ""
        prefix = f"{collection.replace('/', '_')}_" if collection else ""
        table = Table(f"{prefix}{each.name.object}{number}")
        lengths.setdefault(len(each.data), table).columns.append(each)
    found.tables += lengths.values()


def _tells_times(array: Array) -> bool:
    import numpy as np

    data = array.data
    is_fit = array.name.attribute == _TIMES and data.ndim == 1 and data.dtype == np.float64
    return is_fit and len(data) > 0 and bool(np.isfinite(data).all() and (np.diff(data) >= 0).all())


def columns_of(arrays: list[Array]) -> Iterator[tuple[str, Array]]:
    """Yield arrays with names for columns."""
    names = [each.name.attribute + f"_{each.name.extra or ''}".rstrip("_") for each in arrays]
    yield from zip(free_names(names), arrays, strict=True)


def readable(text: str) -> str:
    """Return a text as HDF5 keeps it: NUL and halves of characters are written as Python does."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def free_names(names: Iterable[str]) -> Iterator[str]:
    """Yield names that no other of them has, that no table has for itself, and without ``/``."""
    from pynwb.epoch import TimeIntervals

    seen = {"start_time", "stop_time", "tags", "timeseries", *dir(TimeIntervals)}
    for given in names:
        name = readable(given).replace("/", "_").replace(":", "_") or "_"
        while name in seen:
            name += "_"
        seen.add(name)
        yield name


def timing_of(times: Any) -> dict[str, Any]:
    """Return rate and start where they give exactly these times, else the times."""
    import numpy as np

    if len(times) > 1 and times[-1] > times[0]:
        rate = float((len(times) - 1) / (times[-1] - times[0]))
        for candidate in (rate, float(round(rate, 6))):
            if candidate > 0 and np.array_equal(
                times[0] + np.arange(len(times)) / candidate, times
            ):
                return {"rate": candidate, "starting_time": float(times[0])}
    return {"timestamps": times}

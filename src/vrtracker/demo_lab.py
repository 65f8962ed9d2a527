"""A small lab on disk, to try the tracker on: real layout, small plausible data."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[Any]]

_MARKER = ".vrtracker-demo-lab"
_PLANES = 2
_ROIS = 30  # in each plane
_SIDE = 128  # pixels of a plane
_FRAMES = 500
_FRAME_RATE = 6.0  # volumes/s
_TRIALS = 12
_SECONDS = _FRAMES / _FRAME_RATE
_CELL_CHANCE = 0.4
_RED_SCORE = 0.9
# Where the broken session's file is cut: inside the header of format version 1 (128 bytes).
_CUT_BYTES = 60

_MICE: tuple[dict[str, Any], ...] = (
    {
        "mouseName": "DEMO001",
        "sex": "F",
        "dateOfBirth": dt.date(2022, 9, 14),
        "genotype": "CaMKII-tTA;tetO-GCaMP6s",
        "strain": "C57BL/6J",
        "KO": False,
        "notes": "Quick learner.",
    },
    {
        "mouseName": "DEMO002",
        "sex": "M",
        "dateOfBirth": dt.date(2022, 10, 2),
        "genotype": "CaMKII-tTA;tetO-GCaMP6s;Cdh13 fl/fl",
        "strain": "C57BL/6J",
        "KO": True,
        "notes": "Window slightly cloudy at the rim.",
    },
    {
        "mouseName": "DEMO003",
        "sex": "F",
        "dateOfBirth": dt.date(2022, 11, 21),
        "genotype": "wild type",
        "strain": "C57BL/6J",
        "KO": False,
        "notes": "",
    },
)
_SESSIONS = (
    ("DEMO001", dt.date(2023, 1, 18), 701),
    ("DEMO001", dt.date(2023, 1, 19), 701),
    ("DEMO001", dt.date(2023, 1, 20), 701),
    ("DEMO001", dt.date(2023, 1, 20), 702),
    ("DEMO002", dt.date(2023, 2, 6), 701),
    ("DEMO002", dt.date(2023, 2, 7), 701),
    ("DEMO002", dt.date(2023, 2, 8), 701),
    ("DEMO002", dt.date(2023, 2, 8), 702),
    ("DEMO003", dt.date(2023, 3, 13), 701),
    ("DEMO003", dt.date(2023, 3, 14), 701),
    ("DEMO003", dt.date(2023, 3, 15), 701),
    ("DEMO003", dt.date(2023, 3, 16), 1),
)
_KEYS = tuple(SessionKey(*parts) for parts in _SESSIONS)
_BROKEN = _KEYS[6]
_WITHOUT_SUITE2P = _KEYS[10]
_WITHOUT_IMAGING = _KEYS[11]
_WITH_FACE_CAMERA = frozenset(_KEYS[:2])
_WITH_CURATION = frozenset(_KEYS[:1])


@dataclass(frozen=True, slots=True)
class DemoLab:
    """What the demo lab holds.

    `root`: folder of the mice's folders.
    `keys`: all sessions, in order.
    `broken`: has a truncated ALF file, so that registering it must fail.
    `without_suite2p`: was imaged; suite2p has not been run.
    `without_imaging`: behaviour alone. Its folder's number is padded (``001``), as ONE writes it.
    `mice`: for each mouse, columns of `mousedb`: mouseName, sex, dateOfBirth (date), genotype,
        strain, KO, notes.
    """

    root: Path
    keys: tuple[SessionKey, ...]
    broken: SessionKey
    without_suite2p: SessionKey
    without_imaging: SessionKey
    mice: tuple[dict[str, Any], ...]


def make_demo_lab(root: Path, *, seed: int = 7) -> DemoLab:
    """Make the demo lab, or complete it; existing files are left as they are.

    `root`: folder to make it in: a new one, an empty one, or that of an earlier demo lab. `seed`:
    of the random data; the same seed makes the same bytes. Raises ConfigurationError if the folder
    holds something else, or cannot be written.
    """
    root = Path(root)
    try:
        _claim(root)
        for key in _KEYS:
            _make_session(root, key, seed)
    except OSError as error:
        raise ConfigurationError(
            f"The demo lab cannot be written to {str(root)!r} ({error.strerror or error}). "
            "Choose another folder."
        ) from error
    mice = tuple(dict(mouse) for mouse in _MICE)
    return DemoLab(root, _KEYS, _BROKEN, _WITHOUT_SUITE2P, _WITHOUT_IMAGING, mice)


def is_demo_lab(root: Path) -> bool:
    """Return whether an earlier call made a demo lab there, whole or not."""
    return (root / _MARKER).is_file()


def _claim(root: Path) -> None:
    if is_demo_lab(root):
        return
    marker = root / _MARKER
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigurationError(
            f"{str(root)!r} holds something else than a demo lab, which is not touched. "
            "Choose a new or an empty folder."
        )
    root.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"made_by": "vrtracker demo"}) + "\n", encoding="utf-8")


def _make_session(root: Path, key: SessionKey, seed: int) -> None:
    number = f"{key.number:03d}" if key == _WITHOUT_IMAGING else str(key.number)
    folder = PurePosixPath(key.mouse, key.date.isoformat(), number)
    recorded = dt.datetime.combine(key.date, dt.time(14), tzinfo=dt.UTC)
    processed = recorded + dt.timedelta(days=2)
    for name, content, when in _files(key, recorded, processed):
        path = root / folder / name
        if not path.exists():
            # Seeded by file: what exists already must not change what is still to be made.
            number_of_file = zlib.crc32(str(folder / name).encode())
            _write(path, content((seed, number_of_file)), when)


_OBJECTS = ("stat", "ops")
"""What suite2p writes as dicts."""
_Content = Callable[[tuple[int, int]], bytes]


def _files(
    key: SessionKey, recorded: dt.datetime, processed: dt.datetime
) -> Iterator[tuple[str, _Content, dt.datetime]]:
    stem = f"{key.date.isoformat()}_{key.number}_{key.mouse}"
    yield f"{stem}_Timeline.mat", _timeline, recorded
    yield f"{stem}_VRBehavior_trial.mat", _behaviour, recorded
    if key in _WITH_FACE_CAMERA:
        yield f"{stem}_eye.mj2", _video, recorded
    if key not in {_WITHOUT_SUITE2P, _WITHOUT_IMAGING}:
        for plane in range(_PLANES):
            for name in ("F", "Fneu", "spks", "stat", "ops", "iscell"):
                yield f"suite2p/plane{plane}/{name}.npy", _array_file(_suite2p, name), processed
    for name in _alf_names(key):
        content = _array_file(_alf, name)
        if key == _BROKEN and name == "licks.times":
            content = _cut(content)
        yield f"oneData/{name}.npy", content, processed


def _alf_names(key: SessionKey) -> Iterator[str]:
    yield from ("wheelPosition.times", "wheelPosition.position", "licks.times", "rewards.times")
    yield from ("trials.startTimes", "trials.environmentIndex", "trials.rewardPosition")
    yield from ("positionTracking.times", "positionTracking.position")
    if key == _WITHOUT_IMAGING:
        return
    yield from ("mpci.times", "positionTracking.mpci")
    if key == _WITHOUT_SUITE2P:
        return
    yield from ("mpciROIs.isCell", "mpciROIs.stackPosition", "mpciROIs.redS2P")
    yield from ("mpciROIs.redCellIdx", "mpciROIs.redCellManualAssignments")
    if key in _WITH_CURATION:
        yield "parametersRedS2P.minMaxCutoff"


def _write(path: Path, content: bytes, when: dt.datetime) -> None:
    # An interruption must not leave half a file, which would stay for ever.
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    os.utime(unfinished, (when.timestamp(), when.timestamp()))
    unfinished.replace(path)


def _array_file(
    make: Callable[[str, np.random.Generator], npt.NDArray[Any]], name: str
) -> _Content:
    def content(seed: tuple[int, int]) -> bytes:
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, make(name, np.random.default_rng(seed)), allow_pickle=name in _OBJECTS)
        return buffer.getvalue()

    return content


def _cut(content: _Content) -> _Content:
    return lambda seed: content(seed)[:_CUT_BYTES]


def _suite2p(name: str, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Make one file of a plane: fluorescence, deconvolved activity, ROIs, settings."""
    import numpy as np

    match name:
        case "stat":
            return np.array([_roi(rng, place) for place in _places()], dtype=object)
        case "ops":
            image = rng.normal(120, 12, (_SIDE, _SIDE))
            for y, x, high, wide in _places():
                image[y : y + high, x : x + wide] += rng.uniform(40, 160)
            size = {"Ly": _SIDE, "Lx": _SIDE, "meanImg": image.astype("i2")}
            return np.array({"nplanes": _PLANES, "fs": _FRAME_RATE, "tau": 1.5, **size})
        case "iscell":
            chance = rng.uniform(0, 1, _ROIS)
            return np.column_stack([chance > _CELL_CHANCE, chance])
        case "spks":
            return rng.exponential(20, (_ROIS, _FRAMES)).astype("f4")
        case _:
            baseline = rng.uniform(200, 800, (_ROIS, 1))
            return (baseline + rng.normal(0, 25, (_ROIS, _FRAMES))).astype("f4")


def _places() -> list[list[int]]:
    """Return where the cells are, in each plane alike: first row and column, height and width."""
    import numpy as np

    rng = np.random.default_rng(0)
    corners, sizes = rng.integers(0, _SIDE - 9, (_ROIS, 2)), rng.integers(5, 9, (_ROIS, 2))
    found: list[list[int]] = np.hstack([corners, sizes]).tolist()
    return found


def _roi(rng: np.random.Generator, place: list[int]) -> dict[str, Any]:
    """Make what suite2p says of one ROI: a patch of pixels and their weights."""
    import numpy as np

    y, x, high, wide = place
    ypix, xpix = (part.ravel() for part in np.indices((high, wide)))
    lam = rng.uniform(0.1, 1, len(ypix)).astype("f4")
    med = [y + high // 2, x + wide // 2]
    return {"ypix": y + ypix, "xpix": x + xpix, "lam": lam, "med": med, "npix": len(lam)}


def _alf(name: str, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Make one ALF array; times in s from the start of Timeline, positions in cm."""
    import numpy as np

    rois = _PLANES * _ROIS
    samples = round(_SECONDS * 20)
    clock = np.linspace(0, _SECONDS, samples)
    makers: dict[str, Callable[[], npt.NDArray[Any]]] = {
        "wheelPosition.times": lambda: clock,
        "wheelPosition.position": lambda: np.cumsum(rng.gamma(2, 0.3, samples)),
        "licks.times": lambda: np.sort(rng.uniform(0, _SECONDS, 90)),
        "rewards.times": lambda: np.sort(rng.uniform(0, _SECONDS, _TRIALS - 2)),
        "trials.startTimes": lambda: np.arange(_TRIALS) * (_SECONDS / _TRIALS),
        "trials.environmentIndex": lambda: rng.integers(1, 3, _TRIALS, dtype="i2"),
        "trials.rewardPosition": lambda: np.full(_TRIALS, 85.0),
        "positionTracking.times": lambda: clock,
        "positionTracking.position": lambda: (clock * 30) % 200,
        "positionTracking.mpci": lambda: np.minimum(clock * _FRAME_RATE, _FRAMES - 1).astype("i4"),
        "mpci.times": lambda: np.arange(_FRAMES) / _FRAME_RATE,
        "mpciROIs.isCell": lambda: rng.uniform(0, 1, (rois, 2)),
        "mpciROIs.stackPosition": lambda: rng.uniform(0, 512, (rois, 3)),
        "mpciROIs.redS2P": lambda: rng.uniform(0, 1, rois),
        "mpciROIs.redCellIdx": lambda: rng.uniform(0, 1, rois) > _RED_SCORE,
        "mpciROIs.redCellManualAssignments": lambda: np.zeros((2, rois), dtype=bool),
        "parametersRedS2P.minMaxCutoff": lambda: np.array([0.6, 1.0]),
    }
    return makers[name]()


def _timeline(seed: tuple[int, int]) -> bytes:
    import numpy as np

    rng = np.random.default_rng(seed)
    times = np.linspace(0, _SECONDS, 400)
    channels = rng.normal(0, 1, (400, 3))
    return _mat({"rawDAQTimestamps": times[None, :], "rawDAQData": channels})


def _behaviour(seed: tuple[int, int]) -> bytes:
    import numpy as np

    rng = np.random.default_rng(seed)
    trials = np.arange(1, _TRIALS + 1, dtype="f8")[:, None]
    return _mat({"trialIdx": trials, "roomPosition": rng.uniform(0, 200, (_TRIALS, 40))})


def _mat(variables: Arrays) -> bytes:
    """Return a MATLAB file of double matrices.

    Level 4 format ("MAT-File Format", The MathWorks): for each matrix a header of five 32-bit
    integers (type 0: little-endian, double, full), the name, the values column by column.
    """
    parts = []
    for name, values in variables.items():
        rows, columns = values.shape
        encoded = name.encode("ascii") + b"\0"
        parts += [struct.pack("<5i", 0, rows, columns, 0, len(encoded)), encoded]
        parts.append(values.astype("<f8").tobytes(order="F"))
    return b"".join(parts)


def _video(_: tuple[int, int]) -> bytes:
    """Return the signature of a JPEG 2000 file (ISO/IEC 15444-1, I.5.1) and some padding."""
    return b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(2048)

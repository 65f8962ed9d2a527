"""A plane of suite2p to look at: its mean image, its ROIs, and what they did.

``ops.npy`` and ``stat.npy`` are pickles, which `suite2p_settings` reads without running any of it.
Traces are read a row at a time and not mapped: a drive that goes away would end who maps them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.errors import InvalidValueError, RootUnavailableError, VrtrackerError
from vrtracker.files import alf
from vrtracker.files.layout import SUITE2P
from vrtracker.files.loading import load_dataset
from vrtracker.files.suite2p_settings import SavedSettings, read_rois
from vrtracker.files.trees import leads_to_folder, reason_of, status_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

State = tuple[tuple[str, int, int], ...]

_FOLDER = re.compile(r"plane(\d{1,3})")
_SETTINGS = ("ops.npy", "reg_outputs.npy", "db.npy", "settings.npy")
"""Where the mean image and the rate are: 0.x has all in the first, 1.x may not have it."""
_FILES = (*_SETTINGS, "stat.npy", "iscell.npy", "F.npy")
_LARGEST = 300_000_000
_LARGEST_ROW = 100_000_000
_LONGEST = 4096
_NUMBERS = "bfiu"


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """What suite2p says of a plane.

    `image`: mean image, (rows, columns).
    `pixels`: of all ROIs: number of the ROI, row, column; (3, pixels).
    `is_cell`: (ROIs,); all of them where ``iscell.npy`` is not there.
    `rate`: frames in a second.
    `missing`: what is not shown, and why.
    `may_pass`: whether the drive refused a file, which it may give the next time.
    """

    image: npt.NDArray[np.float32] | None
    pixels: npt.NDArray[np.int32]
    is_cell: npt.NDArray[np.bool_]
    rate: float | None
    missing: tuple[str, ...]
    may_pass: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, of the mean image, else as far as the ROIs reach."""
        if self.image is not None:
            rows, columns = self.image.shape
            return rows, columns
        rows, columns = self.pixels[1:].max(axis=1, initial=0) + 1
        return int(rows), int(columns)


def planes_of(session: Path) -> dict[int, tuple[Path, State]]:
    """Return the folders of a session's planes by number, and the state of their files.

    The state is name, bytes and time of change, ns, of each file that is shown.

    Raises RootUnavailableError if they cannot be looked at.
    """
    try:
        here = session / SUITE2P
        names = [each.name for each in here.iterdir()] if leads_to_folder(here) else []
        numbered = {
            int(match[1]): here / match[0] for match in map(_FOLDER.fullmatch, names) if match
        }
        return {number: (path, _state(path)) for number, path in sorted(numbered.items())}
    except OSError as error:
        raise RootUnavailableError(
            f"{session} cannot be read ({reason_of(error)}); is the drive mounted?"
        ) from error


def _state(folder: Path) -> State:
    seen = [(name, status_of(folder / name)) for name in _FILES]
    return tuple((name, each.st_size, each.st_mtime_ns) for name, each in seen if each)


def read_plane(folder: Path) -> Plane:
    """Read what can be shown of a plane; what cannot be had is told in `missing`."""
    import numpy as np

    reading = _Reading(folder)
    image, rate = reading.image_and_rate()
    rois = reading.tried("stat.npy", read_rois) or []
    cells = reading.tried("iscell.npy", alf.load)
    if cells is not None and (cells.shape != (len(rois), 2) or cells.dtype.kind not in _NUMBERS):
        reading.missing.append(f"iscell.npy is of {cells.shape}, and there are {len(rois)} ROIs.")
        cells = None
    is_cell = np.ones(len(rois), bool) if cells is None else cells[:, 0] > 0
    pixels = reading.pixels(rois, image)
    return Plane(image, pixels, is_cell, rate, tuple(reading.missing), reading.may_pass)


def read_rate(folder: Path) -> float | None:
    """Return the frames of a plane in a second, as suite2p was told; None where nothing says it.

    Raises OSError if the drive refuses a file.
    """
    for name in _SETTINGS:
        with contextlib.suppress(FileNotFoundError, InvalidValueError):
            rate = _rate(SavedSettings.read(str(folder / name)))
            if rate is not None:
                return rate
    return None


class _Reading:
    """The files of a plane as they are read, and what is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.missing: list[str] = []
        self.may_pass = False

    def tried(self, name: str, read: Callable[[Path], Any]) -> Any:
        """Return what a file holds; None where it cannot be read, which is told."""
        path = self._folder / name
        try:
            if path.stat().st_size <= _LARGEST:
                return read(path)
            self.missing.append(f"{name} is larger than {_LARGEST} bytes; it is not read.")
        except FileNotFoundError:
            if name not in _SETTINGS:
                self.missing.append(f"{name} is not there.")
        except VrtrackerError as error:
            self.missing.append(str(error))
            self.may_pass |= isinstance(error.__cause__, OSError)
        except OSError as error:
            self.missing.append(f"{name} cannot be read ({reason_of(error)}).")
            self.may_pass = True
        return None

    def image_and_rate(self) -> tuple[Any, float | None]:
        """Return the mean image and the rate, as the first file that has it says."""
        image = rate = None
        for name in _SETTINGS:
            saved = self.tried(name, lambda path: SavedSettings.read(str(path)))
            if saved is None:
                continue
            rate = rate or _rate(saved)
            try:
                image = _image(saved) if image is None else image
            except InvalidValueError as error:
                self.missing.append(str(error))
        if image is None:
            self.missing.append(f"There is no mean image in any of {', '.join(_SETTINGS)}.")
        return image, rate

    def pixels(self, rois: list[dict[str, Any]], image: Any) -> Any:
        """Return the pixels of all ROIs; those outside of the picture are left out, and told."""
        import numpy as np

        rows, columns = (_LONGEST, _LONGEST) if image is None else image.shape
        parts = [np.empty((3, 0), np.int32)]
        for number, (y, x) in enumerate((roi["ypix"], roi["xpix"]) for roi in rois):
            if len(y) == len(x):
                within = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
                part = np.stack([np.full(len(y), number), y, x])[:, within]
                parts.append(part.astype(np.int32))
        found = np.concatenate(parts, axis=1)
        if found.shape[1] < sum(max(len(roi["ypix"]), len(roi["xpix"])) for roi in rois):
            self.missing.append("stat.npy has pixels beyond the mean image; they are not shown.")
        return found


def _rate(saved: SavedSettings) -> float | None:
    rate = saved.number("fs")
    return rate if rate is not None and rate > 0 else None


def _image(saved: SavedSettings) -> Any:
    import numpy as np

    image = saved.image("meanImg")
    if image is None:
        return None
    if max(image.shape) > _LONGEST:
        raise InvalidValueError(
            f"The mean image in {saved.path} has sides above {_LONGEST} pixels."
        )
    return np.nan_to_num(image.astype(np.float32), nan=0, posinf=0, neginf=0)


def read_trace(folder: Path, number: int, rois: int) -> npt.NDArray[np.float64]:
    """Return the fluorescence of one of so many ROIs, (frames,).

    Raises NotFoundError if there is no ``F.npy``. Raises InvalidValueError if it holds something
    else than a row of numbers for each ROI.
    """
    import numpy as np

    path = folder / "F.npy"
    whole = load_dataset(path, mmap=True)
    if whole.ndim != 2 or len(whole) != rois or whole.dtype.kind not in _NUMBERS:  # noqa: PLR2004
        raise InvalidValueError(
            f"{path} is of {whole.shape} {whole.dtype}, and not a row for each of {rois} ROIs."
        )
    if not whole.flags.c_contiguous or whole.strides[0] > _LARGEST_ROW:
        raise InvalidValueError(f"{path} has its rows apart, or too long ones; run suite2p again.")
    begin = whole.offset + number * whole.strides[0]
    try:
        row = np.fromfile(path, whole.dtype, whole.shape[1], offset=begin)
    except OSError:
        row = np.zeros(0)
    if len(row) < whole.shape[1]:
        raise InvalidValueError(f"{path} was changed while it was read; try again.")
    return np.nan_to_num(row.astype(np.float64), posinf=0, neginf=0)

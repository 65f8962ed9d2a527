"""Settings that suite2p saved with `np.save`, a dict each: read as data, without running any of it.

Such a file is a pickle, and a pickle may name any function of the computer to be called. Here
only the names that plain values need are known, and each stands for a class of ours that keeps
what it is given: nothing foreign is called, not even numpy's own loading of a pickled array.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

from vrtracker.errors import InvalidValueError

_SHOWN = 160  # characters of a problem, which may quote the file
_PIXELS = ("xpix", "ypix", "lam")
_MOST_ROIS, _MOST_PIXELS = 200_000, 10_000_000
_NUMBER = re.compile(r"[biuf]\d{1,2}")


class _Kept:
    """A time, a path, a class: something that has to be there and is not looked into."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


class _Dtype:
    """The type of an array's values."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.order = state[1].replace("|", "=")


class _Array:
    """An array, made empty and filled afterwards, or a single number of numpy's."""

    def __init__(self, dtype: Any, data: Any, *_: Any) -> None:
        self.shape: Sequence[Any] = ()
        self.order = "C"
        self.dtype, self.data = dtype, data

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, self.shape, self.dtype, is_by_column, self.data = state
        self.order = "F" if is_by_column else "C"

    def values(self) -> list[Any]:
        """Return its values in a row: numbers, or the objects that it holds."""
        return self.data if isinstance(self.data, list) else list(self.numbers().tolist())

    def numbers(self) -> Any:
        """Return its numbers in a row, as an array."""
        import numpy as np

        if not _NUMBER.fullmatch(self.dtype.code):
            raise ValueError(f"values of type {self.dtype.code!r} are no numbers")
        return np.frombuffer(self.data, self.dtype.order + self.dtype.code)


# numpy 2 calls its core `_core`, Python 3.13 its paths `pathlib._local`.
# Classes alone, and none without its own `__setstate__`: a pickle may set attributes of functions.
_KNOWN: Mapping[tuple[str, str], type] = {
    **{
        (f"numpy.{core}.multiarray", name): _Array
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    },
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Kept,
    **{("datetime", name): _Kept for name in ("datetime", "timedelta", "timezone")},
    **{
        (module, name): _Kept
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): dict,
}


def _listed(code: bytes) -> Callable[[Any], None]:
    load = pickle._Unpickler.dispatch[code[0]]  # noqa: SLF001

    def loaded(unpickler: Any) -> None:
        load(unpickler)
        unpickler.stack[-1] = list(unpickler.stack[-1])

    return loaded


class _Unpickler(pickle._Unpickler):  # noqa: SLF001
    """Python's own in Python: the one in C takes as much memory as a damaged byte tells it to.

    Tuples become lists, which are no keys: a tuple twice in a tuple, and so on, is hashed for ever.
    """

    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,  # noqa: SLF001
        **{
            code[0]: _listed(code)
            for code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)
        },
    }
    # No array of suite2p needs these: one takes memory too, one is compared for ever.
    del dispatch[pickle.BYTEARRAY8[0]], dispatch[pickle.FROZENSET[0]]

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"it names {f'{module}.{name}'[:80]!r}, which is no data")
        return known


@dataclass(frozen=True, slots=True)
class SavedSettings:
    """The dict in a file that was written with `np.save`."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """What `is_on` and `numbers` read; arrays in it are not numpy's."""

    @classmethod
    def read(cls, path: str) -> SavedSettings:
        """Read a file.

        Raises InvalidValueError if it holds something else, is truncated, or names anything but
        plain values; OSError if it cannot be read.

        Format: numpy.lib.format, "NEP 1: a simple file format for NumPy arrays"; of Python
        objects a pickle follows the header.
        """
        return cls(path, _read(path, "settings", _dict))

    def is_on(self, *names: str) -> bool:
        """Tell whether a switch, in a section or not, is on, as it is where nothing is said.

        Raises InvalidValueError if that is no switch.
        """
        value: Any = self.values
        for name in names:
            value = _plain(value.get(name, True)) if isinstance(value, dict) else value
        if not isinstance(value, bool | int | float):
            raise self._odd(".".join(names), "neither on nor off")
        return bool(value)

    def numbers(self, name: str) -> list[int]:
        """Return a list of whole numbers, empty where nothing is said.

        Raises InvalidValueError if that is no such list.
        """
        value = _plain(self.values.get(name))
        listed = [] if value is None else value
        if isinstance(listed, list | tuple | set):
            whole = list(takewhile(lambda each: isinstance(each, int), map(_plain, listed)))
            if len(whole) == len(listed):
                return whole
        raise self._odd(name, "no list of whole numbers")

    def number(self, name: str) -> float | None:
        """Return a number, None where nothing is said, or something else."""
        value = _plain(self.values.get(name))
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else None

    def image(self, name: str) -> Any:
        """Return an array of two dimensions, (rows, columns); None where there is none.

        Raises InvalidValueError if it does not hold numbers, as many as its shape says.
        """
        found = self.values.get(name)
        try:
            if not isinstance(found, _Array) or len(found.shape) != 2 or 0 in found.shape:  # noqa: PLR2004
                return None
            return found.numbers().reshape(found.shape, order=found.order)
        except Exception as error:  # Its parts come from the file and may be anything.
            raise self._odd(name, "no picture") from error

    def _odd(self, name: str, problem: str) -> InvalidValueError:
        return InvalidValueError(
            f"{name} in {self.path!r} is {problem}; suite2p would not write that. Run it again."
        )


def read_rois(path: Path) -> list[dict[str, Any]]:
    """Return the pixels of the ROIs in a ``stat.npy``; nothing in it is run.

    Of each ROI: ``xpix`` and ``ypix``, pixels from 0, and ``lam``, their weights: (pixels,).
    Raises InvalidValueError if it holds something else, names anything but plain values, or has
    more than 200,000 ROIs or 10 million pixels: arrays that ROIs share are in the file once;
    OSError if it cannot be read.
    """
    found: list[dict[str, Any]] = _read(str(path), "ROIs", _rois)
    return found


def _read(path: str, what: str, parse: Callable[[bytes], Any]) -> Any:
    content = Path(path).read_bytes()
    try:
        return parse(content)
    except Exception as error:  # A damaged pickle may raise anything.
        problem = str(error)[:_SHOWN] or type(error).__name__
        raise InvalidValueError(
            f"{path!r} is not read as {what} of suite2p ({problem}); nothing in it was run. "
            "If it is damaged, run suite2p again."
        ) from error


def _rois(content: bytes) -> list[dict[str, Any]]:
    found = _objects(content)
    if len(found) > _MOST_ROIS:
        raise ValueError(f"it has more than {_MOST_ROIS} ROIs")
    rois = [{name: each[name].numbers() for name in _PIXELS} for each in found]
    if sum(max(map(len, roi.values())) for roi in rois) > _MOST_PIXELS:
        raise ValueError(f"its ROIs have more than {_MOST_PIXELS} pixels")
    return rois


# suite2p gives all planes the same settings, and labs most of their sessions.
@lru_cache(maxsize=1)
def _dict(content: bytes) -> dict[str, Any]:
    found = _objects(content)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise TypeError("it holds no dict, or several")
    return found[0]


def _objects(content: bytes) -> list[Any]:
    """Return the objects in an array that was written with `np.save`."""
    import numpy as np

    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another format than np.save gives objects")
    _, _, dtype = np.lib.format.read_array_header_1_0(file)
    if not dtype.hasobject:
        raise ValueError("it holds numbers, not objects")
    found: list[Any] = _Unpickler(file).load().values()
    return found


def _plain(value: Any) -> Any:
    """Return what an array, or a number of numpy's, holds; anything else as it is."""
    if not isinstance(value, _Array):
        return value
    try:
        values = value.values()
        return values if value.shape else values[0]
    except Exception:  # noqa: BLE001 - its parts come from the file and may be anything
        return value
